//! Where this library was loaded from.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::directory;
#[cfg(windows)]
pub use windows::directory;
