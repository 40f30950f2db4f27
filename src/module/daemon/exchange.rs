//! One request and its response on one connection.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mod_wsgi_core::wire::{
    BODY_FAILED, BODY_LAST, END_CLOSE, END_TRUNCATED, FilePart, FrameHeader, Kind, LogLevel, LogRecord, MAX_DATA,
    MAX_HEAD, Refusal, Welcome, WireError, put_frame,
};

use super::connection::{Connection, GLANCE, MOST_PARTS, Parts, ReadError};
use super::{Encoded, Times};
use crate::apache::OK;
use crate::apache::body::{Body, Piece};
use crate::apache::client::ClientSocket;
use crate::apache::file::FileAccess;
use crate::apache::log;
use crate::apache::request::Request;
use crate::apache::scoreboard;
use crate::handler::{INTERNAL_ERROR, Resolved, Status, log_with_script, refuse};
use crate::response::Response;
use crate::startup::ClientGroup;
use crate::sys::bytes::Bytes;

const BAD_GATEWAY: Status = 502;
const GATEWAY_TIMEOUT: Status = 504;

/// How many bytes go to httpd before it is looked whether the client takes them: what httpd keeps without waiting.
const FREELY: u64 = 64 * 1024;

/// How an exchange ended.
pub enum Outcome {
    /// With this result for httpd; the connection can be used again.
    Answered(i32, Option<Connection>),
    /// The application has not seen the request, which may go to another process.
    NotTaken,
}

/// Bytes in pieces of a moderate size, so that none is ever moved.
#[derive(Default)]
struct Held(Vec<Vec<u8>>);

impl Held {
    const PIECE: usize = 256 * 1024;

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn length(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    fn add(&mut self, part: Bytes<'_>) {
        match self.0.last_mut() {
            Some(last) if last.capacity() - last.len() >= part.len() => part.append_to(last),
            _ => {
                let mut piece = Vec::with_capacity(part.len().max(Self::PIECE));
                part.append_to(&mut piece);
                self.0.push(piece);
            }
        }
    }
}

/// One request on one connection.
pub struct Exchange<'x> {
    request: Request<'x>,
    group: &'x ClientGroup,
    times: &'x Times,
    connection: Connection,
    response: Response<'x>,
    body: Body<'x>,
    client: Option<ClientSocket<'x>>,
    /// What of the response came faster than the client takes it, so that the daemon's thread need not wait.
    held: Held,
    /// How much was unflushed when the client last took all of it.
    looked_at: u64,
    /// Whether the daemon has said anything of this request.
    heard: bool,
    body_left: bool,
    sendfile: bool,
    /// See [`Resolved::queue`].
    queue: &'x Cell<Option<Duration>>,
}

/// What a frame leads to.
enum Next {
    Go,
    End(End),
    Refused(Status),
    Retry,
}

/// The end the daemon gave a response.
#[derive(Clone, Copy)]
struct End {
    truncated: bool,
    keep: bool,
    /// Whether the response has been completed already, with its last piece.
    completed: Option<i32>,
}

impl End {
    fn new(flags: u8) -> Self {
        Self { truncated: flags & END_TRUNCATED != 0, keep: flags & END_CLOSE == 0, completed: None }
    }
}

/// Why an exchange cannot go on.
enum Stop {
    /// The client is gone.
    Gone,
    /// The connection is.
    Read(ReadError),
    /// The daemon took too long.
    TooLong,
    /// The group's processes have ended, and no new one could be started.
    Hopeless,
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<crate::apache::brigade::Gone> for Stop {
    fn from(_: crate::apache::brigade::Gone) -> Self {
        Self::Gone
    }
}

impl<'x> Exchange<'x> {
    pub fn new(
        request: Request<'x>,
        group: &'x ClientGroup,
        connection: Connection,
        times: &'x Times,
        resolved: &'x Resolved,
    ) -> Self {
        let response = Response::new(request, resolved.error_override).timed(resolved.server_timing);
        let mut client = ClientSocket::of(request);
        if let Some(client) = client.as_mut().filter(|_| !times.client.is_zero()) {
            client.limit(times.client);
        }
        Self {
            client,
            held: Held::default(),
            looked_at: 0,
            request,
            group,
            times,
            connection,
            response,
            body: Body::new(request, &resolved.received),
            heard: false,
            body_left: false,
            sendfile: resolved.enable_sendfile,
            queue: &resolved.queue,
        }
    }

