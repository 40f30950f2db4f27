//! A pipe that no program inherits, and whose ends do not wait.

use std::os::fd::OwnedFd;

/// The end to read from, the end to write to.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "linux")]
pub fn pipe() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    use rustix::pipe::{PipeFlags, pipe_with};
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
}

/// The end to read from, the end to write to.
///
/// # Errors
/// What the system answers.
#[cfg(not(target_os = "linux"))]
pub fn pipe() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe()?;
    for end in [&read, &write] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok((read, write))
}
