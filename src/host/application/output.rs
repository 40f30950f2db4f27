//! `wsgi.errors`, `sys.stderr` and `sys.stdout`: text streams whose lines become log records.

use super::request::{self, Request};
use super::state::{State, Types, Values};
use crate::log;
use crate::python::{
    Args, Borrowed, Class, Definition, Exception, Fields, Object, PyResult, Python, Stored, Visit, new_instance,
    value_of,
};
use mod_wsgi_core::wire::LogLevel;
use std::ffi::CStr;
use std::sync::{Arc, Mutex};

/// Whose lines they are.
#[derive(Clone)]
enum Owner {
    /// Of the request that the writing thread runs, or of the process.
    Thread,
    /// Of one request.
    Request(Arc<Request>),
    /// Of a request that is over.
    Over,
}

/// The binary stream under a text stream.
pub struct Log {
    /// The name of the stream.
    name: &'static str,
    owner: Mutex<Owner>,
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
                let text = format!("a bytes-like object is required, not '{}'", data.type_name());
                return py.raise(Exception::Type, &text);
            }
        };
        match self.owner(py) {
            Owner::Request(request) => {
                request.expect_running(py, "write() called on wsgi.errors")?;
                request.write_stream(py, &text);
            }
            Owner::Over => {
                return py.raise(Exception::Runtime, "write() called on wsgi.errors after request completed");
            }
            Owner::Thread => {
                let mut lines = Vec::new();
                request::cut_lines(&mut py.lock(&self.partial), &text, |line| lines.push(line.to_vec()));
                py.detach(|| lines.iter().for_each(|line| log::write_bytes(LogLevel::Error, line)));
            }
        }
        Ok(text.len())
    }

    /// Whose lines they are now: a stream of a thread writes for the request that the thread runs.
    fn owner(&self, py: Python<'_>) -> Owner {
        let owner = py.lock(&self.owner).clone();
        match (owner, request::current()) {
            (Owner::Thread, Some(request)) => Owner::Request(request),
            (owner, _) => owner,
        }
    }

    fn flush_lines(&self, py: Python<'_>) {
        if let Owner::Request(request) = self.owner(py) {
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

    fn fileno<'a, 'py>(py: Python<'py>, this: &'a Self, _arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        py.raise(Exception::Os, &format!("{} log object has no file descriptor", this.name.trim_matches(['<', '>'])))
    }
}

fn text_stream<'py>(
    py: Python<'py>,
    types: &Types,
    values: &Values,
    name: &'static str,
    owner: Owner,
) -> PyResult<'py, (Object<'py>, Object<'py>)> {
    let log = Log { name, owner: Mutex::new(owner), partial: Mutex::default() };
    let (log, wrapper) = (new_instance(&types.log.get(py), log)?, &types.text_io_wrapper.get(py));
    // buffer, encoding, errors, newline, line_buffering, write_through
    let (line, through) = (py.bool(true), py.bool(true));
    let stream = wrapper.call([&log, &values.utf8.get(py), &values.replace.get(py), &py.none(), &line, &through])?;
    Ok((stream, log))
}

/// A text stream for `sys.stderr` or `sys.stdout`.
///
/// # Errors
/// `MemoryError`.
pub fn thread_stream<'py>(py: Python<'py>, state: &State, name: &'static str) -> PyResult<'py, Object<'py>> {
    text_stream(py, &state.types, &state.values, name, Owner::Thread).map(|(stream, _)| stream)
}

/// `wsgi.errors` of a call of a script's function.
///
/// # Errors
/// `MemoryError`.
pub fn call_stream<'py>(py: Python<'py>, state: &State, request: &Arc<Request>) -> PyResult<'py, Object<'py>> {
    let owner = Owner::Request(Arc::clone(request));
    text_stream(py, &state.types, &state.values, "<log>", owner).map(|(stream, _)| stream)
}

/// `wsgi.errors` of a request. Making one takes longer than all else in a small request, so that those that no application
/// has kept or changed are used again.
pub struct Stream {
    stream: Stored,
    log: Stored,
    /// The values of [`SETTINGS`] when it was made.
    settings: [Stored; 3],
}

/// The settings that an application can change with `reconfigure()`.
const SETTINGS: [&str; 3] = ["encoding", "errors", "line_buffering"];

impl Fields for Stream {
    fn fields(&self, visit: &mut Visit<'_>) {
        visit.field(&self.stream);
        visit.field(&self.log);
        self.settings.iter().for_each(|setting| visit.field(setting));
    }
}

/// The streams that wait for a request.
#[derive(Default)]
pub struct Streams(Mutex<Vec<Stream>>);

impl Fields for Streams {
    fn fields(&self, visit: &mut Visit<'_>) {
        // Where the lock is held, the holder has the references too, which then only lets them live longer.
        if let Ok(streams) = self.0.try_lock() {
            streams.iter().for_each(|stream| stream.fields(visit));
        }
    }
}

impl Streams {
    /// A stream for a request.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn take<'py>(&self, py: Python<'py>, state: &State, request: &Arc<Request>) -> PyResult<'py, Stream> {
        let owner = Owner::Request(Arc::clone(request));
        let waiting = py.lock(&self.0).pop();
        if let Some(stream) = waiting {
            if let Some(log) = value_of::<Log>(&state.types.log.get(py), &stream.log.get(py)) {
                *py.lock(&log.owner) = owner;
                return Ok(stream);
            }
        }
        let (stream, log) = text_stream(py, &state.types, &state.values, "<wsgi.errors>", owner)?;
        let setting = |name: &str| stream.get(name).map(Stored::new);
        let [encoding, errors, line] = SETTINGS;
        let settings = [setting(encoding)?, setting(errors)?, setting(line)?];
        Ok(Stream { stream: Stored::new(stream), log: Stored::new(log), settings })
    }

    /// Takes a stream back once its request is done.
    pub fn give_back(&self, py: Python<'_>, state: &State, stream: Stream) {
        if stream.is_untouched(py, state) {
            if let Some(log) = value_of::<Log>(&state.types.log.get(py), &stream.log.get(py)) {
                *py.lock(&log.owner) = Owner::Over;
                py.lock(&self.0).push(stream);
                return;
            }
        }
        stream.fields(&mut Visit::new(&mut |stored| stored.clear(py)));
    }
}

impl Stream {
    /// The stream itself.
    pub fn object<'a, 'py>(&'a self, py: Python<'py>) -> Borrowed<'a, 'py> {
        self.stream.get(py)
    }

    /// Whether nobody holds it, and it is as it was made.
    fn is_untouched(&self, py: Python<'_>, state: &State) -> bool {
        // The text stream has the log, unless it was detached.
        if !self.stream.is_alone(py, 0) || !self.log.is_alone(py, 1) {
            return false;
        }
        let stream = self.stream.get(py);
        let names = &state.names;
        let same = [&names.encoding, &names.errors, &names.line_buffering]
            .into_iter()
            .zip(&self.settings)
            .all(|(name, setting)| stream.attribute(&name.get(py)).is_ok_and(|value| value.is(&setting.get(py))));
        same && stream.attribute(&names.dict.get(py)).is_ok_and(|attributes| !attributes.is_true())
    }
}