    /// Sends the request and passes on what comes back.
    pub fn run(mut self, encoded: &mut Encoded) -> Outcome {
        self.body_left = encoded.body_left;
        self.body.end(encoded.body_failed.clone());
        if self.connection.send_request(&mut encoded.bytes).is_err() {
            // A daemon reads a request whole before it runs it, and it has not.
            return self.not_taken();
        }
        loop {
            match self.step() {
                Ok(Next::Go) => {}
                Ok(Next::End(end)) => return self.ended(end),
                Ok(Next::Refused(status)) => return Outcome::Answered(self.response.fail(status), None),
                Ok(Next::Retry) => return Outcome::NotTaken,
                Err(Stop::Read(ReadError::NotRead)) if !self.heard => return self.not_taken(),
                Err(stop) => return Outcome::Answered(self.stopped(stop), None),
            }
        }
    }

    fn not_taken(mut self) -> Outcome {
        self.connection.unclaim(self.group.board());
        Outcome::NotTaken
    }

    fn ended(mut self, end: End) -> Outcome {
        // A client that has gone does not matter any more: the application has done its part.
        self.release().ok();
        self.connection.close_window();
        let connection = end.keep.then_some(self.connection);
        let status = match end.completed {
            Some(status) => status,
            // The daemon has logged why.
            None if end.truncated => self.response.fail(INTERNAL_ERROR),
            None if self.response.has_head() => self.response.complete(&mut []),
            None => INTERNAL_ERROR,
        };
        Outcome::Answered(status, connection)
    }

    /// Reads one frame and does what it says, or passes on what is in the window.
    fn step(&mut self) -> Result<Next, Stop> {
        let Some(header) = self.next_header()? else {
            self.pass_placed()?;
            return Ok(Next::Go);
        };
        // What the daemon has told of before comes first.
        while self.pass_placed()? {}
        if header.kind != Kind::Welcome {
            self.heard = true;
        }
        match header.kind {
            Kind::Data => return self.pass_data(header.length as usize),
            Kind::End => return Ok(Next::End(End::new(header.flags))),
            _ => {}
        }
        let r = self.request;
        let patience = self.patience();
        let payload = self.connection.payload(header, patience)?;
        match header.kind {
            Kind::Head => {
                self.response.set_head(payload).map_err(|error| Stop::Read(ReadError::Garbage(error)))?;
                self.queue.set(Some(self.response.queue()));
            }
            Kind::Want => {
                let most = payload.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                self.answer_want(most.clamp(1, MAX_DATA) as usize)?;
            }
            Kind::Log => {
                let record = LogRecord::decode(payload).map_err(|error| Stop::Read(ReadError::Garbage(error)))?;
                log::request_record(r, &record);
            }
            Kind::AskScoreboard => self.tell_scoreboard()?,
            Kind::Refuse => {
                let refusal = Refusal::decode(payload).map_err(|error| Stop::Read(ReadError::Garbage(error)))?;
                if refusal.retry {
                    return Ok(Next::Retry);
                }
                if !refusal.reason.is_empty() {
                    log_with_script(r, LogLevel::Error, &String::from_utf8_lossy(refusal.reason));
                }
                return Ok(Next::Refused(i32::from(refusal.status)));
            }
            Kind::File => {
                let part = FilePart::decode(payload).map_err(|error| Stop::Read(ReadError::Garbage(error)))?;
                let missing = Stop::Read(ReadError::Garbage(WireError::BadValue("file without a descriptor")));
                let file = self.connection.take_file().ok_or(missing)?;
                self.release()?;
                let map = self.request.allows_mmap() && self.request.body_goes_unseen();
                let access = FileAccess { sendfile: self.sendfile, map };
                self.response.file(file, part.offset, part.length, access)?;
            }
            Kind::Window => self.connection.open_window(header.flags)?,
            Kind::Welcome => {
                let welcome = Welcome::decode(payload).map_err(|error| Stop::Read(ReadError::Garbage(error)))?;
                self.connection.set_slot(welcome.slot);
            }
            _ => {}
        }
        Ok(Next::Go)
    }

    /// How many glances long the daemon may be quiet.
    fn patience(&self) -> u32 {
        let limit = self.times.socket;
        if limit.is_zero() {
            u32::MAX
        } else {
            u32::try_from(limit.as_secs() / GLANCE.as_secs()).unwrap_or(u32::MAX).max(1)
        }
    }

