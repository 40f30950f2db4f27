//! Where the system has no datagram sockets with a path: nobody can make a sender.

use mod_wsgi_core::telemetry::{Datagram, Header};
use std::io;

/// Sends datagrams.
pub enum Sender {}

impl Sender {
    /// For a receiver's socket.
    ///
    /// # Errors
    /// That the system has none.
    pub fn new(_path: &[u8]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A report begins.
    pub fn begin(&self) {
        match *self {}
    }

    /// Sends what `encode` makes of a header with the time that it is now.
    pub fn send(&self, _encode: impl FnOnce(Header) -> Datagram) {
        match *self {}
    }

    /// Sends what `encode` makes of a header with that time.
    pub fn send_stamped(&self, _stamp: u64, _encode: impl FnOnce(Header) -> Datagram) {
        match *self {}
    }

    /// As [`Sender::send`]; nothing is sent after it.
    pub fn send_last(&self, _encode: impl FnOnce(Header) -> Datagram) {
        match *self {}
    }
}
