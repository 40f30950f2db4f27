//! Carries one request over the socket to an Apache child.

use super::window::{SMALLEST, Window, Windows};
use crate::application::exchange::{Exchange, Gone, Tried};
use crate::ignore;
use crate::sys::clock;
use crate::sys::descriptors::Number;
use crate::sys::socket::QUIET;
use mod_wsgi_core::wire::{
    BODY_FAILED, BODY_LAST, END_CLOSE, END_TRUNCATED, FRAME_HEADER, FilePart, FrameHeader, HeadTimes, Kind, LogLevel,
    LogRecord, MAX_DATA, Refusal, WINDOW_KNOWN, patch_length, put_frame, start_frame,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use std::any::Any;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest log line that is passed on, in bytes; httpd cuts at about 8 KiB.
const LONGEST_LINE: usize = 16 * 1024;

/// How long a thread may send without letting others at Python: much less than Python's own switch interval, much more than
/// what a piece takes. Giving Python away and getting it back costs more than a piece does.
const SLICE: Duration = Duration::from_micros(500);
/// The largest piece, in bytes, that is sent within such a time.
const MOST_TRIED: usize = 64 * 1024;

/// How many bytes of a response have been sent when it is worth to share memory with Apache for the rest.
const WORTH_A_WINDOW: u64 = 48 * 1024;
/// The largest part of a piece that Apache is told of at once, in bytes, so that it need not wait for the whole.
const LARGEST_PART: usize = 64 * 1024;

/// What is known about the body of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// It has ended, or there is none.
    Ended,
    /// A first piece came with the head, and is in [`Link::first`].
    First(u8),
    /// It has to be asked for.
    Ask,
}

/// One side of a connection, while a request runs and in between.
pub struct Link {
    /// The socket.
    pub socket: OwnedFd,
    /// Frames to be sent.
    out: Vec<u8>,
    /// Where the last frame in `out` begins, if it carries data and more can be appended.
    open_data: Option<usize>,
    /// The piece of the body that came with the head.
    first: Vec<u8>,
    body: Body,
    /// How long the request has waited, and when this process began with it, both in microseconds.
    queued: u64,
    begun: u64,
    /// When this thread last let others at Python to send something.
    yielded: Instant,
    /// Whether the child was told who serves it.
    welcomed: bool,
    /// Whether sending or reading has failed: nothing more can be said on this connection.
    broken: bool,
    windows: Arc<Windows>,
    /// What a large response goes through, or went.
    window: Option<Window>,
    /// The name of the window that the child has.
    announced: Option<u64>,
    way: Way,
}

/// How the pieces of a response go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Through the socket, so many bytes so far.
    Undecided(u64),
    /// Through the window, all of them: they would lose their order.
    Window,
    /// Through the socket.
    Socket,
}

impl Link {
    /// A new connection.
    pub fn new(socket: OwnedFd, windows: Arc<Windows>) -> Self {
        Self {
            socket,
            out: Vec::with_capacity(4096),
            open_data: None,
            first: Vec::new(),
            body: Body::Ended,
            queued: 0,
            begun: 0,
            yielded: Instant::now(),
            welcomed: false,
            broken: false,
            windows,
            window: None,
            announced: None,
            way: Way::Undecided(0),
        }
    }

    /// Begins a request: whether it has a body, and what of it has come already, with the flags of that frame; how long it has
    /// waited, in microseconds, and what time it is.
    pub fn begin(&mut self, has_body: bool, first: Option<(&[u8], u8)>, queued: u64, now: u64) {
        (self.queued, self.begun, self.way) = (queued, now, Way::Undecided(0));
        self.yielded = Instant::now();
        self.first.clear();
        self.body = match first {
            Some((piece, flags)) => {
                self.first.extend_from_slice(piece);
                Body::First(flags)
            }
            None if has_body => Body::Ask,
            None => Body::Ended,
        };
    }

    /// Ends a request, when its last frame is sent or queued.
    pub fn end(&mut self) {
        if let Some(window) = self.window.take().filter(|_| !self.broken) {
            self.windows.give_back(window);
        }
    }

    /// Whether the child was told who serves it; it is from now on.
    pub fn is_welcomed(&mut self) -> bool {
        std::mem::replace(&mut self.welcomed, true)
    }

