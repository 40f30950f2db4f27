//! What a request needs from whatever carries it: the socket of a daemon, or Apache itself.

use crate::sys::descriptors::Number;
use mod_wsgi_core::wire::{FilePart, LogRecord};
use std::any::Any;
use std::ffi::c_void;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

/// The client is gone, or the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// What [`Exchange::try_send`] could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// Everything is on its way.
    Sent,
    /// [`Exchange::send`] is needed, for what is queued and so many bytes at the end of the piece.
    Left(usize),
}

/// Carries one request. Everything but [`Exchange::head`], [`Exchange::queue`] and [`Exchange::try_send`] may block and is
/// called detached from Python. Calls never overlap, but may come from several threads one after the other.
pub trait Exchange: Send {
    /// Appends the next piece of the request body, about `most` bytes or fewer; answers whether it was the last.
    ///
    /// # Errors
    /// Why the body cannot be read any further.
    fn read(&mut self, most: usize, into: &mut Vec<u8>) -> Result<bool, String>;

    /// Queues status and headers, the payload of a head frame.
    fn head(&mut self, payload: &[u8]);

    /// Queues a piece of the response body; it is copied.
    fn queue(&mut self, piece: &[u8]);

    /// Sends what is queued, and then `piece`, on its way to the client.
    ///
    /// # Errors
    /// [`Gone`].
    fn send(&mut self, piece: &[u8]) -> Result<(), Gone>;

    /// Sends what is queued, and then `piece`, as far as that goes without a wait.
    ///
    /// # Errors
    /// [`Gone`].
    fn try_send(&mut self, piece: &[u8]) -> Result<Tried, Gone> {
        Ok(Tried::Left(piece.len()))
    }

    /// Sends what is queued, and then a part of a file as the rest of the response body. Whoever gets it may move the
    /// position of the open file.
    ///
    /// # Errors
    /// [`Gone`].
    #[cfg(unix)]
    fn file(&mut self, file: BorrowedFd<'_>, part: FilePart) -> Result<(), Gone>;

    /// Writes a record to the log of the request's virtual host.
    fn log(&mut self, record: LogRecord<'_>);

    /// httpd's scoreboard, an encoded [`mod_wsgi_core::scoreboard::Scoreboard`], where it has to be asked for along with the
    /// request.
    fn scoreboard(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Whether mod_ssl encrypts the connection. Asked by scripts in Apache's children alone.
    fn is_https(&mut self) -> bool {
        false
    }

    /// A variable of mod_ssl. Asked by scripts in Apache's children alone.
    fn ssl_variable(&mut self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// httpd's `request_rec`, where the request is in Apache itself and is to have it.
    fn request_rec(&self) -> Option<NonNull<c_void>> {
        None
    }

    /// The socket to Apache, for whoever has to end a wait on it from another thread.
    fn socket(&self) -> Option<Number> {
        None
    }

    /// Itself, for whoever lent it.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}
