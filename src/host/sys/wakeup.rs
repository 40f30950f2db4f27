//! Something that threads wait for besides sockets, and that other threads make readable.

#[cfg(target_os = "linux")]
mod eventfd;
#[cfg(target_os = "macos")]
mod pipe;

#[cfg(target_os = "linux")]
pub use eventfd::Wakeup;
#[cfg(target_os = "macos")]
pub use pipe::Wakeup;
