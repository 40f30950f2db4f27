//! Exceptions in the log: a line that says what failed where, then the lines of the traceback.

use super::interpreters::Interpreter;
use super::request::Request;
use crate::log;
use crate::python::{Exception, PyResult, Python, Raised};
use mod_wsgi_core::wire::LogLevel;

/// The lines of the traceback as Python prints it, without blank ones.
fn traceback<'py>(raised: &Raised<'py>) -> PyResult<'py, Vec<Vec<u8>>> {
    let value = raised.value();
    let py = value.py();
    let (kind, trace) = (value.get("__class__")?, value.get("__traceback__")?);
    let parts = py.import("traceback")?.call_method("format_exception", [&kind, value, &trace])?;
    let mut text = String::new();
    let parts = parts.iterator()?;
    while let Some(part) = parts.next()? {
        text.push_str(&part.to_text()?);
    }
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.as_bytes().to_vec()).collect())
}

/// What was being done when the exception came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The script was loaded.
    Loading,
    /// A request ran.
    Running,
}

/// Logs an exception: to the request's log, or without one to the process's.
pub fn log_exception(
    py: Python<'_>,
    interpreter: &Interpreter,
    request: Option<&Request>,
    script: &[u8],
    phase: Phase,
    raised: &Raised<'_>,
) {
    let number = match (raised.is(Exception::SystemExit), phase, request.is_some()) {
        (true, Phase::Running, _) => "WSGI0175",
        (false, Phase::Running, _) => "WSGI0174",
        (true, Phase::Loading, true) => "WSGI0107",
        (true, Phase::Loading, false) => "WSGI0108",
        (false, Phase::Loading, true) => "WSGI0109",
        (false, Phase::Loading, false) => "WSGI0110",
    };
    let what = match phase {
        Phase::Loading => "while the script was loaded",
        Phase::Running => "while a request was processed",
    };
    let (kind, path) = (raised.value().type_name(), String::from_utf8_lossy(script));
    let header = format!("{number}: [script {path}] exception {kind} {what}, in {}", interpreter.description());
    let mut lines = vec![header.into_bytes()];
    // Where the traceback module itself fails there is no memory left or nothing of `sys` either.
    lines.extend(traceback(raised).unwrap_or_else(|_| vec![raised.text().into_bytes()]));
    match request {
        Some(request) => request.log_lines(py, LogLevel::Error, &lines),
        None => py.detach(|| lines.iter().for_each(|line| log::write_bytes(LogLevel::Error, line))),
    }
}
