//! A group's listening socket. It belongs to httpd's parent and lives as long as the group is configured, over reloads.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{SocketAddrUnix, sockopt};

/// What makes two configurations of a socket the same, so that a reload keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPlan {
    /// What the path begins with.
    pub prefix: PathBuf,
    /// Owner of the socket file; `None` where httpd was not started as root.
    pub owner: Option<u32>,
    /// Length of the queue.
    pub backlog: u32,
    /// `SO_SNDBUF` in bytes; 0 is the system's.
    pub send_buffer: u32,
    /// `SO_RCVBUF` in bytes; 0 is the system's.
    pub receive_buffer: u32,
}

/// A listening socket and its file.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Binds a socket at `<prefix>.<process id>.<number>.sock`, for its owner only.
    ///
    /// # Errors
    /// A sentence with the path, what was tried, what the system answered, and what to change.
    pub fn open(plan: &SocketPlan, number: u32) -> Result<Self, String> {
        Self::at(plan, PathBuf::from(format!("{}.{}.{number}.sock", plan.prefix.display(), std::process::id())))
    }

    /// Another one where this one was, after its file was removed.
    ///
    /// # Errors
    /// As [`Listener::open`].
    pub fn again(&self, plan: &SocketPlan) -> Result<Self, String> {
        Self::at(plan, self.path.clone())
    }

    fn at(plan: &SocketPlan, path: PathBuf) -> Result<Self, String> {
        let address = SocketAddrUnix::new(&path).map_err(|_| {
            format!("the path '{}' is too long for a socket: set a shorter WSGISocketPrefix", path.display())
        })?;
        let socket = socket(plan).map_err(|error| format!("a socket cannot be made: {error}"))?;
        // A file with this process's number in its name is left over from an earlier process.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("the old socket '{}' cannot be removed: {error}", path.display()));
            }
            _ => {}
        }
        let cannot = |what: &str, error: std::io::Error| {
            let folder = path.parent().unwrap_or(Path::new("/")).display();
            format!(
                "the socket '{}' cannot be {what}: {error}; does the folder '{folder}' exist, can it be written to, and has it room? WSGISocketPrefix names another",
                path.display()
            )
        };
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = rustix::net::bind(&socket, &address);
        rustix::process::umask(mask);
        bound.map_err(|error| cannot("made", error.into()))?;
        let backlog = i32::try_from(plan.backlog).unwrap_or(i32::MAX);
        rustix::net::listen(&socket, backlog).map_err(|error| cannot("listened on", error.into()))?;
        if let Some(owner) = plan.owner {
            std::os::unix::fs::chown(&path, Some(owner), None).map_err(|error| cannot("given to its owner", error))?;
        }
        Ok(Self { socket, path })
    }

    /// Whether its file is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// The path that Apache's children connect to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket, for a daemon.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Removes the file; new connections are refused.
    ///
    /// # Errors
    /// What the system answered.
    pub fn remove(&self) -> std::io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn socket(plan: &SocketPlan) -> rustix::io::Result<OwnedFd> {
    let socket = crate::sys::descriptors::unix_socket(true)?;
    if plan.send_buffer > 0 {
        sockopt::set_socket_send_buffer_size(&socket, plan.send_buffer as usize)?;
    }
    if plan.receive_buffer > 0 {
        sockopt::set_socket_recv_buffer_size(&socket, plan.receive_buffer as usize)?;
    }
    Ok(socket)
}
