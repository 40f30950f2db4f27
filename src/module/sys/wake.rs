//! Lets the end of a child process wake httpd's parent, which otherwise looks for ended processes once a second.

use std::sync::atomic::{AtomicBool, Ordering};

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// It is enough that there is one: the sleep of the parent ends early.
extern "C" fn handler(_signal: libc::c_int) {}

/// From now on the end of a child process ends a sleep, unless another module has a handler of its own. System calls that
/// can be restarted are.
pub fn at_the_end_of_a_child() {
    // SAFETY: the actions are fully set; the handler does nothing.
    unsafe {
        let (mut action, mut before): (libc::sigaction, libc::sigaction) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut before);
        if before.sa_sigaction != libc::SIG_DFL {
            return;
        }
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        libc::sigemptyset(&raw mut action.sa_mask);
        if libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()) == 0 {
            INSTALLED.store(true, Ordering::Relaxed);
        }
    }
}

/// In an Apache child: the signal is as httpd had it.
pub fn no_more() {
    if INSTALLED.swap(false, Ordering::Relaxed) {
        // SAFETY: a plain system call.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
}
