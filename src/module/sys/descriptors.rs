//! Pipes and sockets that no program inherits unless it is meant to. On Linux they are born so; elsewhere they are made so
//! right after, which is as good in httpd's parent, where one thread runs, and in children, which start no programs themselves.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

/// A pipe: the end to read from, the end to write to.
#[cfg(target_os = "linux")]
pub fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// A stream socket for a path, whose calls do not wait if it is `nonblocking`.
#[cfg(target_os = "linux")]
pub fn unix_socket(nonblocking: bool) -> rustix::io::Result<OwnedFd> {
    let flags = if nonblocking { SocketFlags::CLOEXEC | SocketFlags::NONBLOCK } else { SocketFlags::CLOEXEC };
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// How messages are received that bring descriptors along.
#[cfg(target_os = "linux")]
pub const WITH_DESCRIPTORS: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// A descriptor that has come along with a message, which no program inherits.
#[cfg(target_os = "linux")]
pub fn received(descriptor: OwnedFd) -> OwnedFd {
    descriptor
}

#[cfg(not(target_os = "linux"))]
fn keep(descriptor: &OwnedFd) -> rustix::io::Result<()> {
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)
}

/// A pipe: the end to read from, the end to write to.
#[cfg(not(target_os = "linux"))]
pub fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe()?;
    keep(&read)?;
    keep(&write)?;
    Ok((read, write))
}

/// A stream socket for a path, whose calls do not wait if it is `nonblocking`.
#[cfg(not(target_os = "linux"))]
pub fn unix_socket(nonblocking: bool) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    keep(&socket)?;
    rustix::io::ioctl_fionbio(&socket, nonblocking)?;
    Ok(socket)
}

/// How messages are received that bring descriptors along.
#[cfg(not(target_os = "linux"))]
pub const WITH_DESCRIPTORS: RecvFlags = RecvFlags::empty();

/// A descriptor that has come along with a message, which no program inherits.
#[cfg(not(target_os = "linux"))]
pub fn received(descriptor: OwnedFd) -> OwnedFd {
    // It fails only for what is not open, and this is.
    keep(&descriptor).ok();
    descriptor
}
