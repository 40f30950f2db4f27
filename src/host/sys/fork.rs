//! Knows a process that the application forked: it shares the daemon's sockets and must leave them alone.

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