    /// Whether Apache has closed the connection for both ways. That this side reads no more is not that.
    pub fn is_closed(&self) -> bool {
        // Linux tells of it in any case, macOS beside what was asked for; asked for input, also where only that has ended.
        let mut polled = [PollFd::new(&self.socket, PollFlags::OUT)];
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut polled, Some(&zero)).is_ok() && polled.iter().any(|file| file.revents().contains(PollFlags::HUP))
    }

    /// Whether nothing more can be said.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Queues a frame.
    pub fn put(&mut self, kind: Kind, flags: u8, payload: &[u8]) {
        self.open_data = None;
        put_frame(&mut self.out, kind, flags, payload);
    }

    /// Queues what `write` appends.
    pub fn put_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.open_data = None;
        write(&mut self.out);
    }

    /// Queues a refusal.
    pub fn refuse(&mut self, refusal: Refusal<'_>) {
        self.put_with(|out| refusal.write(out));
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn flush(&mut self) -> Result<(), Gone> {
        self.write_all(b"")
    }

    /// Sends of what is queued what can be sent without waiting; answers whether that was all.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn try_flush(&mut self) -> Result<bool, Gone> {
        self.try_out(b"")
    }

    /// Sends of what is queued, and of a piece behind it, what can be sent without waiting, and queues the rest; answers whether
    /// nothing is left.
    fn try_out(&mut self, piece: &[u8]) -> Result<bool, Gone> {
        self.open_data = None;
        if self.broken {
            self.out.clear();
            return Err(Gone);
        }
        let parts = [IoSlice::new(&self.out), IoSlice::new(piece)];
        let flags = QUIET | SendFlags::DONTWAIT;
        let sent = match sendmsg(&self.socket, &parts, &mut SendAncillaryBuffer::default(), flags) {
            Ok(sent) => sent,
            Err(Errno::INTR | Errno::AGAIN) => 0,
            Err(_) => {
                self.broken = true;
                self.out.clear();
                return Err(Gone);
            }
        };
        let of_piece = sent.saturating_sub(self.out.len());
        self.out.drain(..sent.min(self.out.len()));
        self.out.extend_from_slice(piece.get(of_piece..).unwrap_or_default());
        Ok(self.out.is_empty())
    }

    /// Says for a request that was not run that another process is to be asked. It does not wait for an Apache that does
    /// not read.
    pub fn hand_on(mut self) {
        // The connection is closed in any case.
        ignore(set_socket_timeout(&self.socket, Timeout::Send, Some(Duration::from_secs(1))));
        self.refuse(Refusal { status: 503, retry: true, reason: b"" });
        ignore(self.flush());
    }

    /// Says for a request whose time is over why, and that it has ended: as 504, or where the response has begun, as cut off.
    /// It does not wait for an Apache that does not read.
    pub fn give_up(mut self, why: &[String], begun: bool) {
        // The connection is closed in any case.
        ignore(set_socket_timeout(&self.socket, Timeout::Send, Some(Duration::from_secs(1))));
        for line in why {
            self.put_with(|out| LogRecord::new(LogLevel::Error, line.as_bytes()).write(out));
        }
        match begun {
            true => self.put(Kind::End, END_CLOSE | END_TRUNCATED, b""),
            false => self.refuse(Refusal { status: 504, retry: false, reason: b"" }),
        }
        ignore(self.flush());
    }

    /// Sends bytes, the first of which brings an open file along; answers how many.
    fn send_with(&self, file: BorrowedFd<'_>, bytes: &[u8], flags: SendFlags) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [file];
        control.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, QUIET | flags)
    }

    /// Has the rest of the response go through shared memory, if that can be had and told without waiting.
    fn share(&mut self) -> Result<(), Gone> {
        self.way = Way::Socket;
        let Some(mut window) = self.windows.take(self.announced) else { return Ok(()) };
        window.lend();
        let length = self.out.len();
        let is_known = self.announced == Some(window.name());
        self.put(Kind::Window, if is_known { WINDOW_KNOWN } else { 0 }, b"");
        if !is_known {
            match self.send_with(window.file(), &self.out, SendFlags::DONTWAIT) {
                // The file went with the first byte.
                Ok(sent) => drop(self.out.drain(..sent)),
                Err(Errno::INTR | Errno::AGAIN) => {
                    // Another one takes its place at the next occasion.
                    self.out.truncate(length);
                    return Ok(());
                }
                Err(_) => {
                    self.broken = true;
                    self.out.clear();
                    return Err(Gone);
                }
            }
            self.announced = Some(window.name());
        }
        self.window = Some(window);
        self.way = Way::Window;
        Ok(())
    }

    /// Puts of a piece into shared memory what there is room for, if this response goes that way; answers the rest.
    fn place<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], Gone> {
        if let Way::Undecided(sent) = &mut self.way {
            *sent += piece.len() as u64;
            if *sent >= WORTH_A_WINDOW && piece.len() >= SMALLEST {
                self.share()?;
            }
        }
        let Some(window) = self.window.as_mut().filter(|_| self.way == Way::Window) else { return Ok(piece) };
        let mut wake = false;
        while !piece.is_empty() {
            let (length, wakes) = window.put(piece);
            if length == 0 {
                break;
            }
            wake |= wakes;
            piece = piece.get(length..).unwrap_or_default();
        }
        if wake {
            self.put(Kind::Placed, 0, b"");
        }
        Ok(piece)
    }

    /// Waits until there is room in the window, or the response goes through the socket.
    fn wait_for_room(&mut self) -> Result<(), Gone> {
        if !self.window.as_mut().is_some_and(Window::wait) {
            return Ok(());
        }
        if self.answer(Kind::Room, &mut Vec::new()).is_err() {
            if self.broken {
                return Err(Gone);
            }
            // The connection is closed for reading only: Apache cannot say anything, and hears all.
            self.way = Way::Socket;
        }
        Ok(())
    }

    fn write_all(&mut self, piece: &[u8]) -> Result<(), Gone> {
        self.open_data = None;
        if self.broken {
            self.out.clear();
            return Err(Gone);
        }
        let (mut first, mut second) = (&self.out[..], piece);
        while !(first.is_empty() && second.is_empty()) {
            let parts = [IoSlice::new(first), IoSlice::new(second)];
            match sendmsg(&self.socket, &parts, &mut SendAncillaryBuffer::default(), QUIET) {
                Ok(sent) => {
                    let of_first = sent.min(first.len());
                    first = first.get(of_first..).unwrap_or_default();
                    second = second.get(sent - of_first..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.broken = true;
                    self.out.clear();
                    return Err(Gone);
                }
            }
        }
        self.out.clear();
        Ok(())
    }

    fn read_exactly(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), String> {
        let start = into.len();
        into.resize(start + length, 0);
        let mut done = start;
        let failed = loop {
            let Some(place) = into.get_mut(done..).filter(|place| !place.is_empty()) else { return Ok(()) };
            match recv(&self.socket, place, RecvFlags::empty()) {
                // Where it was this side that closed it for reading, the outcome can still be told.
                Ok((0, _)) => break "Apache has closed the connection".to_owned(),
                Ok((length, _)) => done += length,
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.broken = true;
                    break match error {
                        Errno::AGAIN => "Apache did not answer within socket-timeout".to_owned(),
                        error => error.to_string(),
                    };
                }
            }
        };
        into.truncate(start);
        Err(failed)
    }

    fn ask(&mut self, most: usize, into: &mut Vec<u8>) -> Result<u8, String> {
        let most = u32::try_from(most).unwrap_or(MAX_DATA).min(MAX_DATA);
        self.put(Kind::Want, 0, &most.to_le_bytes());
        self.answer(Kind::Body, into)
    }

    /// Sends what is queued, a question last, and reads the answer, which is of that kind; answers its flags.
    fn answer(&mut self, kind: Kind, into: &mut Vec<u8>) -> Result<u8, String> {
        self.flush().map_err(|Gone| "Apache has closed the connection".to_owned())?;
        let mut header = Vec::with_capacity(FRAME_HEADER);
        self.read_exactly(FRAME_HEADER, &mut header)?;
        let header = header.try_into().unwrap_or([0; FRAME_HEADER]);
        match FrameHeader::decode(header) {
            Ok(header) if header.kind == kind => {
                self.read_exactly(header.length as usize, into)?;
                Ok(header.flags)
            }
            Ok(header) => {
                self.broken = true;
                Err(format!("Apache answered with a frame of kind {:?}", header.kind))
            }
            Err(error) => {
                self.broken = true;
                Err(format!("Apache answered with an {error}"))
            }
        }
    }

    fn send_waiting(&mut self, piece: &[u8]) -> Result<(), Gone> {
        if piece.is_empty() {
            return self.flush();
        }
        for piece in piece.chunks(LARGEST_PART) {
            let mut rest = self.place(piece)?;
            while self.way == Way::Window && !rest.is_empty() {
                self.wait_for_room()?;
                rest = self.place(rest)?;
            }
            if !rest.is_empty() {
                self.put_data_header(rest);
            }
            self.write_all(rest)?;
        }
        Ok(())
    }

    fn put_data_header(&mut self, piece: &[u8]) {
        let header = FrameHeader { kind: Kind::Data, flags: 0, length: piece.len() as u32 };
        self.out.extend_from_slice(&header.encode());
    }
}

