//! `start_response` and `write`.
//!
//! Source: PEP 3333, "The start_response() Callable", "The write() Callable"; the checks in their order are those of
//! mod_wsgi 6.1.1.

use super::events;
use super::request::{Inner, Request};
use crate::python::{Args, Class, Definition, Exception, Fields, Object, PyResult, Python, Raised};
use mod_wsgi_core::response_rules::{self, RuleError};
use mod_wsgi_core::wire::ResponseHeadWriter;
use std::ffi::CStr;
use std::sync::Arc;

/// The object whose methods are `start_response` and `write`.
pub struct Adapter(pub Arc<Request>);

impl Fields for Adapter {}

impl Class for Adapter {
    const NAME: &'static CStr = c"mod_wsgi.Adapter";

    fn define(definition: Definition<Self>) -> Definition<Self> {
        definition.method(c"start_response", Self::start_response).method(c"write", Self::write)
    }
}

impl Adapter {
    fn start_response<'a, 'py>(
        py: Python<'py>,
        this: &'a Self,
        arguments: Args<'a, 'py>,
    ) -> PyResult<'py, Object<'py>> {
        let request = &this.0;
        request.expect_running(py, "start_response() called")?;
        let (Some(status), Some(headers), 2..=3) = (arguments.get(0), arguments.get(1), arguments.len()) else {
            let given = arguments.len();
            let limit = if given < 2 { "at least 2" } else { "at most 3" };
            return py.raise(Exception::Type, &format!("start_response() takes {limit} arguments ({given} given)"));
        };
        if !headers.is_list() {
            let text = format!("start_response() argument 2 must be list, not {}", headers.type_name());
            return py.raise(Exception::Type, &text);
        }
        let exc_info = arguments.get(2).filter(|exc_info| !exc_info.is_none());
        if exc_info.as_ref().is_some_and(|exc_info| !exc_info.is_tuple()) {
            return py.raise(Exception::Runtime, "start_response() argument 'exc_info' must be a 3-tuple or None");
        }
        if request.with(py, |inner| inner.response.committed) {
            return match exc_info {
                Some(triple) => Err(Raised::from_triple(&triple)),
                None => py.raise(Exception::Runtime, "start_response() called more than once without exc_info"),
            };
        }
        let none = py.none();
        events::response_started(py, request, &status, &headers, exc_info.as_deref().unwrap_or(&none))?;
        let (head, length) = encode(py, &status, &headers)?;
        request.with(py, |inner: &mut Inner| {
            inner.response.head = head;
            inner.response.content_length = length.flatten();
            inner.response.bad_length = length == Some(None);
        });
        let state = request.interpreter.state();
        let adapter = state.types.adapter_object(py, request)?;
        adapter.attribute(&state.names.write.get(py))
    }

    fn write<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        this.0.expect_running(py, "write() called")?;
        let (Some(data), 1) = (arguments.get(0), arguments.len()) else {
            let text = format!("write() takes exactly 1 argument ({} given)", arguments.len());
            return py.raise(Exception::Type, &text);
        };
        let data = data.expect_bytes("write() argument must be bytes")?;
        if data.is_empty() {
            this.0.with(py, |inner| inner.tally.output_writes += 1);
        }
        this.0.send_piece(py, data, true).or_else(|failure| failure.raise(py))?;
        Ok(py.none())
    }
}

/// Checks status and headers and encodes them as the payload of a head frame; also the `Content-Length`, `Some(None)` where it
/// is no length.
fn encode<'py>(
    py: Python<'py>,
    status: &Object<'py>,
    headers: &Object<'py>,
) -> PyResult<'py, (Vec<u8>, Option<Option<u64>>)> {
    let mut line = Vec::with_capacity(32);
    expect_text(status)?;
    status.put_latin1(&mut line)?;
    let code = match response_rules::status_code(&line) {
        Ok(code) => code,
        Err(error) => return refuse(py, error, &line),
    };
    let mut head = Vec::with_capacity(256);
    let mut writer = ResponseHeadWriter::new(&mut head, code, &line);
    let mut content_length = None;
    let (mut name, mut value) = (Vec::with_capacity(32), Vec::with_capacity(64));
    let mut at = 0;
    while let Some(header) = headers.item(at)? {
        at += 1;
        if !header.is_tuple() {
            let text = format!("each header must be a 2-tuple, not {}", header.type_name());
            return py.raise(Exception::Type, &text);
        }
        let (Some(first), Some(second), None) = (header.item(0)?, header.item(1)?, header.item(2)?) else {
            let text = format!("each header must be a 2-tuple, got length {}", header.length()?);
            return py.raise(Exception::Value, &text);
        };
        expect_text(&first)?;
        expect_text(&second)?;
        name.clear();
        value.clear();
        first.put_latin1(&mut name)?;
        second.put_latin1(&mut value)?;
        if let Err(error) = response_rules::header_name(&name) {
            return refuse(py, error, &name);
        }
        if let Err(error) = response_rules::header_value(&value) {
            return refuse(py, error, &value);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            // Of several the last one counts, unless one of them is no length.
            content_length = match content_length {
                Some(None) => Some(None),
                _ => Some(response_rules::content_length(&value).ok()),
            };
        }
        writer.header(&name, &value);
    }
    Ok((head, content_length))
}

fn expect_text<'py>(object: &Object<'py>) -> PyResult<'py, ()> {
    if object.is_text() {
        return Ok(());
    }
    object.py().raise(Exception::Type, &format!("must be str, not {}", object.type_name()))
}

/// The exception for a broken rule. The texts are those of mod_wsgi 6.1.1, which applications compare.
fn refuse<'py, T>(py: Python<'py>, error: RuleError, value: &[u8]) -> PyResult<'py, T> {
    let text = match error {
        RuleError::StatusCode => match value.split_at_checked(3) {
            Some((code, [next, ..])) if code.iter().all(u8::is_ascii_digit) && !next.is_ascii_digit() => {
                "no space following status code"
            }
            _ => "status code must be a 3 digit integer",
        },
        RuleError::StatusControl => "control character in status reason phrase",
        RuleError::EmptyName => return py.raise(Exception::Value, "header name is empty"),
        RuleError::NameControl => "control character in header name",
        RuleError::NameBlank => "space character in header name",
        RuleError::ValueControl if value.contains(&0) => "NUL character in header value",
        RuleError::ValueControl => "carriage return/line feed character in header value",
        RuleError::ContentLength => "Content-Length is not a length in bytes",
    };
    let shown = py.bytes(value)?.repr();
    py.raise(Exception::Value, &format!("{text}: {shown}"))
}
