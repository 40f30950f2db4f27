//! The functions of the module `mod_wsgi`, and of its `LogHandler`.
//!
//! Source: the reference of mod_wsgi 6.1.1; `mod_wsgi-stubs` has the same for editors.

use super::metrics;
use super::request;
use super::state::State;
use crate::log;
use crate::python::{Args, Class, Definition, Exception, Fields, Object, PyResult, Python, Stored};
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::{LogLevel, LogRecord};
use std::ffi::CStr;

/// The object whose methods are the functions.
pub struct Members {
    /// The state of the module.
    pub state: &'static State,
    /// What this process was told.
    pub launch: &'static Launch,
}

/// The functions that are members of the module.
pub const PUBLIC: [&str; 8] = [
    "subscribe_events",
    "subscribe_shutdown",
    "subscribe_signals",
    "request_data",
    "start_recording_metrics",
    "request_metrics",
    "process_metrics",
    "server_metrics",
];

impl Fields for Members {}

impl Class for Members {
    const NAME: &'static CStr = c"mod_wsgi.Members";

    fn define(definition: Definition<Self>) -> Definition<Self> {
        definition
            .method(c"subscribe_events", Self::subscribe_events)
            .method(c"subscribe_shutdown", Self::subscribe_shutdown)
            .method(c"subscribe_signals", Self::subscribe_signals)
            .method(c"request_data", Self::request_data)
            .method(c"start_recording_metrics", Self::start_recording_metrics)
            .method(c"request_metrics", Self::request_metrics)
            .method(c"process_metrics", Self::process_metrics)
            .method(c"server_metrics", Self::server_metrics)
            .method(c"report", Self::report)
            .method(c"least_level", Self::least_level)
            .method(c"record", Self::record)
    }
}

fn no_arguments<'py>(py: Python<'py>, name: &str, arguments: Args<'_, 'py>) -> PyResult<'py, ()> {
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

impl Members {
    /// Appends a callback to a list of the module.
    fn subscribe<'py>(&self, py: Python<'py>, list: &Stored, callback: Object<'py>) -> PyResult<'py, Object<'py>> {
        let name = list.get(py);
        match self.state.values.namespace.get(py).entry(&name).filter(|list| list.is_list()) {
            Some(list) => list.append(&callback)?,
            None => return py.raise(Exception::Type, &format!("mod_wsgi.{} is not a list", name.display())),
        }
        Ok(callback)
    }

    fn subscribe_events<'a, 'py>(
        py: Python<'py>,
        this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        let callback = callback(py, "subscribe_events", arguments)?;
        this.subscribe(py, &this.state.names.event_callbacks, callback)
    }

    fn subscribe_shutdown<'a, 'py>(
        py: Python<'py>,
        this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        let callback = callback(py, "subscribe_shutdown", arguments)?;
        this.subscribe(py, &this.state.names.shutdown_callbacks, callback)
    }

    fn subscribe_signals<'a, 'py>(
        py: Python<'py>,
        this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        let callback = callback(py, "subscribe_signals", arguments)?;
        if !this.launch.process_group.is_empty() {
            return this.subscribe(py, &this.state.names.signal_callbacks, callback);
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

    fn request_data<'a, 'py>(py: Python<'py>, _this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        no_arguments(py, "request_data", arguments)?;
        match request::current().and_then(|request| request.data(py)) {
            Some(data) => Ok(data),
            None => py.raise(Exception::Runtime, "no request is active for the current thread"),
        }
    }

    fn start_recording_metrics<'a, 'py>(
        py: Python<'py>,
        _this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        no_arguments(py, "start_recording_metrics", arguments)?;
        py.detach(metrics::arm);
        Ok(py.none())
    }

    fn request_metrics<'a, 'py>(
        py: Python<'py>,
        this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        no_arguments(py, "request_metrics", arguments)?;
        metrics::request_metrics(py, this.launch)
    }

    fn process_metrics<'a, 'py>(
        py: Python<'py>,
        _this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        no_arguments(py, "process_metrics", arguments)?;
        metrics::process_metrics(py)
    }

    fn server_metrics<'a, 'py>(
        py: Python<'py>,
        this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        no_arguments(py, "server_metrics", arguments)?;
        metrics::server_metrics(py, this.launch)
    }

    /// `report(level, text)`: writes to the process's log, for set_up.py.
    fn report<'a, 'py>(py: Python<'py>, _this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let (Some(level), Some(text)) = (arguments.get(0), arguments.get(1)) else {
            return py.raise(Exception::Type, "report() takes level and text");
        };
        let level = u8::try_from(level.to_int()?).ok().and_then(LogLevel::from_number).unwrap_or(LogLevel::Error);
        let text = text.to_text()?;
        py.detach(|| text.lines().for_each(|line| log::write(level, line)));
        Ok(py.none())
    }

    /// `least_level()`: the least important level that is logged here, for `LogHandler`.
    fn least_level<'a, 'py>(py: Python<'py>, _this: &'a Self, _arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        py.int(request::current().map_or_else(log::level, |request| request.log_level).into())
    }

    /// `record(level, text, file, line)`: a record of an application, for `LogHandler`; each line of the text is one.
    fn record<'a, 'py>(py: Python<'py>, _this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let (Some(level), Some(text), Some(file), Some(line)) =
            (arguments.get(0), arguments.get(1), arguments.get(2), arguments.get(3))
        else {
            return py.raise(Exception::Type, "record() takes level, text, file and line");
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
}
