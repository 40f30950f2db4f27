//! The functions of the module `mod_wsgi`, and of its `LogHandler`.
//!
//! Source: the reference of mod_wsgi 6.1.1; `mod_wsgi-stubs` has the same for editors.

use super::metrics;
use super::request;
use super::state::State;
use crate::log;
use crate::python::{Args, Exception, Object, PyResult, Python, Stored, function};
use mod_wsgi_core::wire::{LogLevel, LogRecord};

/// Puts the functions that are members into the module.
///
/// # Errors
/// `MemoryError`.
pub fn put<'py>(module: &Object<'py>) -> PyResult<'py, ()> {
    module.set("subscribe_events", &function(module, c"subscribe_events", subscribe_events)?)?;
    module.set("subscribe_shutdown", &function(module, c"subscribe_shutdown", subscribe_shutdown)?)?;
    module.set("subscribe_signals", &function(module, c"subscribe_signals", subscribe_signals)?)?;
    module.set("request_data", &function(module, c"request_data", request_data)?)?;
    module.set("start_recording_metrics", &function(module, c"start_recording_metrics", start_recording_metrics)?)?;
    module.set("request_metrics", &function(module, c"request_metrics", request_metrics)?)?;
    module.set("process_metrics", &function(module, c"process_metrics", process_metrics)?)?;
    module.set("server_metrics", &function(module, c"server_metrics", server_metrics)?)
}

/// The functions that set_up.py needs, with the names it knows them by.
///
/// # Errors
/// `MemoryError`.
pub fn for_set_up<'py>(module: &Object<'py>) -> PyResult<'py, [(&'static str, Object<'py>); 3]> {
    Ok([
        ("report", function(module, c"report", report)?),
        ("least_level", function(module, c"least_level", least_level)?),
        ("write_record", function(module, c"write_record", write_record)?),
    ])
}

/// # Errors
/// `TypeError` where there are any.
pub fn no_arguments<'py>(py: Python<'py>, name: &str, arguments: Args<'_, 'py>) -> PyResult<'py, ()> {
    match arguments.len() {
        0 => Ok(()),
        given => py.raise(Exception::Type, &format!("{name}() takes no arguments ({given} given)")),
    }
}

/// The only argument.
fn callback<'py>(py: Python<'py>, name: &str, arguments: Args<'_, 'py>) -> PyResult<'py, Object<'py>> {
    match (arguments.get(0), arguments.len()) {
        (Some(callback), 1) => Ok(callback.clone()),
        (_, given) => py.raise(Exception::Type, &format!("{name}() takes exactly one argument ({given} given)")),
    }
}

/// The stack of Python that leads here, as lines.
fn stack(py: Python<'_>) -> PyResult<'_, Vec<String>> {
    let mut lines = Vec::new();
    let frames = py.import("traceback")?.call_method("format_stack", [])?.iterator()?;
    while let Some(frame) = frames.next()? {
        lines.extend(frame.to_text()?.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Appends a callback to a list of the module.
fn subscribe<'py>(py: Python<'py>, state: &State, list: &Stored, callback: Object<'py>) -> PyResult<'py, Object<'py>> {
    let name = list.get(py);
    match state.values.namespace.get(py).entry(&name).filter(|list| list.is_list()) {
        Some(list) => list.append(&callback)?,
        None => return py.raise(Exception::Type, &format!("mod_wsgi.{} is not a list", name.display())),
    }
    Ok(callback)
}

fn subscribe_events<'a, 'py>(
    py: Python<'py>,
    state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    let callback = callback(py, "subscribe_events", arguments)?;
    subscribe(py, state, &state.names.event_callbacks, callback)
}

fn subscribe_shutdown<'a, 'py>(
    py: Python<'py>,
    state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    let callback = callback(py, "subscribe_shutdown", arguments)?;
    subscribe(py, state, &state.names.shutdown_callbacks, callback)
}

fn subscribe_signals<'a, 'py>(
    py: Python<'py>,
    state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    let callback = callback(py, "subscribe_signals", arguments)?;
    if !state.launch.process_group.is_empty() {
        return subscribe(py, state, &state.names.signal_callbacks, callback);
    }
    let lines = stack(py)?;
    py.detach(|| {
        log::write(
            LogLevel::Info,
            "WSGI7042: subscribe_signals() is without effect in embedded mode: signals of Apache's children are Apache's",
        );
        lines.iter().for_each(|line| log::write(LogLevel::Info, line));
    });
    Ok(callback)
}

fn request_data<'a, 'py>(
    py: Python<'py>,
    _state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    no_arguments(py, "request_data", arguments)?;
    match request::current().and_then(|request| request.data(py)) {
        Some(data) => Ok(data),
        None => py.raise(Exception::Runtime, "no request is active for the current thread"),
    }
}

fn start_recording_metrics<'a, 'py>(
    py: Python<'py>,
    _state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    no_arguments(py, "start_recording_metrics", arguments)?;
    py.detach(metrics::arm);
    Ok(py.none())
}

fn request_metrics<'a, 'py>(
    py: Python<'py>,
    state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    no_arguments(py, "request_metrics", arguments)?;
    metrics::request_metrics(py, state.launch)
}

fn process_metrics<'a, 'py>(
    py: Python<'py>,
    state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    no_arguments(py, "process_metrics", arguments)?;
    metrics::process_metrics(py, state.launch)
}

fn server_metrics<'a, 'py>(
    py: Python<'py>,
    state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    no_arguments(py, "server_metrics", arguments)?;
    metrics::server_metrics(py, state.launch)
}

/// `report(level, text)`: writes to the process's log, for set_up.py.
fn report<'a, 'py>(py: Python<'py>, _state: &'static State, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
    let (Some(level), Some(text)) = (arguments.get(0), arguments.get(1)) else {
        return py.raise(Exception::Type, "report() takes level and text");
    };
    let level = u8::try_from(level.to_int()?).ok().and_then(LogLevel::from_number).unwrap_or(LogLevel::Error);
    let text = text.to_text()?;
    py.detach(|| text.lines().for_each(|line| log::write(level, line)));
    Ok(py.none())
}

/// `least_level()`: the least important level that is logged here, for `LogHandler`.
fn least_level<'a, 'py>(
    py: Python<'py>,
    _state: &'static State,
    _arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    py.int(request::current().map_or_else(log::level, |request| request.log_level).into())
}

/// `write_record(level, text, file, line)`: a record of an application, for `LogHandler`; each line of the text is one.
fn write_record<'a, 'py>(
    py: Python<'py>,
    _state: &'static State,
    arguments: Args<'a, 'py>,
) -> PyResult<'py, Object<'py>> {
    let (Some(level), Some(text), Some(file), Some(line)) =
        (arguments.get(0), arguments.get(1), arguments.get(2), arguments.get(3))
    else {
        return py.raise(Exception::Type, "write_record() takes level, text, file and line");
    };
    let level = u8::try_from(level.to_int()?).ok().and_then(LogLevel::from_number).unwrap_or(LogLevel::Error);
    let (text, file) = (text.to_text()?, file.to_text().unwrap_or_default());
    let line = line.to_int().ok().and_then(|line| u32::try_from(line).ok()).unwrap_or_default();
    // Empty lines too, but none behind the last newline.
    let records: Vec<_> = text
        .split_terminator('\n')
        .map(|text| LogRecord { level, file: file.as_bytes(), line, text: text.as_bytes() })
        .collect();
    match request::current() {
        Some(request) => request.log_records(py, &records),
        None => py.detach(|| records.iter().for_each(|record| log::write_record(*record))),
    }
    Ok(py.none())
}
