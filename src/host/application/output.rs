//! `wsgi.errors`, `sys.stderr` and `sys.stdout`: text streams whose lines become log records.

use super::request::{self, Request};
use super::state::State;
use crate::log;
use crate::python::{Args, Class, Definition, Exception, Fields, Object, PyResult, Python, new_instance};
use mod_wsgi_core::wire::LogLevel;
use std::ffi::CStr;
use std::sync::{Arc, Mutex};

/// The binary stream under a text stream.
pub struct Log {
    /// The name of the stream.
    name: &'static str,
    /// The request it belongs to; without one, the request that the writing thread runs.
    request: Option<Arc<Request>>,
    /// A line without its newline so far, written outside of any request.
    partial: Mutex<Vec<u8>>,
}

impl Fields for Log {}

impl Class for Log {
    const NAME: &'static CStr = c"mod_wsgi.Log";

    fn define(definition: Definition<Self>) -> Definition<Self> {
        definition
            .method(c"write", Self::write)
            .method(c"writelines", Self::writelines)
            .method(c"flush", Self::flush)
            .method(c"close", Self::flush)
            .method(c"isatty", Self::no)
            .method(c"readable", Self::no)
            .method(c"seekable", Self::no)
            .method(c"writable", Self::yes)
            .method(c"fileno", Self::fileno)
            .getter(c"name", |py, this| py.text(this.name))
            .getter(c"closed", |py, _this| Ok(py.bool(false)))
            .getter(c"encoding", |py, _this| py.text("utf-8"))
            .getter(c"errors", |py, _this| py.text("replace"))
    }
}

impl Log {
    fn put<'py>(&self, py: Python<'py>, data: &Object<'py>) -> PyResult<'py, usize> {
        let text = match data.copy_buffer() {
            Some(text) => text,
            None if data.is_text() => data.to_text()?.into_bytes(),
            None => {
                let text = format!("a log stream takes bytes, not {}", data.type_name());
                return py.raise(Exception::Type, &text);
            }
        };
        match &self.request {
            Some(request) => {
                request.expect_running(py)?;
                request.write_stream(py, &text);
            }
            None => match request::current() {
                Some(request) => request.write_stream(py, &text),
                None => {
                    let mut lines = Vec::new();
                    request::cut_lines(&mut py.lock(&self.partial), &text, |line| lines.push(line.to_vec()));
                    py.detach(|| lines.iter().for_each(|line| log::write_bytes(LogLevel::Error, line)));
                }
            },
        }
        Ok(text.len())
    }

    fn flush_lines(&self, py: Python<'_>) {
        let request = self.request.clone().or_else(request::current);
        if let Some(request) = request {
            request.flush_stream(py);
        }
        let partial = std::mem::take(&mut *py.lock(&self.partial));
        if !partial.is_empty() {
            py.detach(|| log::write_bytes(LogLevel::Error, &partial));
        }
    }

    fn write<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let (Some(data), 1) = (arguments.get(0), arguments.len()) else {
            return py.raise(Exception::Type, "write() takes one argument");
        };
        let length = this.put(py, &data)?;
        py.int(length as i64)
    }

    fn writelines<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let (Some(lines), 1) = (arguments.get(0), arguments.len()) else {
            return py.raise(Exception::Type, "writelines() takes one argument");
        };
        let lines = lines.iterator()?;
        while let Some(line) = lines.next()? {
            this.put(py, &line)?;
        }
        Ok(py.none())
    }

    fn flush<'a, 'py>(py: Python<'py>, this: &'a Self, _arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        this.flush_lines(py);
        Ok(py.none())
    }

    fn no<'a, 'py>(py: Python<'py>, _this: &'a Self, _arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        Ok(py.bool(false))
    }

    fn yes<'a, 'py>(py: Python<'py>, _this: &'a Self, _arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        Ok(py.bool(true))
    }

    fn fileno<'a, 'py>(py: Python<'py>, _this: &'a Self, _arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        py.raise(Exception::Os, "a log stream has no file descriptor")
    }
}

/// A text stream over a log: of a request, or of whatever the writing thread does.
///
/// # Errors
/// `MemoryError`.
pub fn stream<'py>(
    py: Python<'py>,
    state: &State,
    name: &'static str,
    request: Option<Arc<Request>>,
) -> PyResult<'py, Object<'py>> {
    let log = new_instance(&state.types.log.get(py), Log { name, request, partial: Mutex::default() })?;
    let (wrapper, values) = (&state.types.text_io_wrapper.get(py), &state.values);
    // buffer, encoding, errors, newline, line_buffering, write_through
    let (line, through) = (py.bool(true), py.bool(true));
    wrapper.call([&log, &values.utf8.get(py), &values.replace.get(py), &py.none(), &line, &through])
}
