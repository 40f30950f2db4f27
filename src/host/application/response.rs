//! What an application has said about its response, and how much of it.
//!
//! Source: PEP 3333, "The start_response() Callable", "Handling the Content-Length Header".

use super::exchange::Exchange;
use super::request::Failure;
use mod_wsgi_core::wire::ResponseHeadWriter;

/// Status, headers and progress of a response.
#[derive(Debug, Default)]
pub struct Response {
    /// The payload of a head frame; empty before `start_response`.
    pub head: Vec<u8>,
    /// `Content-Length` of the application.
    pub content_length: Option<u64>,
    /// Whether `Content-Length` is something else than a length; refused when the response begins, as in mod_wsgi 6.1.1.
    pub bad_length: bool,
    /// Whether the head has been handed on.
    pub committed: bool,
    /// Length of the body so far, in bytes.
    sent: u64,
}

impl Response {
    fn commit(&mut self, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        if !self.committed {
            if self.head.is_empty() {
                return Err(Failure::NotStarted);
            }
            if self.bad_length {
                return Err(Failure::BadLength);
            }
            exchange.head(&self.head);
            self.committed = true;
        }
        Ok(())
    }

    /// The status that the application has given last; 500 where it has given none.
    pub fn status(&self) -> u16 {
        // A head begins with its status.
        self.head.first_chunk().map_or(500, |status| u16::from_le_bytes(*status))
    }

    /// Whether there is any of the body so far.
    pub fn has_data(&self) -> bool {
        self.sent > 0
    }

    /// Hands the head on if that has not happened, and answers how much of a file with so many bytes is the body. A file
    /// says how long the body is where the application does not.
    ///
    /// # Errors
    /// [`Failure::NotStarted`], [`Failure::BadLength`].
    pub fn commit_file(&mut self, exchange: &mut dyn Exchange, available: u64) -> Result<u64, Failure> {
        if self.content_length.is_none() && !self.bad_length && !self.committed && !self.head.is_empty() {
            let length = available.to_string();
            ResponseHeadWriter::resume(&mut self.head).header(b"Content-Length", length.as_bytes());
            self.content_length = Some(available);
        }
        self.commit(exchange)?;
        let length = self.content_length.map_or(available, |length| length.min(available));
        self.sent = length;
        Ok(length)
    }

    /// Hands the head on if that has not happened, and answers the part of `piece` that `Content-Length` has room for.
    ///
    /// # Errors
    /// [`Failure::NotStarted`], [`Failure::BadLength`].
    pub fn commit_and_clip<'a>(&mut self, exchange: &mut dyn Exchange, piece: &'a [u8]) -> Result<&'a [u8], Failure> {
        self.commit(exchange)?;
        let room = self.content_length.map_or(u64::MAX, |length| length.saturating_sub(self.sent));
        let kept = piece.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(piece);
        self.sent += kept.len() as u64;
        Ok(kept)
    }
}
