//! Signals as bytes in a pipe: no signal is blocked, so programs started by the application inherit nothing odd.

use super::{errno, fork, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handler(signal: libc::c_int) {
    // SAFETY: `_exit`, `write` and `errno` are allowed in a signal handler.
    unsafe {
        if fork::is_child() {
            libc::_exit(255);
        }
        let errno = errno::place();
        let before = *errno;
        let byte = signal as u8;
        libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *errno = before;
    }
}

/// Sends this process the signal that asks it to end.
pub fn terminate_self() {
    // SAFETY: a plain system call.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}

/// The signals a daemon process acts upon.
pub const HANDLED: [i32; 6] = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGXCPU, libc::SIGHUP, libc::SIGUSR2];

/// Catches [`HANDLED`]; the numbers of the signals arrive as bytes. Once for each process.
///
/// # Errors
/// What the system answers.
pub fn catch() -> rustix::io::Result<OwnedFd> {
    let (read, write) = pipe::pipe()?;
    PIPE.store(write.as_raw_fd(), Ordering::Relaxed);
    // The handler writes to it as long as the process lives.
    std::mem::forget(write);
    for signal in HANDLED {
        // SAFETY: the action is fully set; the handler does only what a handler may do.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&mut action.sa_mask);
            if libc::sigaction(signal, &action, std::ptr::null_mut()) < 0 {
                return Err(errno::last());
            }
        }
    }
    Ok(read)
}