    /// Waits for the next frame, or a piece in the window: then there is no frame. Before that, what has come of the response
    /// goes on its way to the client.
    fn next_header(&mut self) -> Result<Option<FrameHeader>, Stop> {
        let begun = Instant::now();
        loop {
            if !self.connection.has_more() && !self.connection.listen() {
                return Ok(None);
            }
            let waits = self.response.unflushed() > 0 || !self.held.is_empty();
            if waits && !self.connection.look() && !self.connection.wait(self.times.flush_delay) {
                if self.is_client_ready() {
                    self.release()?;
                    self.response.flush()?;
                } else {
                    self.connection.wait_for_either(self.client.as_ref());
                    continue;
                }
            }
            match self.connection.header() {
                Err(ReadError::Quiet) => {
                    if self.client.as_ref().is_some_and(ClientSocket::is_gone) {
                        return Err(Stop::Gone);
                    }
                    if !self.heard && self.group.board().is_hopeless() {
                        return Err(Stop::Hopeless);
                    }
                    if !self.times.socket.is_zero() && begun.elapsed() >= self.times.socket {
                        return Err(Stop::TooLong);
                    }
                }
                header => return Ok(Some(header?)),
            }
        }
    }

    /// Whether the client takes more without making this thread wait.
    fn is_client_ready(&self) -> bool {
        self.client.as_ref().is_none_or(ClientSocket::is_writable)
    }

    /// Passes on what was held back, however long that takes.
    fn release(&mut self) -> Result<(), Stop> {
        if self.held.is_empty() {
            return Ok(());
        }
        for piece in std::mem::take(&mut self.held).0 {
            self.response.data(&piece, false)?;
        }
        Ok(())
    }

    /// Whether the next piece of the response is held back, up to response-buffer-size: the client would make this thread
    /// wait, and it the daemon's.
    fn hold_back(&mut self) -> bool {
        let unflushed = self.response.unflushed();
        if unflushed < self.looked_at {
            // It was flushed meanwhile.
            self.looked_at = 0;
        }
        if self.held.is_empty() && unflushed - self.looked_at < FREELY {
            return false;
        }
        if self.is_client_ready() {
            self.looked_at = unflushed;
            return false;
        }
        self.held.length() < self.times.flush_bytes
    }

    fn pass_data(&mut self, length: usize) -> Result<Next, Stop> {
        let mut left = length;
        let begun = Instant::now();
        while left > 0 {
            let hold = self.make_way()?;
            let parts = match self.connection.parts(left) {
                Err(ReadError::Quiet) if begun.elapsed() < self.times.socket || self.times.socket.is_zero() => continue,
                parts => parts?,
            };
            left = parts.left;
            if let Some(end) = pass(self.request, &mut self.response, hold.then_some(&mut self.held), &parts)? {
                return Ok(Next::End(end));
            }
        }
        Ok(Next::Go)
    }

    /// The same for pieces in the window; whether there were any.
    fn pass_placed(&mut self) -> Result<bool, Stop> {
        if !self.connection.has_placed() {
            return Ok(false);
        }
        let hold = self.make_way()?;
        let parts = self.connection.placed()?;
        pass(self.request, &mut self.response, hold.then_some(&mut self.held), &parts)?;
        match self.connection.done() {
            // It may have closed the connection for reading.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(true),
            done => done.map(|()| true).map_err(|error| Stop::Read(ReadError::Failed(error))),
        }
    }

    /// Passes on what has to go before the next piece; whether that is to be held back instead.
    fn make_way(&mut self) -> Result<bool, Stop> {
        let hold = self.hold_back();
        if !hold {
            self.release()?;
            if !self.connection.has_more() && self.response.unflushed() >= self.times.flush_bytes {
                self.response.flush()?;
            }
        }
        Ok(hold)
    }

    /// Gives the scoreboard, if the group may see it.
    fn tell_scoreboard(&mut self) -> Result<(), Stop> {
        let board = self.group.definition().options.server_metrics.then(scoreboard::read).flatten();
        let board = board.map(|board| board.encode()).filter(|board| board.len() <= MAX_HEAD as usize);
        let mut frame = Vec::new();
        put_frame(&mut frame, Kind::Scoreboard, 0, &board.unwrap_or_default());
        self.connection.send(&frame).map_err(|error| Stop::Read(ReadError::Failed(error)))
    }

