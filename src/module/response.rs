//! A response on its way to the client: head, body, and an end that says whether it is complete. Both modes use it.

use std::time::{Duration, Instant};

use mod_wsgi_core::response_rules::content_length;
use mod_wsgi_core::wire::{HeadTimes, LogLevel, ResponseHead, ResponseHeadWriter, WireError};

use crate::apache::OK;
use crate::apache::brigade::{Gone, Output, Then};
#[cfg(unix)]
use crate::apache::file::FileAccess;
use crate::apache::request::Request;
use crate::handler::{INTERNAL_ERROR, Status, log_with_script};
use crate::sys::bytes::Bytes;

/// Header fields that belong to the connection between client and httpd. PEP 3333 forbids applications to set them; one
/// that does must not put the connection out of step.
const HOP_BY_HOP: [&[u8]; 8] = [
    b"Connection",
    b"Keep-Alive",
    b"Proxy-Authenticate",
    b"Proxy-Connection",
    b"TE",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
];

/// A response being sent.
pub struct Response<'r> {
    request: Request<'r>,
    output: Output<'r>,
    head: bool,
    passed: bool,
    unflushed: u64,
    sent: u64,
    length: Option<u64>,
    error_override: bool,
    /// The status to leave to httpd's error pages.
    overridden: Option<Status>,
    /// Since when the client is told what took how long.
    timed: Option<Instant>,
    times: HeadTimes,
}

impl<'r> Response<'r> {
    /// A response that has not begun.
    #[must_use]
    pub fn new(request: Request<'r>, error_override: bool) -> Self {
        Self {
            request,
            output: Output::new(request),
            head: false,
            passed: false,
            unflushed: 0,
            sent: 0,
            length: None,
            error_override,
            overridden: None,
            timed: None,
            times: HeadTimes::default(),
        }
    }

    /// Answers a request with 200 and a text of ours.
    #[must_use]
    pub fn answer(request: Request<'r>, headers: &[(&[u8], &[u8])], text: &str) -> i32 {
        let mut head = Vec::new();
        let mut writer = ResponseHeadWriter::new(&mut head, 200, b"200 OK");
        headers.iter().for_each(|(name, value)| writer.header(name, value));
        let mut response = Self::new(request, false);
        match response.set_head(&head) {
            Ok(()) => response.complete(&mut [text.as_bytes().into()]),
            Err(_) => INTERNAL_ERROR,
        }
    }

    /// Tells the client what took how long, from now on.
    #[must_use]
    pub fn timed(mut self, wanted: bool) -> Self {
        self.timed = wanted.then(Instant::now);
        self
    }

    /// How long the request waited for a thread of a daemon; known with the head.
    #[must_use]
    pub fn queue(&self) -> Duration {
        Duration::from_micros(self.times.queue.into())
    }

