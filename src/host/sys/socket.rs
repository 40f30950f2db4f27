//! What systems do in different ways with the sockets between a daemon process and Apache.

use rustix::io::Result;
use rustix::net::SendFlags;
use std::os::fd::{AsFd, OwnedFd};

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// User id.
    pub user: u32,
    /// Process id.
    pub process: i32,
}

/// Whether a socket that is closed for reading still gives what has come before, and refuses what the other side sends after
/// it. Elsewhere what has come is lost, and what is sent later vanishes.
pub const KEEPS_INPUT: bool = cfg!(target_os = "linux");

/// For sending on a socket that went through [`quiet`]: where the other side is gone there is an error and no signal.
#[cfg(target_os = "linux")]
pub const QUIET: SendFlags = SendFlags::NOSIGNAL;
/// For sending on a socket that went through [`quiet`]: where the other side is gone there is an error and no signal.
#[cfg(target_os = "macos")]
pub const QUIET: SendFlags = SendFlags::empty();

/// Lets nothing that is sent on a socket end in a signal; see [`QUIET`].
#[cfg(target_os = "linux")]
pub fn quiet(_socket: impl AsFd) {}

/// Lets nothing that is sent on a socket end in a signal; see [`QUIET`].
#[cfg(target_os = "macos")]
pub fn quiet(socket: impl AsFd) {
    // It fails where the other side is gone already; Python ignores the signal unless the application has changed that.
    crate::ignore(rustix::net::sockopt::set_socket_nosigpipe(socket, true));
}

/// Takes a connection, whose calls wait though the listener's do not.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "linux")]
pub fn accept(listener: impl AsFd) -> Result<OwnedFd> {
    rustix::net::accept_with(listener, rustix::net::SocketFlags::CLOEXEC)
}

/// Takes a connection, whose calls wait though the listener's do not.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "macos")]
pub fn accept(listener: impl AsFd) -> Result<OwnedFd> {
    let socket = rustix::net::accept(listener)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    quiet(&socket);
    Ok(socket)
}

/// Gives a connection more room for what Apache has not read yet, so that a thread which streams waits less often: twice the
/// system's default, which is as much as a process may have by default, or what was set for its listener.
pub fn widen(socket: impl AsFd, listener: impl AsFd) {
    use rustix::net::sockopt::{set_socket_send_buffer_size, socket_send_buffer_size};
    // Linux keeps twice of what is set, and tells that.
    let factor = if cfg!(target_os = "linux") { 2 } else { 1 };
    if let (Ok(own), Ok(group)) = (socket_send_buffer_size(&socket), socket_send_buffer_size(listener)) {
        let wanted = if group == own { 2 * own } else { group };
        // With less room it works too.
        crate::ignore(set_socket_send_buffer_size(&socket, wanted / factor));
    }
}

/// Who is at the other end of a socket.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "linux")]
pub fn peer(socket: impl AsFd) -> Result<Peer> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Peer { user: peer.uid.as_raw(), process: peer.pid.as_raw_nonzero().get() })
}

/// Who is at the other end of a socket; process 0 where the system does not say which one it is.
///
/// # Errors
/// What the system answers.
#[cfg(target_os = "macos")]
pub fn peer(socket: impl AsFd) -> Result<Peer> {
    use std::os::fd::AsRawFd;

    let socket = socket.as_fd().as_raw_fd();
    let (mut user, mut group, mut process) = (0, 0, 0);
    let mut length = size_of::<libc::pid_t>() as libc::socklen_t;
    // SAFETY: the socket is open during the calls, and the numbers are ours and of the sizes that are told.
    unsafe {
        if libc::getpeereid(socket, &raw mut user, &raw mut group) != 0 {
            return Err(super::errno::last());
        }
        let process = (&raw mut process).cast();
        libc::getsockopt(socket, libc::SOL_LOCAL, libc::LOCAL_PEERPID, process, &raw mut length);
    }
    Ok(Peer { user, process })
}
