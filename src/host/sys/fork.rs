//! Knows a process that the application forked: it shares the daemon's sockets and must leave them alone.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::{end_child, is_child, watch};

/// Begins to watch for forks. Windows starts every process anew.
#[cfg(windows)]
pub fn watch() {}

/// Whether this process was forked.
#[cfg(windows)]
pub fn is_child() -> bool {
    false
}

/// Ends a process that was forked: this one was not.
#[cfg(windows)]
pub fn end_child(_status: i32) {}