impl Exchange for Link {
    fn read(&mut self, most: usize, into: &mut Vec<u8>) -> Result<bool, String> {
        let start = into.len();
        let flags = match self.body {
            Body::Ended => return Ok(true),
            Body::First(flags) => {
                into.append(&mut self.first);
                flags
            }
            Body::Ask => self.ask(most, into)?,
        };
        if flags & BODY_FAILED != 0 {
            let why = String::from_utf8_lossy(into.get(start..).unwrap_or_default()).into_owned();
            into.truncate(start);
            return Err(why);
        }
        self.body = if flags & BODY_LAST != 0 { Body::Ended } else { Body::Ask };
        Ok(self.body == Body::Ended)
    }

    fn head(&mut self, payload: &[u8]) {
        self.put(Kind::Head, 0, payload);
        let limit = |microseconds| u32::try_from(microseconds).unwrap_or(u32::MAX);
        let times = HeadTimes {
            queue: limit(self.queued),
            application: limit(clock::microseconds().saturating_sub(self.begun)),
        };
        // What was just put stands at the end.
        let at = self.out.len() - payload.len();
        times.set(self.out.get_mut(at..).unwrap_or_default());
    }

    fn queue(&mut self, mut piece: &[u8]) {
        if self.way == Way::Window {
            piece = match self.place(piece) {
                Ok(rest) => rest,
                // The next that is sent says so.
                Err(Gone) => return,
            };
            if piece.is_empty() {
                return;
            }
            // It cannot wait for room here, and what comes after it cannot overtake it.
            self.way = Way::Socket;
        }
        for piece in piece.chunks(MAX_DATA as usize) {
            match self.open_data {
                Some(at) if self.out.len() - at + piece.len() <= MAX_DATA as usize => {
                    self.out.extend_from_slice(piece);
                    patch_length(&mut self.out, at);
                }
                _ => {
                    let at = start_frame(&mut self.out, Kind::Data, 0);
                    self.out.extend_from_slice(piece);
                    patch_length(&mut self.out, at);
                    self.open_data = Some(at);
                }
            }
        }
    }

