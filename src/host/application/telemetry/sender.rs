//! Sends datagrams to a socket, and waits for whoever reads it a moment at most: the system keeps a few datagrams only (ten, where
//! nobody has changed it), and a report may be of many.

use crate::ignore;
use crate::log;
use crate::sys::{clock, fork};
use mod_wsgi_core::telemetry::{Datagram, Header};
use mod_wsgi_core::wire::LogLevel;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrUnix, sendto};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Room for datagrams on their way, in bytes.
const SEND_BUFFER: usize = 65536;

/// How long one datagram waits for room, and all those of one report together where each gets some.
const WAIT: Duration = Duration::from_millis(50);
const WAITS: Duration = Duration::from_millis(200);

/// What changes with every datagram.
#[derive(Default)]
struct State {
    sequence: u32,
    /// Whether the last one was sent.
    is_over: bool,
    /// Why the one before did not arrive.
    failure: Option<Errno>,
    /// How long datagrams may still wait.
    patience: Duration,
}

/// Sends datagrams in the order of their numbers, from any thread.
pub struct Sender {
    socket: UnixDatagram,
    address: SocketAddrUnix,
    /// The receiver's path, for messages.
    path: String,
    state: Mutex<State>,
}

impl Sender {
    /// For a receiver's socket, which need not be there.
    ///
    /// # Errors
    /// What the system answers.
    pub fn new(path: &[u8]) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(WAIT))?;
        // A smaller one does too.
        ignore(rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER));
        let shown = String::from_utf8_lossy(path).into_owned();
        Ok(Self { socket, address: SocketAddrUnix::new(path)?, path: shown, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A report begins: its datagrams may wait for room.
    pub fn begin(&self) {
        self.state().patience = WAITS;
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
        let mut state = self.state();
        if state.is_over || fork::is_child() {
            return;
        }
        state.is_over = is_last;
        state.sequence = state.sequence.wrapping_add(1);
        let header = Header { pid: std::process::id(), sequence: state.sequence, stamp };
        let failure = self.give(encode(header).bytes(), &mut state.patience).err();
        if let Some(error) = failure.filter(|_| state.failure != failure) {
            self.report(error);
        }
        state.failure = failure;
    }

    fn give(&self, bytes: &[u8], patience: &mut Duration) -> Result<usize, Errno> {
        let sent = sendto(&self.socket, bytes, SendFlags::DONTWAIT, &self.address);
        if sent != Err(Errno::AGAIN) || patience.is_zero() {
            return sent;
        }
        let begun = Instant::now();
        let sent = sendto(&self.socket, bytes, SendFlags::empty(), &self.address);
        // Who has not read anything all that time will not do so now.
        let is_stuck = sent == Err(Errno::AGAIN);
        *patience = if is_stuck { Duration::ZERO } else { patience.saturating_sub(begun.elapsed()) };
        sent
    }

    /// A receiver may come and go, so that it is said once for each reason, and as nothing to worry about.
    fn report(&self, error: Errno) {
        let (path, user) = (&self.path, rustix::process::geteuid().as_raw());
        let text = match error {
            Errno::AGAIN => {
                format!("WSGI7030: the receiver at {path} does not keep up, datagrams are lost")
            }
            error => format!(
                "WSGI7029: telemetry does not get to {path}: {error}; mod_wsgi-telemetry has to listen there, and user {user} to \
                 have permission to write to the socket and to pass its folder; it is tried again"
            ),
        };
        log::write(LogLevel::Info, &text);
    }
}
