//! `mod_wsgi.request_metrics()` and `mod_wsgi.process_metrics()`: figures as dictionaries.
//!
//! Differs from mod_wsgi: `start_time` is the begin of the window, as its documentation says, not its end; threads that run no
//! requests are not counted among those that do. Tests: test_metrics.py.

use super::record::{Counter, PHASES, Phase};
use super::thread::threads;
use super::window::{Slots, TimeFigures, Window, is_armed, ready};
use crate::application::entries::Entries;
use crate::python::{Object, PyResult, Python};
use crate::sys::{clock, usage};
use mod_wsgi_core::launch::Launch;

/// `request_metrics()`: what requests have cost since it was called before; `None` where nothing is recorded, or the windows are
/// those of `WSGITelemetryService`.
///
/// # Errors
/// `MemoryError`.
pub fn request_metrics<'py>(py: Python<'py>, launch: &Launch) -> PyResult<'py, Object<'py>> {
    let take = || Window::take().map(|window| (window, usage::resident()));
    let taken = if launch.telemetry.is_some() { None } else { py.detach(take) };
    let Some((window, resident)) = taken else { return Ok(py.none()) };
    let report = Entries::new(py)?;
    let (stop, period) = (clock::microseconds() as f64 / 1e6, window.period.as_secs_f64());
    report.int("pid", std::process::id().into())?;
    report.float("start_time", stop - period)?;
    report.float("stop_time", stop)?;
    report.float("sample_period", period)?;
    put_process(&report, &window, resident)?;
    put_counters(&report, &window)?;
    put_threads(&report, &window, launch)?;
    put_times(py, &report, &window, !launch.process_group.is_empty())?;
    Ok(report.done())
}

fn put_process<'py>(report: &Entries<'py>, window: &Window, resident: u64) -> PyResult<'py, ()> {
    let (user, system) = (window.cpu.user, window.cpu.system);
    for (name, time) in [("cpu_user", user), ("cpu_system", system), ("cpu", user + system)] {
        let rate = time.as_secs_f64() / window.period.as_secs_f64();
        report.float(&format!("{name}_utilization"), rate)?;
        // The old names of the same three.
        report.float(&format!("{name}_time"), rate)?;
    }
    report.int("memory_max_rss", usage::process().1.max(resident))?;
    report.int("memory_rss", resident)
}

fn put_counters<'py>(report: &Entries<'py>, window: &Window) -> PyResult<'py, ()> {
    report.int("request_count", window.requests)?;
    report.float("request_throughput", window.requests as f64 / window.period.as_secs_f64())?;
    for (name, counter) in [
        ("status_1xx", Counter::Status1),
        ("status_2xx", Counter::Status2),
        ("status_3xx", Counter::Status3),
        ("status_4xx", Counter::Status4),
        ("status_5xx", Counter::Status5),
        ("input_bytes", Counter::InputBytes),
        ("input_reads", Counter::InputReads),
        ("output_bytes", Counter::OutputBytes),
        ("output_writes", Counter::OutputWrites),
        ("gil_wait_count", Counter::GilWaits),
    ] {
        report.int(name, window.counter(counter))?;
    }
    Ok(())
}

fn put_threads<'py>(report: &Entries<'py>, window: &Window, launch: &Launch) -> PyResult<'py, ()> {
    let most = launch.threads.max(1);
    let Slots { threads: slots, active, capacity } = window.slots(most);
    report.int("request_threads_maximum", most.into())?;
    report.int("request_threads_started", window.threads.len() as u64)?;
    report.int("request_threads_active", active)?;
    report.float("capacity_utilization", capacity)?;
    for name in ["request_threads_completed", "request_threads_buckets"] {
        report.ints(name, slots.iter().map(|slot| slot.completed))?;
    }
    report.all_seconds("request_threads_busy_time", slots.iter().map(|slot| slot.busy))?;
    report.all_seconds("request_threads_cpu_time", slots.iter().map(|slot| slot.cpu))?;
    report.all_seconds("request_threads_current_elapsed", slots.iter().map(|slot| slot.elapsed))?;
    report.all_seconds("request_threads_max_duration", slots.iter().map(|slot| slot.longest))
}

fn put_times<'py>(py: Python<'py>, report: &Entries<'py>, window: &Window, is_daemon: bool) -> PyResult<'py, ()> {
    let completed = window.counter(Counter::Completed);
    for ((phase, name), figures) in PHASES.into_iter().zip(&window.times) {
        let is_there = is_daemon || !matches!(phase, Phase::Queue | Phase::Daemon);
        let TimeFigures { sum, buckets, extremes } = figures;
        report.ints(&format!("{name}_buckets"), buckets.iter().copied())?;
        if is_there {
            report.float(name, if completed > 0 { sum.as_secs_f64() / completed as f64 } else { 0.0 })?;
        } else {
            report.put(name, &py.none())?;
        }
        for (end, value) in [("min", extremes.map(|(least, _)| least)), ("max", extremes.map(|(_, most)| most))] {
            let name = format!("{name}_{end}_us");
            match value.filter(|_| is_there) {
                Some(value) => report.int(&name, value)?,
                None => report.put(&name, &py.none())?,
            }
        }
    }
    Ok(())
}

/// `process_metrics()`: figures of the whole life of the process; `None` where nothing is recorded, or they go to
/// `WSGITelemetryService`.
///
/// # Errors
/// `MemoryError`.
pub fn process_metrics<'py>(py: Python<'py>, launch: &Launch) -> PyResult<'py, Object<'py>> {
    if !is_armed() || launch.telemetry.is_some() {
        return Ok(py.none());
    }
    let mut threads = py.detach(threads);
    threads.sort_by_key(|thread| thread.number);
    let ((cpu, max_rss), resident) = py.detach(|| (usage::process(), usage::resident()));
    let (ready, now) = (ready(), clock::microseconds());
    let report = Entries::new(py)?;
    report.int("pid", std::process::id().into())?;
    report.time("request_busy_time", threads.iter().map(|thread| thread.busy()).sum())?;
    report.int("request_count", threads.iter().map(|thread| thread.brackets()).sum())?;
    report.int("memory_max_rss", max_rss.max(resident))?;
    report.int("memory_rss", resident)?;
    report.seconds("cpu_user_time", cpu.user)?;
    report.seconds("cpu_system_time", cpu.system)?;
    report.seconds("cpu_time", cpu.user + cpu.system)?;
    report.time("restart_time", ready)?;
    report.time("current_time", now)?;
    report.int("running_time", now.saturating_sub(ready) / 1_000_000)?;
    report.int("request_threads", threads.len() as u64)?;
    report.int("active_requests", threads.iter().filter(|thread| thread.elapsed().is_some()).count() as u64)?;
    let entry = |thread: &&super::thread::Thread| {
        let entry = Entries::new(py)?;
        entry.int("thread_id", thread.number.into())?;
        entry.int("request_count", thread.calls.get())?;
        Ok(entry.done())
    };
    let entries = threads.iter().map(entry).collect::<PyResult<'_, Vec<_>>>()?;
    report.put("threads", &py.list(entries)?)?;
    Ok(report.done())
}
