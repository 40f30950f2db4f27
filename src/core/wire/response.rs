//! What the daemon says: greeting, response head, log records, refusals.

use super::frame::{Kind, patch_length, start_frame};
use super::{PROTOCOL, Reader, WireError, put_bytes};

/// The first frame of a child: which protocol and release it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// [`PROTOCOL`] of the child.
    pub protocol: u16,
    /// [`BUILD`](crate::BUILD) of the child.
    pub version: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Appends the greeting of this release.
    pub fn write(out: &mut Vec<u8>) {
        let at = start_frame(out, Kind::Hello, 0);
        out.extend_from_slice(b"WSGI");
        out.extend_from_slice(&PROTOCOL.to_le_bytes());
        out.extend_from_slice(crate::BUILD.as_bytes());
        patch_length(out, at);
    }

    /// Decodes the payload of a [`Kind::Hello`] frame.
    ///
    /// # Errors
    /// [`WireError::BadValue`] where it is no greeting of ours, [`WireError::Truncated`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        if reader.take(4)? != b"WSGI" {
            return Err(WireError::BadValue("greeting"));
        }
        Ok(Self { protocol: reader.u16()?, version: reader.rest() })
    }

    /// Whether both sides are of one release.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL && self.version == crate::BUILD.as_bytes()
    }
}

/// The first frame of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Process id of the daemon.
    pub pid: u32,
    /// Its place on the group's [`crate::board`].
    pub slot: u32,
}

impl Welcome {
    /// Appends the frame.
    pub fn write(self, out: &mut Vec<u8>) {
        let at = start_frame(out, Kind::Welcome, 0);
        out.extend_from_slice(&self.pid.to_le_bytes());
        out.extend_from_slice(&self.slot.to_le_bytes());
        patch_length(out, at);
    }

    /// Decodes the payload of a [`Kind::Welcome`] frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        Ok(Self { pid: reader.u32()?, slot: reader.u32()? })
    }
}

/// How long a daemon has had a request when its response begins, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadTimes {
    /// From the moment the child looked for a daemon until a thread took the request.
    pub queue: u32,
    /// From then until now.
    pub application: u32,
}

impl HeadTimes {
    /// Sets them in the payload of a [`Kind::Head`] frame.
    pub fn set(self, payload: &mut [u8]) {
        // Behind the status.
        if let Some(place) = payload.get_mut(2..).and_then(<[u8]>::first_chunk_mut) {
            let ([a, b, c, d], [e, f, g, h]) = (self.queue.to_le_bytes(), self.application.to_le_bytes());
            *place = [a, b, c, d, e, f, g, h];
        }
    }
}

/// A decoded response head, borrowing from its frame. Embedded mode uses the same bytes.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The three digits of the status.
    pub status: u16,
    /// How long the daemon has had the request so far; all zero in embedded mode.
    pub times: HeadTimes,
    /// The whole status line without the protocol, such as `404 Not Found`, or just `404`.
    pub status_line: &'a [u8],
    /// The headers in the order the application gave them.
    pub headers: Headers<'a>,
}

impl<'a> ResponseHead<'a> {
    /// Decodes the payload of a [`Kind::Head`] frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`]. Errors inside the headers come from [`ResponseHead::headers`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            status: reader.u16()?,
            times: HeadTimes { queue: reader.u32()?, application: reader.u32()? },
            status_line: reader.bytes()?,
            headers: Headers { reader: Reader::new(reader.rest()) },
        })
    }
}

/// Reads response headers; ends with the payload.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let mut entry = || Ok((self.reader.bytes()?, self.reader.bytes()?));
        let entry = entry();
        if entry.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(entry)
    }
}

/// Appends a response head: first the status, then each header.
#[derive(Debug)]
pub struct ResponseHeadWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> ResponseHeadWriter<'b> {
    /// Begins a payload; put it behind a frame header of [`Kind::Head`] with [`start_frame`] and [`patch_length`].
    pub fn new(out: &'b mut Vec<u8>, status: u16, status_line: &[u8]) -> Self {
        out.extend_from_slice(&status.to_le_bytes());
        // Both times, which `HeadTimes::set` sets.
        out.extend_from_slice(&[0; 8]);
        put_bytes(out, status_line);
        Self { out }
    }

    /// Goes on with a payload that [`ResponseHeadWriter::new`] began.
    pub fn resume(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends a header.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        put_bytes(self.out, name);
        put_bytes(self.out, value);
    }
}

/// A part of an open file that is the rest of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePart {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl FilePart {
    /// Appends the frame.
    pub fn write(self, out: &mut Vec<u8>) {
        let at = start_frame(out, Kind::File, 0);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        patch_length(out, at);
    }

    /// Decodes the payload of a [`Kind::File`] frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`], or [`WireError::BadValue`] where the end is beyond all files.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let part = Self { offset: reader.u64()?, length: reader.u64()? };
        let end = part.offset.checked_add(part.length).filter(|end| i64::try_from(*end).is_ok());
        end.map(|_| part).ok_or(WireError::BadValue("part of a file"))
    }
}

