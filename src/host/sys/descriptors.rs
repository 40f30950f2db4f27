//! The open files a daemon process is started with, and its sockets.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::{Number, exit_now, shut_down, take};

/// The number of a socket to Apache. Without daemon processes there is none.
#[cfg(not(unix))]
#[derive(Debug, Clone, Copy)]
pub enum Number {}

/// Closes a socket of another thread.
#[cfg(not(unix))]
pub fn shut_down(socket: Number, _both: bool) {
    match socket {}
}