    fn try_send(&mut self, piece: &[u8]) -> Result<Tried, Gone> {
        if piece.len() > MOST_TRIED || piece.is_empty() || self.yielded.elapsed() > SLICE {
            return Ok(Tried::Left(piece.len()));
        }
        let rest = self.place(piece)?;
        if self.way == Way::Window {
            // Nothing goes through the socket but a word to wake Apache.
            let told = (self.out.is_empty() && !self.broken) || self.try_out(b"")?;
            return Ok(if told && rest.is_empty() { Tried::Sent } else { Tried::Left(rest.len()) });
        }
        self.put_data_header(rest);
        Ok(if self.try_out(rest)? { Tried::Sent } else { Tried::Left(0) })
    }

    fn send(&mut self, piece: &[u8]) -> Result<(), Gone> {
        // Whoever waits for Python has had it meanwhile.
        let sent = self.send_waiting(piece);
        self.yielded = Instant::now();
        sent
    }

    fn file(&mut self, file: BorrowedFd<'_>, part: FilePart) -> Result<(), Gone> {
        self.flush()?;
        let mut frame = Vec::with_capacity(32);
        part.write(&mut frame);
        let sent = loop {
            match self.send_with(file, &frame, SendFlags::empty()) {
                Ok(sent) => break sent,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.broken = true;
                    return Err(Gone);
                }
            }
        };
        // The file went with the first byte; the rest, should there be any, is bytes like others.
        self.write_all(frame.get(sent..).unwrap_or_default())
    }

    fn log(&mut self, record: LogRecord<'_>) {
        let text = record.text.get(..LONGEST_LINE).unwrap_or(record.text);
        let file = record.file.get(..LONGEST_LINE).unwrap_or(record.file);
        self.put_with(|out| LogRecord { text, file, ..record }.write(out));
        // Who looks for a hanging request needs its last words now. Should Apache be gone, the next read or write says so.
        ignore(self.flush());
    }

    fn scoreboard(&mut self) -> Option<Vec<u8>> {
        let mut board = Vec::new();
        self.put(Kind::AskScoreboard, 0, b"");
        // Should Apache be gone, the next read or write says so.
        self.answer(Kind::Scoreboard, &mut board).ok()?;
        Some(board).filter(|board| !board.is_empty())
    }

    fn socket(&self) -> Option<Number> {
        Some(self.socket.as_raw_fd())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
