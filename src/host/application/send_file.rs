//! Hands a file that an application returns to Apache, instead of its blocks.
//!
//! Source: PEP 3333, "Optional Platform-Specific File Handling"; when it is done is as in mod_wsgi 6.1.1.

use super::environ;
use super::file_wrapper::FileWrapper;
use super::request::Request;
use super::run::{Stop, stop_at};
use crate::python::{Object, Python, base_value_of};
use crate::sys::reopen;
use mod_wsgi_core::wire::{LogLevel, RequestHead};
use std::fs::File;
use std::io;

/// Sends a result that is a wrapper around an ordinary file, from where it stands; `None` where it is anything else, and
/// has to be iterated over.
pub fn send<'py>(
    py: Python<'py>,
    request: &Request,
    result: &Object<'py>,
    head: &RequestHead<'_>,
) -> Option<Result<(), Stop<'py>>> {
    let wrapper = base_value_of::<FileWrapper>(&request.interpreter.state().types.file_wrapper.get(py), result)?;
    if request.with(py, |inner| inner.response.has_data()) {
        return None;
    }
    // What fails here fails again, or not, when the blocks are read, and is told then.
    let file = wrapper.file(py).ok()?;
    let descriptor = i32::try_from(file.call_method("fileno", []).ok()?.to_int().ok()?).ok()?;
    let offset = u64::try_from(file.call_method("tell", []).ok()?.to_int().ok()?).ok()?;
    let (again, size) = py.detach(|| open_again(descriptor)).ok()?;
    Some(pass_on(py, request, head, &again, offset, size.saturating_sub(offset)))
}

fn pass_on<'py>(
    py: Python<'py>,
    request: &Request,
    head: &RequestHead<'_>,
    file: &File,
    offset: u64,
    available: u64,
) -> Result<(), Stop<'py>> {
    let lacks = stop_at(py, request.send_file(py, file, offset, available))?;
    // The answer to HEAD has no body that could be too short.
    if lacks == 0 || environ::is_head(head) {
        return Ok(());
    }
    // Differs from mod_wsgi: it sends what is in memory behind the file's end. Test:
    // a_file_that_is_shorter_than_its_content_length_is_truncated.
    let text = format!(
        "WSGI7024: the file of a response has {available} bytes from where it stands, {lacks} fewer than Content-Length \
         says; the response is cut off"
    );
    request.log(py, LogLevel::Error, &text);
    Err(Stop::Short)
}

/// Opens an open file once more, with its size in bytes. Whoever sends it reads from there and moves the position, which
/// for a duplicate would be the application's position too, at a time when it may use the file for another request.
/// Called detached.
fn open_again(descriptor: i32) -> io::Result<(File, u64)> {
    let file = reopen::file(descriptor)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::ErrorKind::Unsupported.into()) }
}
