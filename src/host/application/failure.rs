//! Exceptions in the log: a line that says what failed where, then the lines of the traceback.

use super::advice::advice;
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

/// The lines for an exception: what failed, then the traceback.
fn lines(header: String, interpreter: &Interpreter, raised: &Raised<'_>) -> Vec<Vec<u8>> {
    let mut lines = vec![header.into_bytes()];
    // Where the traceback module itself fails there is no memory left or nothing of `sys` either.
    lines.extend(traceback(raised).unwrap_or_else(|_| vec![raised.text().into_bytes()]));
    lines.extend(advice(interpreter, raised).map(String::into_bytes));
    lines
}

fn write(py: Python<'_>, request: Option<&Request>, lines: &[Vec<u8>]) {
    match request {
        Some(request) => request.log_lines(py, LogLevel::Error, lines),
        None => py.detach(|| lines.iter().for_each(|line| log::write_bytes(LogLevel::Error, line))),
    }
}

/// Logs what a callback for events has raised.
pub fn log_callback(
    py: Python<'_>,
    interpreter: &Interpreter,
    request: Option<&Request>,
    event: &str,
    raised: &Raised<'_>,
) {
    let (kind, place) = (raised.value().type_name(), interpreter.description());
    let number = if raised.is(Exception::SystemExit) { "WSGI0190" } else { "WSGI0112" };
    let header = format!("{number}: {kind} exception raised by event callback for '{event}' in {place}; ignored.");
    write(py, request, &lines(header, interpreter, raised));
}

/// Logs an exception: to the request's log, or without one to the process's.
pub fn log_exception(
    py: Python<'_>,
    interpreter: &Interpreter,
    request: Option<&Request>,
    script: &[u8],
    raised: &Raised<'_>,
) {
    write(py, request, &lines_of(interpreter, request, script, raised));
}

/// The lines for an exception of a script. The form of the first one is that of mod_wsgi 6.1.1, which people's log rules look for.
pub fn lines_of(
    interpreter: &Interpreter,
    request: Option<&Request>,
    script: &[u8],
    raised: &Raised<'_>,
) -> Vec<Vec<u8>> {
    let (kind, path, place) = (raised.value().type_name(), String::from_utf8_lossy(script), interpreter.description());
    let bracket = if request.is_some() { format!("[script {path}] ") } else { String::new() };
    let header = if raised.is(Exception::SystemExit) {
        format!("WSGI0175: {bracket}{kind} exception raised by WSGI script '{path}' for {place}; ignored.")
    } else {
        format!("WSGI0174: {bracket}{kind} exception raised processing WSGI script '{path}' for {place}.")
    };
    lines(header, interpreter, raised)
}
