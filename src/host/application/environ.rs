//! The environ dictionary of a request.
//!
//! Source: PEP 3333, "environ Variables"; the `mod_wsgi.*` and `apache.*` entries are those of mod_wsgi 6.1.1.

use super::output;
use super::request::Request;
use super::state::State;
use crate::python::{Object, PyResult, Python};
use crate::sys::clock;
use mod_wsgi_core::wire::{Key, Name, RequestHead, WireError};
use std::sync::Arc;

/// When and where a request came to this process.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When a daemon got it, in microseconds since the epoch; 0 in embedded mode.
    pub daemon_start: u64,
    /// Number of the thread in this process, from 1.
    pub thread: u32,
}

/// Checks that every entry can be read, so that [`build`] cannot fail half way.
///
/// # Errors
/// What is wrong with the first one that cannot.
pub fn check(head: &RequestHead<'_>) -> Result<(), WireError> {
    { head.environ }.try_for_each(|entry| entry.map(|_| ()))
}

/// Makes the dictionary.
///
/// # Errors
/// `MemoryError`.
pub fn build<'py>(
    py: Python<'py>,
    state: &State,
    request: &Arc<Request>,
    head: &RequestHead<'_>,
    arrival: Arrival,
) -> PyResult<'py, Object<'py>> {
    let environ = state.values.base.get(py).copy_dict()?;
    let mut https = false;
    for (name, value) in head.environ.flatten() {
        match name {
            Name::Known(Key::HTTPS) => https = value.eq_ignore_ascii_case(b"on") || value == b"1",
            Name::Known(key) => {
                // The state holds as many keys as there are numbers.
                let Some(name) = state.keys.get(key.index()) else { continue };
                let value = match key {
                    Key::DOCUMENT_ROOT | Key::SCRIPT_FILENAME => py.file_name(value).or_else(|_| py.latin1(value))?,
                    _ => py.latin1(value)?,
                };
                environ.set_entry(&name.get(py), &value)?;
            }
            Name::Other(b"PATH") => {}
            Name::Other(name) if name.starts_with(b"mod_wsgi.x-") => {}
            Name::Other(name) => environ.set_entry(&py.latin1(name)?, &py.latin1(value)?)?,
        }
    }
    let (names, values) = (&state.names, &state.values);
    let put = |name: &crate::python::Stored, value: &Object<'py>| environ.set_entry(&name.get(py), value);
    let seconds = |microseconds: u64| match microseconds {
        0 => Ok(values.zero.get(py).clone()),
        _ => py.float(microseconds as f64 / 1e6),
    };
    put(&names.wsgi_url_scheme, &if https { &names.https } else { &names.http }.get(py))?;
    put(&names.wsgi_input, &state.types.input_object(py, request)?)?;
    put(&names.wsgi_errors, &output::stream(py, state, "<wsgi.errors>", Some(Arc::clone(request)))?)?;
    if head.callable == b"application" {
        put(&names.callable_object, &names.application.get(py))?;
    } else {
        put(&names.callable_object, &py.latin1(head.callable)?)?;
    }
    put(&names.request_start, &seconds(head.request_start)?)?;
    put(&names.queue_start, &seconds(head.queue_start)?)?;
    put(&names.daemon_start, &seconds(arrival.daemon_start)?)?;
    put(&names.application_start, &seconds(clock::microseconds())?)?;
    put(&names.thread_id, &py.int(arrival.thread.into())?)?;
    Ok(environ)
}
