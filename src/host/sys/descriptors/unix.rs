//! Descriptors of Unix.

use rustix::io::FdFlags;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The number of a socket to Apache.
pub type Number = RawFd;

/// Takes over the open file of that number, which is not passed on to programs the application starts; `None` where there
/// is none. Each number may be taken once, and only at the start, before anything else opens files.
pub fn take(number: i32) -> Option<OwnedFd> {
    // SAFETY: the number was opened by whoever started this process, for this process.
    unsafe {
        if libc::fcntl(number, libc::F_GETFD) < 0 {
            return None;
        }
        let file = OwnedFd::from_raw_fd(number);
        rustix::io::fcntl_setfd(&file, FdFlags::CLOEXEC).ok()?;
        Some(file)
    }
}

/// Closes a socket of another thread for reading, or for both ways. Its number has to be open, and a socket.
pub fn shut_down(socket: Number, both: bool) {
    // SAFETY: a plain system call; what is no socket answers an error that changes nothing.
    unsafe {
        libc::shutdown(socket, if both { libc::SHUT_RDWR } else { libc::SHUT_RD });
    }
}

/// Ends the process at once, without running anything of Python or C.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` never returns and touches nothing.
    unsafe { libc::_exit(status) }
}