    /// Whether status and headers are set.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.head
    }

    /// Bytes that went to httpd since the last flush.
    #[must_use]
    pub fn unflushed(&self) -> u64 {
        self.unflushed
    }

    /// Sets status and headers.
    ///
    /// # Errors
    /// Where the bytes are no head.
    pub fn set_head(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let head = ResponseHead::decode(payload)?;
        let r = self.request;
        self.head = true;
        self.times = head.times;
        self.tell_times();
        if !(200..1000).contains(&head.status) {
            log_with_script(
                r,
                LogLevel::Error,
                &format!(
                    "WSGI7061: the application answered with status {}, which ends no request; the client gets 500",
                    head.status
                ),
            );
            self.overridden = Some(INTERNAL_ERROR);
            return Ok(());
        }
        if self.error_override && (400..600).contains(&head.status) {
            self.overridden = Some(i32::from(head.status));
            return Ok(());
        }
        r.set_status(head.status, head.status_line);
        for header in head.headers {
            let (name, value) = header?;
            if name.eq_ignore_ascii_case(b"Content-Type") {
                r.set_content_type(value);
            } else if name.eq_ignore_ascii_case(b"Content-Length") {
                // The host has checked that it is a number.
                if let Ok(length) = content_length(value) {
                    r.set_content_length(length);
                    // These two have no body, whatever the length says of what a GET would have.
                    self.length = Some(length).filter(|_| !matches!(head.status, 204 | 304));
                }
            } else if HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
                if name.eq_ignore_ascii_case(b"Connection") && value.eq_ignore_ascii_case(b"close") {
                    r.close_connection();
                }
                let name = String::from_utf8_lossy(name);
                log_with_script(
                    r,
                    LogLevel::Debug,
                    &format!("the header {name} belongs to the connection and is left out"),
                );
            } else {
                r.add_header(name, value, name.eq_ignore_ascii_case(b"WWW-Authenticate"));
            }
        }
        Ok(())
    }

    /// Source: W3C Server Timing. Durations are in milliseconds.
    fn tell_times(&self) {
        let Some(since) = self.timed else { return };
        let milliseconds = |microseconds: u32| f64::from(microseconds) / 1000.0;
        let whole = since.elapsed().as_secs_f64() * 1000.0;
        let text = if self.times == HeadTimes::default() {
            format!("app;dur={whole:.3}")
        } else {
            let (queue, application) = (milliseconds(self.times.queue), milliseconds(self.times.application));
            format!("queue;dur={queue:.3}, app;dur={application:.3}, daemon;dur={whole:.3}")
        };
        self.request.add_header(b"Server-Timing", text.as_bytes(), true);
    }

    /// Cuts pieces to what is within the announced length; answers how many bytes that is.
    fn cut(&mut self, pieces: &mut [Bytes<'_>]) -> u64 {
        let before = self.sent;
        for piece in pieces {
            let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(self.sent));
            *piece = piece.first(left);
            self.sent += piece.len() as u64;
        }
        self.sent - before
    }

    /// Whether something of the body has been passed to httpd.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.passed
    }

    /// Sends a piece of the body, right now if `flush`.
    pub fn data(&mut self, data: &[u8], flush: bool) -> Result<(), Gone> {
        self.send(&mut [data.into()], if flush { Then::Flush } else { Then::More })
    }

    /// Sends several pieces of the body together.
    pub fn pieces(&mut self, pieces: &mut [Bytes<'_>]) -> Result<(), Gone> {
        self.send(pieces, Then::More)
    }

    fn send(&mut self, pieces: &mut [Bytes<'_>], then: Then) -> Result<(), Gone> {
        let length = self.cut(pieces);
        if self.overridden.is_some() || (length == 0 && then == Then::More) {
            return Ok(());
        }
        self.passed = true;
        self.unflushed = if then == Then::Flush { 0 } else { self.unflushed + length };
        self.output.send(pieces, then)
    }

    /// Sends a part of an open file.
    #[cfg(unix)]
    pub fn file(
        &mut self,
        file: std::os::fd::OwnedFd,
        offset: u64,
        length: u64,
        access: FileAccess,
    ) -> Result<(), Gone> {
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(self.sent));
        let length = length.min(left);
        self.sent += length;
        if self.overridden.is_some() || length == 0 {
            return Ok(());
        }
        self.passed = true;
        self.unflushed += length;
        self.output.file(file, offset, length, access)
    }

    /// Sends what httpd still holds, if a body has begun.
    pub fn flush(&mut self) -> Result<(), Gone> {
        if self.unflushed == 0 || self.overridden.is_some() {
            return Ok(());
        }
        self.unflushed = 0;
        self.output.flush()
    }

    /// The response is complete, with the last pieces.
    pub fn complete(&mut self, pieces: &mut [Bytes<'_>]) -> i32 {
        if let Some(status) = self.overridden {
            return status;
        }
        self.cut(pieces);
        let has_no_body = self.request.head_only();
        if !has_no_body && self.length.is_some_and(|length| self.sent < length) {
            let text = format!(
                "WSGI7062: the application sent {} of the {} bytes its Content-Length announced; the connection is closed so that the client notices",
                self.sent,
                self.length.unwrap_or_default()
            );
            log_with_script(self.request, LogLevel::Error, &text);
            self.passed = true;
            // What there is goes out; then the end is not a regular one.
            if self.output.send(pieces, Then::More).is_ok() {
                self.output.truncate();
            }
            return OK;
        }
        // A client that has gone does not matter any more: the application has done its part.
        self.output.send(pieces, Then::End).ok();
        OK
    }

    /// The response cannot be completed. Where nothing has gone out, the client gets `status`, else a broken response.
    pub fn fail(mut self, status: Status) -> i32 {
        if self.passed {
            self.output.truncate();
            return OK;
        }
        if self.head {
            self.request.clear_response();
        }
        self.overridden.filter(|overridden| *overridden >= 500).unwrap_or(status)
    }
}
