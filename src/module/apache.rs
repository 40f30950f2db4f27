//! The room around httpd and APR: the only place that names their symbols. Everything else of the module sees borrowed
//! wrappers that live as long as the callback they came with, and safe functions.

#![allow(unsafe_code)]

pub mod access;
pub mod body;
pub mod brigade;
#[cfg(unix)]
pub mod child;
#[cfg(unix)]
pub mod client;
pub mod command;
pub mod config;
mod ffi;
#[cfg(unix)]
pub mod file;
#[cfg(unix)]
mod filters;
pub mod hooks;
pub mod log;
pub mod pool;
pub mod request;
pub mod scoreboard;
pub mod server;
pub mod table;

use std::ffi::{CStr, c_char};

/// `OK` of a hook: done.
pub const OK: i32 = ffi::OK as i32;
/// `DECLINED` of a hook: not ours.
pub const DECLINED: i32 = ffi::DECLINED;
/// Any other failure of `post_config`: httpd does not start.
pub const REFUSED: i32 = ffi::HTTP_INTERNAL_SERVER_ERROR as i32;

/// The bytes of a C string; `None` where it is null.
///
/// # Safety
/// `text` is null or a NUL-terminated string that lives, unchanged, for `'a`.
unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller promises a NUL-terminated string that lives for 'a.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}
