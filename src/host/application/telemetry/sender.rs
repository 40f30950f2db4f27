//! Sends datagrams to a socket, without waiting for whoever reads it.

use crate::ignore;
use crate::log;
use crate::sys::{clock, fork};
use mod_wsgi_core::telemetry::{Datagram, Header};
use mod_wsgi_core::wire::LogLevel;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Room for datagrams on their way, in bytes.
const SEND_BUFFER: usize = 65536;

/// What changes with every datagram.
#[derive(Default)]
struct State {
    sequence: u32,
    /// Whether the last one was sent.
    is_over: bool,
    /// Why the one before did not arrive.
    failure: Option<io::ErrorKind>,
}

/// Sends datagrams in the order of their numbers, from any thread.
pub struct Sender {
    socket: UnixDatagram,
    path: PathBuf,
    state: Mutex<State>,
}

impl Sender {
    /// For a receiver's socket, which need not be there.
    ///
    /// # Errors
    /// What the system answers.
    pub fn new(path: &[u8]) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // A smaller one does too.
        ignore(rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER));
        Ok(Self { socket, path: Path::new(OsStr::from_bytes(path)).to_path_buf(), state: Mutex::default() })
    }

    /// Sends what `encode` makes of a header with the time that it is now.
    pub fn send(&self, encode: impl FnOnce(Header) -> Datagram) {
        self.deliver(clock::microseconds(), false, encode);
    }

    /// Sends what `encode` makes of a header with that time, in microseconds since the epoch.
    pub fn send_stamped(&self, stamp: u64, encode: impl FnOnce(Header) -> Datagram) {
        self.deliver(stamp, false, encode);
    }

    /// As [`Sender::send`]; nothing is sent after it.
    pub fn send_last(&self, encode: impl FnOnce(Header) -> Datagram) {
        self.deliver(clock::microseconds(), true, encode);
    }

    fn deliver(&self, stamp: u64, is_last: bool, encode: impl FnOnce(Header) -> Datagram) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_over || fork::is_child() {
            return;
        }
        state.is_over = is_last;
        state.sequence = state.sequence.wrapping_add(1);
        let header = Header { pid: std::process::id(), sequence: state.sequence, stamp };
        let failure = self.socket.send_to(encode(header).bytes(), &self.path).err();
        let kind = failure.as_ref().map(io::Error::kind);
        if let Some(error) = failure.filter(|_| state.failure != kind) {
            self.report(&error);
        }
        state.failure = kind;
    }

    /// A receiver may come and go, so that it is said once for each reason, and as nothing to worry about.
    fn report(&self, error: &io::Error) {
        let user = rustix::process::geteuid().as_raw();
        let path = self.path.display();
        let text = match error.kind() {
            io::ErrorKind::WouldBlock => {
                format!("WSGI7030: the receiver at {path} does not keep up, datagrams are lost")
            }
            _ => format!(
                "WSGI7029: telemetry does not get to {path}: {error}; mod_wsgi-telemetry has to listen there, and user {user} to \
                 have permission to write to the socket and to pass its folder; it is tried again"
            ),
        };
        log::write(LogLevel::Info, &text);
    }
}
