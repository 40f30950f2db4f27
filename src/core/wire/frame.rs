//! The frame header: kind, flags and length of what follows.

use super::WireError;

/// Size of a frame header in bytes.
pub const FRAME_HEADER: usize = 8;

/// The longest payload of a head (environ or response headers) or a scoreboard in bytes: the C module's limit for its request frame.
pub const MAX_HEAD: u32 = 16 * 1024 * 1024;

/// The longest payload of every other frame in bytes. Whoever sends cuts longer data into several frames.
pub const MAX_DATA: u32 = 1024 * 1024;

/// Flag of [`Kind::Request`]: the request has a body, to be asked for with [`Kind::Want`].
pub const REQUEST_HAS_BODY: u8 = 1;
/// Flag of [`Kind::Request`]: one [`Kind::Body`] frame follows at once, with what the client has already sent. The two
/// are one unit: a daemon reads both before it runs anything, so that a connection that breaks in between has not run
/// the request.
pub const REQUEST_BODY_FOLLOWS: u8 = 2;
/// Flag of [`Kind::Request`]: the child has counted the request as load of this process ([`crate::board`]).
pub const REQUEST_CLAIMED: u8 = 4;
/// Flag of [`Kind::Body`]: nothing comes after this piece.
pub const BODY_LAST: u8 = 1;
/// Flag of [`Kind::Body`]: the body cannot be read any further; the payload says why, for `OSError`.
pub const BODY_FAILED: u8 = 2;
/// Flag of [`Kind::End`]: the daemon takes no further request on this connection.
pub const END_CLOSE: u8 = 1;
/// Flag of [`Kind::End`]: the response is not complete, and the client has to see that.
pub const END_TRUNCATED: u8 = 2;
/// Flag of [`Kind::Window`]: it is the one that was passed last on this connection.
pub const WINDOW_KNOWN: u8 = 1;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Child to daemon, first on a connection: protocol and version.
    Hello = 0x01,
    /// Child to daemon: the head of a request.
    Request = 0x02,
    /// Child to daemon: a piece of the request body.
    Body = 0x03,
    /// Child to daemon: httpd's scoreboard, an encoded [`crate::scoreboard::Scoreboard`]; empty where there is none to tell.
    Scoreboard = 0x04,
    /// Child to daemon: there is room in the window; sent where the daemon waits for it.
    Room = 0x05,
    /// Daemon to child, first on a connection: who serves it.
    Welcome = 0x11,
    /// Daemon to child: status and headers.
    Head = 0x12,
    /// Daemon to child: a piece of the response body.
    Data = 0x13,
    /// Daemon to child: the request is over.
    End = 0x14,
    /// Daemon to child: the application reads; the payload is the most bytes it can take now, a `u32`.
    Want = 0x15,
    /// Daemon to child: a log record that belongs to the request.
    Log = 0x16,
    /// Daemon to child: no response from an application; status and reason instead. Like [`Kind::End`], it is last.
    Refuse = 0x17,
    /// Daemon to child: a file for the rest of the response body; the payload is offset and length, two `u64`. Its open
    /// descriptor comes along (`SCM_RIGHTS`) with the first byte of this frame, which is sent by itself.
    File = 0x18,
    /// Daemon to child: the application wants to see httpd's scoreboard; the answer is [`Kind::Scoreboard`].
    AskScoreboard = 0x19,
    /// Daemon to child: the rest of the response body goes through this window. Its open descriptor comes along (`SCM_RIGHTS`),
    /// unless it is [`WINDOW_KNOWN`].
    Window = 0x1a,
    /// Daemon to child: there are pieces in the window; sent where the child waits for them.
    Placed = 0x1b,
}

impl Kind {
    fn from_byte(byte: u8) -> Result<Self, WireError> {
        Ok(match byte {
            0x01 => Self::Hello,
            0x02 => Self::Request,
            0x03 => Self::Body,
            0x04 => Self::Scoreboard,
            0x05 => Self::Room,
            0x11 => Self::Welcome,
            0x12 => Self::Head,
            0x13 => Self::Data,
            0x14 => Self::End,
            0x15 => Self::Want,
            0x16 => Self::Log,
            0x17 => Self::Refuse,
            0x18 => Self::File,
            0x19 => Self::AskScoreboard,
            0x1a => Self::Window,
            0x1b => Self::Placed,
            other => return Err(WireError::UnknownKind(other)),
        })
    }

