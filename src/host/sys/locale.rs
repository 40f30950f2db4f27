//! `setlocale`, which Rust does not have.

use std::ffi::CString;

/// Sets all categories; `false` where the system does not know the locale. Call it before there are other threads.
pub fn set(name: &[u8]) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: a NUL-terminated text; no other thread runs yet, as the caller ensures.
    !unsafe { libc::setlocale(libc::LC_ALL, name.as_ptr()) }.is_null()
}
