//! The wire between an Apache child and a daemon process.
//!
//! One request at a time per connection; a connection is kept and used again. Everything is a frame: a header of
//! eight bytes (kind, flags, two zero bytes, payload length as little-endian `u32`) and the payload. Encoding appends
//! to a `Vec<u8>`; decoding borrows from a byte slice and never allocates or panics.
//!
//! The request body is *pulled*: the daemon asks with [`Kind::Want`] when the application reads, and the child answers
//! with one [`Kind::Body`] frame. So neither side ever writes while the other one writes too, a body of any size needs
//! constant memory, and `100 Continue` is sent exactly when the application wants the body. What the client has already
//! sent may travel with the head ([`REQUEST_BODY_FOLLOWS`]), to save the round trip.
//!
//! While a request runs the application may ask for httpd's scoreboard, which its group must be allowed to see: the daemon sends
//! [`Kind::AskScoreboard`], and the child answers with one [`Kind::Scoreboard`] frame, as it answers a [`Kind::Want`].
//!
//! What a daemon streams goes through memory that it shares with the child ([`Ledger`]), where the system has such memory: it is then
//! copied once less, and mostly without a system call.
//!
//! ```text
//! child   Hello Request [Body]            Body                        Request …
//! daemon                Welcome      Want       [Log…] Head Data… End
//! ```

mod frame;
mod keys;
mod pairs;
mod request;
mod response;
mod window;

pub use frame::{
    BODY_FAILED, BODY_LAST, END_CLOSE, END_TRUNCATED, FRAME_HEADER, Frame, FrameHeader, Kind, MAX_DATA, MAX_HEAD,
    REQUEST_BODY_FOLLOWS, REQUEST_CLAIMED, REQUEST_HAS_BODY, WINDOW_KNOWN, patch_length, put_frame, start_frame,
};
pub use keys::{KEYS, Key, key_for, key_for_header, key_name};
pub use pairs::{Name, PairWriter, Pairs};
pub use request::{IGNORE_ACTIVITY, RELOADING, RequestHead, RequestHeadWriter, set_attempts};
pub use response::{
    FilePart, HeadTimes, Headers, Hello, LogLevel, LogRecord, Refusal, ResponseHead, ResponseHeadWriter, Welcome,
};
pub use window::{Ledger, MOST_PIECES, Placed, WINDOW_BEGIN, WINDOW_ROOM, WINDOW_SIZE};

/// The number of this protocol. It changes with every change of a frame, so that two releases never misread each other.
pub const PROTOCOL: u16 = 3;

/// Why bytes from the other side were not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The kind byte of a frame header is not one of [`Kind`].
    UnknownKind(u8),
    /// A frame says it is longer than its kind allows.
    TooLong {
        /// What the frame header says, in bytes.
        length: u32,
        /// What its kind allows, in bytes.
        limit: u32,
    },
    /// The payload ends inside a value.
    Truncated,
    /// A value is outside of its range.
    BadValue(&'static str),
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "unknown frame kind {kind:#04x}"),
            Self::TooLong { length, limit } => write!(f, "frame of {length} bytes where {limit} are allowed"),
            Self::Truncated => f.write_str("frame ends inside a value"),
            Self::BadValue(what) => write!(f, "{what} is out of range"),
        }
    }
}

impl std::error::Error for WireError {}

/// Takes values off the front of a payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A byte string behind its length as `u32`.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.u32()?;
        self.take(length as usize)
    }
}

/// Appends a byte string behind its length as `u32`. Frames are limited far below 4 GiB, so the length fits.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}