    /// The longest payload this kind may have, in bytes.
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::Request | Self::Head | Self::Scoreboard => MAX_HEAD,
            Self::Body | Self::Data | Self::Log => MAX_DATA,
            Self::Hello | Self::Welcome | Self::Want | Self::End | Self::File => 256,
            Self::AskScoreboard | Self::Window | Self::Placed | Self::Room => 256,
            Self::Refuse => 4096,
        }
    }
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is.
    pub kind: Kind,
    /// Flags, their meaning given by `kind`.
    pub flags: u8,
    /// Length of the payload in bytes.
    pub length: u32,
}

impl FrameHeader {
    /// Decodes the eight bytes before a payload.
    ///
    /// # Errors
    /// [`WireError::UnknownKind`], [`WireError::TooLong`], or [`WireError::BadValue`] for a reserved byte that is set.
    pub fn decode(bytes: [u8; FRAME_HEADER]) -> Result<Self, WireError> {
        let [kind, flags, zero1, zero2, a, b, c, d] = bytes;
        let kind = Kind::from_byte(kind)?;
        if zero1 != 0 || zero2 != 0 {
            return Err(WireError::BadValue("reserved byte of a frame header"));
        }
        let length = u32::from_le_bytes([a, b, c, d]);
        if length > kind.limit() {
            return Err(WireError::TooLong { length, limit: kind.limit() });
        }
        Ok(Self { kind, flags, length })
    }

    /// The eight bytes of this header.
    #[must_use]
    pub fn encode(self) -> [u8; FRAME_HEADER] {
        let [a, b, c, d] = self.length.to_le_bytes();
        [self.kind as u8, self.flags, 0, 0, a, b, c, d]
    }
}

/// A whole frame at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the frame is.
    pub kind: Kind,
    /// Flags, their meaning given by `kind`.
    pub flags: u8,
    /// What the frame carries.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes the first frame off `buffer`; `None` while it is not whole. Also answers how many bytes it took.
    ///
    /// # Errors
    /// As [`FrameHeader::decode`].
    pub fn split(buffer: &'a [u8]) -> Result<Option<(Self, usize)>, WireError> {
        let Some((header, rest)) = buffer.split_first_chunk() else { return Ok(None) };
        let header = FrameHeader::decode(*header)?;
        let length = header.length as usize;
        Ok(rest
            .get(..length)
            .map(|payload| (Self { kind: header.kind, flags: header.flags, payload }, FRAME_HEADER + length)))
    }
}

/// Appends a frame. `payload` must be within [`Kind::limit`]; the other side refuses it otherwise.
pub fn put_frame(out: &mut Vec<u8>, kind: Kind, flags: u8, payload: &[u8]) {
    out.extend_from_slice(&FrameHeader { kind, flags, length: payload.len() as u32 }.encode());
    out.extend_from_slice(payload);
}

/// Appends a frame header whose length [`patch_length`] fills in; answers its position.
pub fn start_frame(out: &mut Vec<u8>, kind: Kind, flags: u8) -> usize {
    let at = out.len();
    out.extend_from_slice(&FrameHeader { kind, flags, length: 0 }.encode());
    at
}

/// Sets the length of the frame begun at `at` to all that was appended since.
pub fn patch_length(out: &mut [u8], at: usize) {
    let length = out.len().saturating_sub(at + FRAME_HEADER) as u32;
    if let Some(field) = out.get_mut(at + 4..at + FRAME_HEADER) {
        field.copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_put() {
        let mut out = Vec::new();
        put_frame(&mut out, Kind::Data, 0, b"abc");
        put_frame(&mut out, Kind::End, END_CLOSE, b"");
        let (first, taken) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(first, Frame { kind: Kind::Data, flags: 0, payload: b"abc" });
        let (second, rest) = Frame::split(&out[taken..]).unwrap().unwrap();
        assert_eq!(second, Frame { kind: Kind::End, flags: END_CLOSE, payload: b"" });
        assert_eq!(taken + rest, out.len());
    }

    #[test]
    fn a_frame_cut_anywhere_is_not_whole_yet() {
        let mut out = Vec::new();
        put_frame(&mut out, Kind::Body, BODY_LAST, b"payload");
        for cut in 0..out.len() {
            assert_eq!(Frame::split(&out[..cut]).unwrap(), None);
        }
    }

    #[test]
    fn a_frame_longer_than_its_kind_allows_is_refused_before_it_is_read() {
        let header = FrameHeader { kind: Kind::Want, flags: 0, length: 257 }.encode();
        assert_eq!(FrameHeader::decode(header), Err(WireError::TooLong { length: 257, limit: 256 }));
    }
}
