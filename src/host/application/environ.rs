//! The environ dictionary of a request.
//!
//! Source: PEP 3333, "environ Variables"; the `mod_wsgi.*` and `apache.*` entries are those of mod_wsgi 6.1.1.

mod memo;

pub use memo::Memos;

use super::output::Stream;
use super::request::Request;
use super::state::State;
use crate::python::{Object, PyResult, Python, Stored};
use mod_wsgi_core::wire::{Key, Name, RequestHead, WireError};
use std::sync::Arc;

/// A request as it came to this process.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Its head.
    pub head: &'a RequestHead<'a>,
    /// What its environ says.
    pub facts: Facts<'a>,
    /// When a daemon got it, in microseconds since the epoch; 0 in embedded mode.
    pub daemon_start: u64,
    /// When the application's turn came, in microseconds since the epoch.
    pub application_start: u64,
    /// Number of the thread in this process, from 1.
    pub thread: u32,
}

/// What the entries of an environ say of the request. Of several entries of one name the last one counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Its id in Apache's logs.
    pub request_id: Option<&'a [u8]>,
    /// The process of Apache's that has it.
    pub server_pid: u32,
    /// Whether the URL's scheme is `https`.
    is_https: bool,
}

/// Checks that every entry can be read, so that [`build`] cannot fail half way.
///
/// # Errors
/// What is wrong with the first one that cannot.
pub fn check<'a>(head: &RequestHead<'a>) -> Result<Facts<'a>, WireError> {
    let mut facts = Facts::default();
    for entry in head.environ {
        match entry? {
            (Name::Known(Key::HTTPS), value) => facts.is_https = value.eq_ignore_ascii_case(b"on") || value == b"1",
            (Name::Known(Key::MOD_WSGI_REQUEST_ID), value) => facts.request_id = Some(value),
            (Name::Known(Key::MOD_WSGI_SERVER_PID), value) => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                facts.server_pid = number.unwrap_or_default();
            }
            _ => {}
        }
    }
    Ok(facts)
}

/// Makes the dictionary.
///
/// # Errors
/// `MemoryError`.
pub fn build<'py>(
    py: Python<'py>,
    state: &State,
    request: &Arc<Request>,
    errors: &Stream,
    incoming: &Incoming<'_>,
) -> PyResult<'py, Object<'py>> {
    let head = incoming.head;
    let shape = memo::shape(head);
    if let Some(environ) = state.memos.copy(py, state, shape, head)? {
        put_own(py, state, &environ, request, errors, incoming)?;
        return Ok(environ);
    }
    let environ = state.values.base.get(py).copy_dict()?;
    for (name, value) in head.environ.flatten() {
        put_entry(py, state, &environ, name, value)?;
    }
    put_own(py, state, &environ, request, errors, incoming)?;
    state.memos.consider(py, state, shape, head, &environ)?;
    Ok(environ)
}

/// Whether an entry is for this host alone, and not for applications.
fn is_hidden(name: Name<'_>) -> bool {
    match name {
        Name::Known(key) => key == Key::HTTPS,
        Name::Other(name) => name == b"PATH" || name.starts_with(b"mod_wsgi.x-"),
    }
}

/// The value of an entry as `str`: a path as file names are, everything else as PEP 3333 says.
///
/// # Errors
/// `MemoryError`.
pub fn text<'py>(py: Python<'py>, name: Name<'_>, value: &[u8]) -> PyResult<'py, Object<'py>> {
    match name {
        Name::Known(Key::DOCUMENT_ROOT | Key::SCRIPT_FILENAME) => py.file_name(value).or_else(|_| py.latin1(value)),
        _ => py.latin1(value),
    }
}

/// Puts an entry that came with the request.
fn put_entry<'py>(
    py: Python<'py>,
    state: &State,
    environ: &Object<'py>,
    name: Name<'_>,
    value: &[u8],
) -> PyResult<'py, ()> {
    match name {
        _ if is_hidden(name) => Ok(()),
        Name::Known(key) => {
            // The state holds as many keys as there are numbers.
            let Some(name) = state.keys.get(key.index()) else { return Ok(()) };
            environ.set_entry(&name.get(py), &text(py, Name::Known(key), value)?)
        }
        Name::Other(name) => environ.set_entry(&py.latin1(name)?, &py.latin1(value)?),
    }
}

/// Whether the client wants no body.
pub fn is_head(head: &RequestHead<'_>) -> bool {
    head.environ
        .flatten()
        .filter(|(name, _)| *name == Name::Known(Key::REQUEST_METHOD))
        .last()
        .is_some_and(|(_, method)| method == b"HEAD")
}

/// Puts httpd's `request_rec`, where the application is to have it.
///
/// # Errors
/// `MemoryError`.
pub fn put_request_rec<'py>(
    py: Python<'py>,
    state: &State,
    environ: &Object<'py>,
    request: &Request,
) -> PyResult<'py, ()> {
    let request_rec = request.with(py, |inner| inner.exchange.as_ref().and_then(|exchange| exchange.request_rec()));
    match request_rec {
        Some(request_rec) => environ.set_entry(&state.names.request_rec.get(py), &py.capsule(request_rec)?),
        None => Ok(()),
    }
}

/// Puts what is made here for each request.
fn put_own<'py>(
    py: Python<'py>,
    state: &State,
    environ: &Object<'py>,
    request: &Arc<Request>,
    errors: &Stream,
    incoming: &Incoming<'_>,
) -> PyResult<'py, ()> {
    let head = incoming.head;
    let (names, values) = (&state.names, &state.values);
    let put = |name: &Stored, value: &Object<'py>| environ.set_entry(&name.get(py), value);
    let seconds = |microseconds: u64| match microseconds {
        0 => Ok(values.zero.get(py).clone()),
        _ => py.float(microseconds as f64 / 1e6),
    };
    put(&names.wsgi_url_scheme, &if incoming.facts.is_https { &names.https } else { &names.http }.get(py))?;
    put(&names.wsgi_input, &state.types.input_object(py, request)?)?;
    put(&names.wsgi_errors, &errors.object(py))?;
    put_request_rec(py, state, environ, request)?;
    if head.callable == b"application" {
        put(&names.callable_object, &names.application.get(py))?;
    } else {
        put(&names.callable_object, &py.latin1(head.callable)?)?;
    }
    put(&names.request_start, &seconds(head.request_start)?)?;
    put(&names.queue_start, &seconds(head.queue_start)?)?;
    put(&names.daemon_start, &seconds(incoming.daemon_start)?)?;
    put(&names.application_start, &seconds(incoming.application_start)?)?;
    put(&names.thread_id, &py.int(incoming.thread.into())?)
}
