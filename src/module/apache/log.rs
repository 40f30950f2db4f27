//! Lines for httpd's error log, at this module's level (`LogLevel wsgi:…`). Text is never a format.

use std::cell::RefCell;
use std::ffi::CString;

use mod_wsgi_core::wire::{LogLevel, LogRecord};

use super::ffi;
use super::request::Request;
use super::server::Server;

/// What `%F` of an `ErrorLogFormat` shows for lines that no source file of an application is known for.
const FILE: &std::ffi::CStr = c"mod_wsgi";

/// The file that a record comes from.
fn file(record: &LogRecord<'_>) -> std::borrow::Cow<'static, std::ffi::CStr> {
    if record.file.is_empty() { FILE.into() } else { c_text(record.file).into() }
}

/// The line that a record comes from.
fn line(record: &LogRecord<'_>) -> i32 {
    i32::try_from(record.line).unwrap_or_default()
}

fn c_text(text: &[u8]) -> CString {
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
    CString::new(text).unwrap_or_default()
}

/// Writes a line to the log of a request's virtual host.
pub fn request(r: Request<'_>, level: LogLevel, text: &[u8]) {
    request_record(r, &LogRecord::new(level, text));
}

thread_local! {
    /// The last error that was logged for the request of this thread.
    static LAST_ERROR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The last error that was logged for the request of this thread, if any was; it is forgotten.
#[must_use]
pub fn take_last_error() -> Vec<u8> {
    LAST_ERROR.try_with(RefCell::take).unwrap_or_default()
}

/// Writes a record to the log of a request's virtual host.
pub fn request_record(r: Request<'_>, record: &LogRecord<'_>) {
    if record.level <= LogLevel::Error {
        // A thread that ends has no use for it.
        LAST_ERROR.try_with(|last| last.replace(record.text.to_vec())).ok();
    }
    let (text, file) = (c_text(record.text), file(record));
    let level = record.level as i32;
    // SAFETY: the request is live, the texts are NUL-terminated; the shim gives the text to "%s".
    unsafe {
        let index = super::config::index();
        ffi::wsgi_shim_log_request(file.as_ptr(), line(record), index, level, r.raw(), text.as_ptr());
    }
}

/// Writes a line to a server's log.
pub fn server(s: Server<'_>, level: LogLevel, text: &str) {
    let text = c_text(text.as_bytes());
    // SAFETY: the server record is live, the texts are NUL-terminated; the shim gives the text to "%s".
    unsafe {
        ffi::wsgi_shim_log_server(FILE.as_ptr(), 0, super::config::index(), level as i32, s.raw(), text.as_ptr());
    }
}

/// Writes a line to the main server's log, from anywhere in a process of httpd's.
pub fn main_server(level: LogLevel, text: &[u8]) {
    main_server_record(&LogRecord::new(level, text));
}

/// Writes a record to the main server's log, from anywhere in a process of httpd's.
pub fn main_server_record(record: &LogRecord<'_>) {
    let (text, file) = (c_text(record.text), file(record));
    let level = record.level as i32;
    // SAFETY: httpd allows a null server and then writes to the main log (http_log.h); the shim gives the text to "%s".
    unsafe {
        let (index, main) = (super::config::index(), ffi::ap_server_conf);
        ffi::wsgi_shim_log_server(file.as_ptr(), line(record), index, level, main, text.as_ptr());
    }
}

/// Logs a panic of ours, where neither request nor server is at hand.
pub fn panicked(text: &str) {
    main_server(LogLevel::Crit, text.as_bytes());
}

/// The least important level that is logged for a request, a number of httpd's.
#[must_use]
pub fn level_of_request(r: Request<'_>) -> u8 {
    // SAFETY: the request is live.
    let level = unsafe { ffi::wsgi_shim_request_level(r.raw(), super::config::index()) };
    u8::try_from(level).unwrap_or_default()
}

/// The least important level that a server logs for this module, a number of httpd's.
#[must_use]
pub fn level_of(s: Server<'_>) -> u32 {
    // SAFETY: the server record is live.
    let level = unsafe { ffi::wsgi_shim_server_logs(s.raw(), super::config::index()) };
    u32::try_from(level).unwrap_or_default()
}
