//! `mod_wsgi.server_metrics()`: httpd's scoreboard as dictionaries.

use crate::application::entries::Entries;
use crate::application::request;
use crate::python::{Object, PyResult, Python};
use crate::sys::{apache, clock};
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::scoreboard::{Process, Scoreboard, Worker};

/// The scoreboard: in an Apache child it is at hand, in a daemon it is asked for over the connection of the request that this
/// thread runs. `None` where the configuration does not allow it, or there is nobody to ask.
///
/// # Errors
/// `MemoryError`.
pub fn server_metrics<'py>(py: Python<'py>, launch: &Launch) -> PyResult<'py, Object<'py>> {
    let Some(board) = Some(()).filter(|()| launch.server_metrics).and_then(|()| read(py, launch)) else {
        return Ok(py.none());
    };
    let now = clock::microseconds();
    let report = Entries::new(py)?;
    report.int("server_limit", board.server_limit.into())?;
    report.int("thread_limit", board.thread_limit.into())?;
    report.int("running_generation", board.generation.into())?;
    report.time("restart_time", board.restart_time)?;
    report.time("current_time", now)?;
    report.int("running_time", now.saturating_sub(board.restart_time) / 1_000_000)?;
    let entries = board.processes.iter().enumerate();
    let entries = entries.map(|(number, entry)| process(py, number, entry, board.thread_limit));
    report.put("processes", &py.list(entries.collect::<PyResult<'_, _>>()?)?)?;
    Ok(report.done())
}

fn read(py: Python<'_>, launch: &Launch) -> Option<Scoreboard> {
    let bytes = if launch.process_group.is_empty() {
        py.detach(apache::scoreboard)
    } else {
        request::current()?.with_detached(py, |inner| inner.exchange.as_mut()?.scoreboard())
    };
    Scoreboard::decode(&bytes?).ok()
}

fn process<'py>(py: Python<'py>, number: usize, process: &Process, threads: u32) -> PyResult<'py, Object<'py>> {
    let report = Entries::new(py)?;
    report.int("process_num", number as u64)?;
    report.int("pid", process.pid.into())?;
    report.int("generation", process.generation.into())?;
    report.put("quiescing", &py.bool(process.quiescing))?;
    let unused = Worker::default();
    let workers = process.workers.iter().chain(std::iter::repeat(&unused)).take(threads as usize);
    let workers = workers.map(|entry| worker(py, entry)).collect::<PyResult<'_, _>>()?;
    report.put("workers", &py.list(workers)?)?;
    Ok(report.done())
}

fn worker<'py>(py: Python<'py>, worker: &Worker) -> PyResult<'py, Object<'py>> {
    let report = Entries::new(py)?;
    report.int("thread_num", worker.thread_num.into())?;
    report.int("generation", worker.generation.into())?;
    report.put("status", &py.interned(worker.letter())?)?;
    report.int("access_count", worker.access_count)?;
    report.int("bytes_served", worker.bytes_served)?;
    report.time("start_time", worker.start_time)?;
    report.time("stop_time", worker.stop_time)?;
    report.time("last_used", worker.last_used)?;
    for (name, text) in [("client", &worker.client), ("request", &worker.request), ("vhost", &worker.vhost)] {
        report.put(name, &py.latin1(text)?)?;
    }
    Ok(report.done())
}
