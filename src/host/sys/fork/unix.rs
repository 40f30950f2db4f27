//! Forks as Unix has them.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static CHILD: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    CHILD.store(true, Ordering::Relaxed);
}

/// Begins to watch for forks.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only stores to an atomic, which is allowed after a fork of a process with threads.
        unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        }
    });
}

/// Whether this process was forked from the one that called [`watch`].
pub fn is_child() -> bool {
    CHILD.load(Ordering::Relaxed)
}

/// Ends this process at once with a status, if it was forked from the one that called [`watch`].
pub fn end_child(status: i32) {
    if is_child() {
        super::super::descriptors::exit_now(status);
    }
}
