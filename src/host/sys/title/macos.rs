//! Where macOS keeps the arguments, and the short name of a thread.

use std::ffi::CStr;

/// Begin and length of the arguments this process was started with, as far as they stand one behind the other.
pub fn room() -> Option<(usize, usize)> {
    // SAFETY: the system's list of arguments, each ended by NUL, and their number. Nobody changes it but `set`, in this thread.
    unsafe {
        let (list, count) = (*libc::_NSGetArgv(), usize::try_from(*libc::_NSGetArgc()).ok()?);
        if list.is_null() || count == 0 {
            return None;
        }
        let start = *list as usize;
        let mut end = start;
        for at in 0..count {
            let argument = *list.add(at);
            if argument as usize != end {
                break;
            }
            end += CStr::from_ptr(argument).to_bytes_with_nul().len();
        }
        Some((start, end - start))
    }
}

/// Names this thread.
pub fn name_thread(name: &CStr) {
    // SAFETY: a text that ends with NUL, and is copied.
    unsafe { libc::pthread_setname_np(name.as_ptr()) };
}
