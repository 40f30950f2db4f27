//! What the threads of a daemon process wait on together: sockets, each under a name. One event wakes one thread.

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "macos")]
mod kqueue;

#[cfg(target_os = "linux")]
pub use epoll::Poller;
#[cfg(target_os = "macos")]
pub use kqueue::Poller;
