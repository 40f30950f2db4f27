//! The head of a request: which application is to run, and its environ.

use super::frame::{FRAME_HEADER, Kind, REQUEST_HAS_BODY, patch_length, start_frame};
use super::pairs::{PairWriter, Pairs};
use super::{Reader, WireError, put_bytes};

/// Setting of a request: the script is to be looked at for changes (`WSGIScriptReloading`).
pub const RELOADING: u8 = 1;
/// Setting of a request: it does not count as activity for `inactivity-timeout` (`WSGIIgnoreActivity`).
pub const IGNORE_ACTIVITY: u8 = 2;

/// A decoded request head, borrowing from its frame.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// [`RELOADING`], [`IGNORE_ACTIVITY`].
    pub settings: u8,
    /// The least important level that is logged for this request, a number of httpd's: syslog's, or 8 to 15 for trace levels.
    pub log_level: u8,
    /// How often the child has tried to hand this request to a daemon, this time included; 0 in embedded mode.
    pub connects: u16,
    /// How often a daemon has not taken it before, because it was being replaced; 0 in embedded mode.
    pub restarts: u16,
    /// When Apache read the request, in microseconds since the epoch.
    pub request_start: u64,
    /// The same on the system's monotonic clock, in microseconds, for whoever measures how long it waits: nobody sets that
    /// clock, and all processes share it. 0 in embedded mode.
    pub read_at: u64,
    /// When the child began to look for a daemon, in microseconds since the epoch; 0 in embedded mode.
    pub queue_start: u64,
    /// Path of the script.
    pub script: &'a [u8],
    /// Name of the callable object in it.
    pub callable: &'a [u8],
    /// Which interpreter; empty is the main one.
    pub application_group: &'a [u8],
    /// The request line, or the begin of it, for whoever looks at what the process does.
    pub request_line: &'a [u8],
    /// The environ entries; a later one replaces an earlier one of the same name.
    pub environ: Pairs<'a>,
}

impl<'a> RequestHead<'a> {
    /// Decodes the payload of a [`Kind::Request`] frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`]. Errors inside the environ come from [`RequestHead::environ`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            settings: reader.u8()?,
            log_level: reader.u8()?,
            connects: reader.u16()?,
            restarts: reader.u16()?,
            request_start: reader.u64()?,
            read_at: reader.u64()?,
            queue_start: reader.u64()?,
            script: reader.bytes()?,
            callable: reader.bytes()?,
            application_group: reader.bytes()?,
            request_line: reader.bytes()?,
            environ: Pairs::new(reader.rest()),
        })
    }
}

/// What a request head says before its environ.
#[derive(Debug, Clone, Copy)]
pub struct RequestHeadWriter<'a> {
    /// See [`RequestHead::settings`].
    pub settings: u8,
    /// See [`RequestHead::log_level`].
    pub log_level: u8,
    /// See [`RequestHead::request_start`].
    pub request_start: u64,
    /// See [`RequestHead::read_at`].
    pub read_at: u64,
    /// See [`RequestHead::queue_start`].
    pub queue_start: u64,
    /// See [`RequestHead::script`].
    pub script: &'a [u8],
    /// See [`RequestHead::callable`].
    pub callable: &'a [u8],
    /// See [`RequestHead::application_group`].
    pub application_group: &'a [u8],
    /// See [`RequestHead::request_line`].
    pub request_line: &'a [u8],
}

impl RequestHeadWriter<'_> {
    /// Appends a whole request frame; `environ` writes the entries. Flags of the frame: [`REQUEST_HAS_BODY`] by `has_body`.
    pub fn write(self, out: &mut Vec<u8>, has_body: bool, environ: impl FnOnce(&mut PairWriter<'_>)) {
        let at = start_frame(out, Kind::Request, if has_body { REQUEST_HAS_BODY } else { 0 });
        out.push(self.settings);
        out.push(self.log_level);
        // Both numbers of attempts, which `set_attempts` sets.
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.request_start.to_le_bytes());
        out.extend_from_slice(&self.read_at.to_le_bytes());
        out.extend_from_slice(&self.queue_start.to_le_bytes());
        put_bytes(out, self.script);
        put_bytes(out, self.callable);
        put_bytes(out, self.application_group);
        put_bytes(out, self.request_line);
        environ(&mut PairWriter::new(out));
        patch_length(out, at);
    }
}

/// Sets [`RequestHead::connects`] and [`RequestHead::restarts`] in the request frame that `bytes` begins with.
pub fn set_attempts(bytes: &mut [u8], connects: u16, restarts: u16) {
    // Behind the frame header, the settings and the level.
    let numbers = bytes.get_mut(FRAME_HEADER + 2..).and_then(<[u8]>::first_chunk_mut);
    if let Some(numbers) = numbers {
        let ([a, b], [c, d]) = (connects.to_le_bytes(), restarts.to_le_bytes());
        *numbers = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Key};
    use super::*;

    #[test]
    fn a_request_head_comes_back_as_it_was_written() {
        let mut out = Vec::new();
        let writer = RequestHeadWriter {
            settings: RELOADING,
            log_level: 6,
            request_start: 1,
            read_at: 3,
            queue_start: 2,
            script: b"/srv/app.wsgi",
            callable: b"application",
            application_group: b"",
            request_line: b"POST / HTTP/1.1",
        };
        writer.write(&mut out, true, |environ| environ.known(Key::REQUEST_METHOD, b"POST"));
        set_attempts(&mut out, 3, 258);
        let (frame, _) = Frame::split(&out).unwrap().unwrap();
        assert_eq!((frame.kind, frame.flags), (Kind::Request, REQUEST_HAS_BODY));
        let head = RequestHead::decode(frame.payload).unwrap();
        assert_eq!((head.log_level, head.connects, head.restarts), (6, 3, 258));
        assert_eq!((head.settings, head.request_start, head.queue_start), (RELOADING, 1, 2));
        assert_eq!(
            (head.script, head.callable, head.application_group),
            (&b"/srv/app.wsgi"[..], &b"application"[..], &b""[..])
        );
        assert_eq!((head.request_line, head.environ.count()), (&b"POST / HTTP/1.1"[..], 1));
    }
}
