//! Who this process is to the system.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{parent, user};
#[cfg(windows)]
pub use windows::{parent, user};
