//! `start_response` and `write`.
//!
//! Source: PEP 3333, "The start_response() Callable", "The write() Callable"; the checks in their order are those of
//! mod_wsgi 6.1.1.

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
        request.expect_running(py)?;
        let (Some(status), Some(headers), 2..=3) = (arguments.get(0), arguments.get(1), arguments.len()) else {
            let text = format!(
                "start_response() takes status, headers and optionally exc_info, {} arguments given",
                arguments.len()
            );
            return py.raise(Exception::Type, &text);
        };
        if !headers.is_list() {
            let text = format!("response headers must be a list, not {}", headers.type_name());
            return py.raise(Exception::Type, &text);
        }
        let exc_info = arguments.get(2).filter(|exc_info| !exc_info.is_none());
        if exc_info.as_ref().is_some_and(|exc_info| !exc_info.is_tuple()) {
            return py.raise(Exception::Runtime, "exc_info must be a tuple or None");
        }
        if request.with(py, |inner| inner.response.committed) {
            return match exc_info {
                Some(triple) => Err(Raised::from_triple(&triple)),
                None => py.raise(Exception::Runtime, "headers have already been sent"),
            };
        }
        let (head, content_length) = encode(py, &status, &headers)?;
        request.with(py, |inner: &mut Inner| {
            inner.response.head = head;
            inner.response.content_length = content_length;
        });
        let state = request.interpreter.state();
        let adapter = state.types.adapter_object(py, request)?;
        adapter.attribute(&state.names.write.get(py))
    }

    fn write<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        this.0.expect_running(py)?;
        let (Some(data), 1) = (arguments.get(0), arguments.len()) else {
            let text = format!("write() takes one argument, {} given", arguments.len());
            return py.raise(Exception::Type, &text);
        };
        let data = data.expect_bytes("write() takes bytes")?;
        this.0.send_piece(py, data, true).or_else(|failure| failure.raise(py))?;
        Ok(py.none())
    }
}

/// Checks status and headers and encodes them as the payload of a head frame; also the `Content-Length`.
fn encode<'py>(py: Python<'py>, status: &Object<'py>, headers: &Object<'py>) -> PyResult<'py, (Vec<u8>, Option<u64>)> {
    let mut line = Vec::with_capacity(32);
    if !status.is_text() {
        let text = format!("status must be a string, not {}", status.type_name());
        return py.raise(Exception::Type, &text);
    }
    status.put_latin1(&mut line)?;
    let code = match response_rules::status_code(&line) {
        Ok(code) => code,
        Err(error) => return py.raise(Exception::Value, rule_text(error)),
    };
    let mut head = Vec::with_capacity(256);
    let mut writer = ResponseHeadWriter::new(&mut head, code, &line);
    let mut content_length = None;
    let (mut name, mut value) = (Vec::with_capacity(32), Vec::with_capacity(64));
    let mut at = 0;
    while let Some(header) = headers.item(at)? {
        at += 1;
        if !header.is_tuple() {
            let text = format!("a response header must be a tuple, not {}", header.type_name());
            return py.raise(Exception::Type, &text);
        }
        let (Some(first), Some(second), None) = (header.item(0)?, header.item(1)?, header.item(2)?) else {
            return py.raise(Exception::Value, "a response header must be a tuple of name and value");
        };
        for (what, part) in [("name", &first), ("value", &second)] {
            if !part.is_text() {
                let text = format!("the {what} of a response header must be a string, not {}", part.type_name());
                return py.raise(Exception::Type, &text);
            }
        }
        name.clear();
        value.clear();
        first.put_latin1(&mut name)?;
        second.put_latin1(&mut value)?;
        if let Err(error) = response_rules::header_name(&name).and_then(|()| response_rules::header_value(&value)) {
            return py.raise(Exception::Value, rule_text(error));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            // Differs from mod_wsgi: a wrong length is refused here, where the traceback names the place, not at the
            // first data. Test: a_content_length_that_is_no_number_is_a_500.
            match response_rules::content_length(&value) {
                Ok(length) => content_length = Some(length),
                Err(error) => return py.raise(Exception::Value, rule_text(error)),
            }
        }
        writer.header(&name, &value);
    }
    Ok((head, content_length))
}

fn rule_text(error: RuleError) -> &'static str {
    match error {
        RuleError::StatusCode => "status must be three digits, alone or followed by a blank and a reason",
        RuleError::StatusControl => "the reason in the status holds a control character",
        RuleError::EmptyName => "a response header has an empty name",
        RuleError::NameControl => "the name of a response header holds a control character",
        RuleError::NameBlank => "the name of a response header holds a blank",
        RuleError::ValueControl => "the value of a response header holds a line break or a NUL",
        RuleError::ContentLength => "the value of Content-Length is not a length in bytes",
    }
}
