//! The figures for `WSGITelemetryService`: those of a window, and those of the life of the process.

use super::record::{Counter, PHASES};
use super::thread::threads;
use super::window::{ThreadFigures, Window};
use crate::sys::usage;
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::telemetry::{PhaseFigures, Sample, Slot};
use std::time::Duration;

/// Figures of the life of the process.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// Requests that have ended.
    pub requests: u64,
    /// Requests that run.
    pub active: u64,
}

/// What the process has done so far.
pub fn lifetime() -> Lifetime {
    let threads = threads();
    Lifetime {
        requests: threads.iter().map(|thread| thread.brackets()).sum(),
        active: threads.iter().filter(|thread| thread.elapsed().is_some()).count() as u64,
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Ends the window and begins the next one; `None` where nothing is recorded.
pub fn sample(launch: &Launch) -> Option<Sample> {
    let window = Window::take()?;
    let most = launch.threads.max(1);
    let slots = window.slots(most);
    let completed = window.counter(Counter::Completed);
    let mut phases = [PhaseFigures::default(); PHASES.len()];
    for (phase, figures) in phases.iter_mut().zip(&window.times) {
        let mean = if completed > 0 { figures.sum.as_secs_f64() / completed as f64 } else { 0.0 };
        *phase = PhaseFigures { mean, extremes: figures.extremes, buckets: figures.buckets };
    }
    let (period, resident) = (window.period.as_secs_f64(), usage::resident());
    Some(Sample {
        period,
        requests: window.requests,
        completed,
        capacity: slots.capacity,
        cpu: [window.cpu.user, window.cpu.system].map(|time| time.as_secs_f64() / period),
        memory: [resident, usage::process().1.max(resident)],
        threads: [most.into(), window.threads.len() as u64, slots.active],
        phases,
        transfer: [Counter::InputBytes, Counter::InputReads, Counter::OutputBytes, Counter::OutputWrites]
            .map(|counter| window.counter(counter)),
        slots: slots.threads.iter().map(slot).collect(),
        statuses: [Counter::Status1, Counter::Status2, Counter::Status3, Counter::Status4, Counter::Status5]
            .map(|counter| window.counter(counter)),
    })
}

fn slot(figures: &ThreadFigures) -> Slot {
    Slot {
        completed: figures.completed,
        busy: microseconds(figures.busy),
        cpu: microseconds(figures.cpu),
        elapsed: microseconds(figures.elapsed),
        longest: microseconds(figures.longest),
    }
}