    /// Reads of the body what the application asks for, and gives it.
    fn answer_want(&mut self, most: usize) -> Result<(), Stop> {
        let mut piece = Vec::new();
        let mut flags = BODY_LAST;
        if self.body_left {
            // The application may have written something that its client waits for before it sends more.
            self.release()?;
            self.response.flush()?;
            flags = self.read_body(&mut piece, most);
        }
        let mut frame = Vec::with_capacity(piece.len() + 8);
        put_frame(&mut frame, Kind::Body, flags, &piece);
        match self.connection.send(&frame) {
            Ok(()) => Ok(()),
            // It may have said why before it stopped to read.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Stop::Read(ReadError::Failed(error))),
        }
    }

    /// Waits for the first bytes of the body, and takes what else is there.
    fn read_body(&mut self, piece: &mut Vec<u8>, most: usize) -> u8 {
        let mut wait = true;
        while piece.len() < most {
            match self.body.read(piece, (most - piece.len()).min(64 * 1024), wait) {
                Piece::More => wait = false,
                Piece::NotYet => break,
                Piece::Last => {
                    self.body_left = false;
                    return BODY_LAST;
                }
                // What came before the fault is given first; the next read meets it again.
                Piece::Failed(_) if !piece.is_empty() => break,
                Piece::Failed(reason) => {
                    piece.extend_from_slice(reason.as_bytes());
                    return BODY_FAILED;
                }
            }
        }
        0
    }

    /// Says why the exchange stopped; the status for the client.
    fn stopped(self, stop: Stop) -> i32 {
        let name = &self.group.definition().options.name;
        let (status, text) = match stop {
            Stop::Gone => return OK,
            Stop::TooLong => (
                GATEWAY_TIMEOUT,
                format!(
                    "WSGI0145: no answer from group '{name}' for {} seconds (socket-timeout=, Timeout)",
                    self.times.socket.as_secs()
                ),
            ),
            Stop::Hopeless => return self.response.fail(super::refuse_hopeless(self.request, self.group)),
            Stop::Read(ReadError::Closed | ReadError::NotRead) => (
                BAD_GATEWAY,
                format!(
                    "WSGI0146: the process of group '{name}' ended before its response did: the server's error log says why it ended"
                ),
            ),
            Stop::Read(ReadError::Quiet) => {
                (GATEWAY_TIMEOUT, format!("WSGI0145: the process of group '{name}' fell silent inside of its response"))
            }
            Stop::Read(ReadError::Failed(error)) => {
                (BAD_GATEWAY, format!("WSGI0147: the connection to the process of group '{name}' failed: {error}"))
            }
            Stop::Read(ReadError::Garbage(error)) => (
                INTERNAL_ERROR,
                format!(
                    "WSGI0148: what the process of group '{name}' answered is not understood: {error}; was mod_wsgi upgraded while Apache ran? Restart it"
                ),
            ),
        };
        self.response.fail(refuse(self.request, status, &text))
    }
}

/// Passes on what is here of a response body, or has it held back; the end of the response, where it was here too.
fn pass(
    request: Request<'_>,
    response: &mut Response<'_>,
    held: Option<&mut Held>,
    parts: &Parts<'_>,
) -> Result<Option<End>, Stop> {
    let end = parts.end.map(|header| End::new(header.flags));
    if let Some(held) = held {
        parts.iter().for_each(|part| held.add(part));
        return Ok(end);
    }
    // Filters are not to see bytes that change under their eyes.
    let copy = if parts.are_shared() && !request.body_goes_unseen() { parts.copy() } else { Vec::new() };
    let (mut room, mut whole) = (<[Bytes<'_>; MOST_PARTS]>::default(), [Bytes::from(&copy[..])]);
    let pieces = if copy.is_empty() { parts.list(&mut room) } else { &mut whole };
    match end {
        // httpd tells the length of a body that it sees along with its end. That is not to hang on what was faster, so where
        // nothing was passed before, it is of one piece only.
        Some(end) if !end.truncated && (response.has_passed() || pieces.len() == 1) => {
            Ok(Some(End { completed: Some(response.complete(pieces)), ..end }))
        }
        Some(end) if !end.truncated => {
            response.pieces(pieces)?;
            Ok(Some(End { completed: Some(response.complete(&mut [])), ..end }))
        }
        end => {
            response.pieces(pieces)?;
            Ok(end)
        }
    }
}
