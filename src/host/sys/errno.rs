//! The number of this thread's last error, for what has to put it back.

use std::ffi::c_int;

/// Where the number is; valid as long as the thread lives.
#[cfg(target_os = "linux")]
pub fn place() -> *mut c_int {
    // SAFETY: a plain question, allowed in signal handlers.
    unsafe { libc::__errno_location() }
}

/// Where the number is; valid as long as the thread lives.
#[cfg(target_os = "macos")]
pub fn place() -> *mut c_int {
    // SAFETY: a plain question, allowed in signal handlers.
    unsafe { libc::__error() }
}

/// The error itself.
pub fn last() -> rustix::io::Errno {
    // SAFETY: the place is this thread's.
    rustix::io::Errno::from_raw_os_error(unsafe { *place() })
}