/// How important a log record is; the numbers are syslog's and httpd's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// Ours is broken.
    Crit = 2,
    /// The application failed, or wrote to `wsgi.errors`.
    Error = 3,
    /// Something works, but not as it was asked for.
    Warning = 4,
    /// Worth telling by default.
    Notice = 5,
    /// Progress.
    Info = 6,
    /// For whoever looks for a fault.
    Debug = 7,
}

impl LogLevel {
    /// The level with that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            2 => Self::Crit,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            7 => Self::Debug,
            _ => return None,
        })
    }
}

/// A line for the log of the request's virtual host. Embedded mode uses the same bytes, also for the server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// How important it is.
    pub level: LogLevel,
    /// The source file that logs, for `%F`; empty where none is known.
    pub file: &'a [u8],
    /// The line in that file.
    pub line: u32,
    /// One line, without its newline.
    pub text: &'a [u8],
}

impl<'a> LogRecord<'a> {
    /// A record of no source file.
    #[must_use]
    pub fn new(level: LogLevel, text: &'a [u8]) -> Self {
        Self { level, file: b"", line: 0, text }
    }

    /// Appends the frame.
    pub fn write(self, out: &mut Vec<u8>) {
        let at = start_frame(out, Kind::Log, 0);
        self.write_payload(out);
        patch_length(out, at);
    }

    /// Appends what such a frame carries.
    pub fn write_payload(self, out: &mut Vec<u8>) {
        out.push(self.level as u8);
        out.extend_from_slice(&self.line.to_le_bytes());
        put_bytes(out, self.file);
        out.extend_from_slice(self.text);
    }

    /// Decodes the payload of a [`Kind::Log`] frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`], or [`WireError::BadValue`] for a level that does not exist.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let level = LogLevel::from_number(reader.u8()?).ok_or(WireError::BadValue("log level"))?;
        Ok(Self { level, line: reader.u32()?, file: reader.bytes()?, text: reader.rest() })
    }
}

/// Instead of a response of an application: what the client gets, and why. The daemon has logged why, or says it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// Status for the client, 400 to 599.
    pub status: u16,
    /// Whether the application was not entered, so that another daemon may be asked instead.
    pub retry: bool,
    /// What to log, with its WSGI number in front; empty where it has been logged.
    pub reason: &'a [u8],
}

impl<'a> Refusal<'a> {
    /// Appends the frame.
    pub fn write(self, out: &mut Vec<u8>) {
        let at = start_frame(out, Kind::Refuse, 0);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.push(u8::from(self.retry));
        out.extend_from_slice(self.reason.get(..4000).unwrap_or(self.reason));
        patch_length(out, at);
    }

    /// Decodes the payload of a [`Kind::Refuse`] frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`], or [`WireError::BadValue`] for a status that is no error.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let status = reader.u16()?;
        if !(400..600).contains(&status) {
            return Err(WireError::BadValue("status of a refusal"));
        }
        Ok(Self { status, retry: reader.u8()? != 0, reason: reader.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;

    #[test]
    fn this_release_understands_its_own_greeting() {
        let mut out = Vec::new();
        Hello::write(&mut out);
        let (frame, _) = Frame::split(&out).unwrap().unwrap();
        assert!(Hello::decode(frame.payload).unwrap().is_ours());
    }

    #[test]
    fn a_response_head_comes_back_with_its_headers_in_order() {
        let mut out = Vec::new();
        let mut writer = ResponseHeadWriter::new(&mut out, 200, b"200 OK");
        writer.header(b"Set-Cookie", b"a=1");
        writer.header(b"Set-Cookie", b"b=2");
        ResponseHeadWriter::resume(&mut out).header(b"Content-Length", b"0");
        let times = HeadTimes { queue: 70_000, application: 5 };
        times.set(&mut out);
        let head = ResponseHead::decode(&out).unwrap();
        assert_eq!(head.times, times);
        assert_eq!((head.status, head.status_line), (200, &b"200 OK"[..]));
        let headers: Vec<_> = head.headers.map(Result::unwrap).collect();
        assert_eq!(headers, [(&b"Set-Cookie"[..], &b"a=1"[..]), (b"Set-Cookie", b"b=2"), (b"Content-Length", b"0")]);
    }

    #[test]
    fn a_log_record_comes_back_with_its_place() {
        let record = LogRecord { level: LogLevel::Info, file: b"/srv/app.py", line: 7, text: b"said" };
        let mut out = Vec::new();
        record.write(&mut out);
        let (frame, _) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(LogRecord::decode(frame.payload), Ok(record));
    }

    #[test]
    fn a_refusal_must_carry_an_error_status() {
        assert_eq!(Refusal::decode(&[200, 0, 0]), Err(WireError::BadValue("status of a refusal")));
    }
}
