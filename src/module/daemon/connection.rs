//! A connection to a daemon process: whole frames out, frames in.

use std::collections::VecDeque;
use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mod_wsgi_core::wire::{
    FRAME_HEADER, FrameHeader, Hello, Kind, Placed, REQUEST_CLAIMED, WINDOW_KNOWN, WireError, put_frame,
};

use crate::apache::client::ClientSocket;
use crate::sys::board::Board;
use crate::sys::bytes::Bytes;
use crate::sys::descriptors;
use crate::sys::window::Window;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::net::{SocketAddrUnix, sockopt};

/// How long a read sleeps at most before the child looks around: is the client still there, does the group still run?
pub const GLANCE: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The listen queue is full, or nobody listens at this moment.
    Full,
    /// Anything else.
    Failed(std::io::Error),
}

/// Why there is no frame.
#[derive(Debug)]
pub enum ReadError {
    /// Nothing came for [`GLANCE`], or for the wait that was asked for.
    Quiet,
    /// The daemon has closed the connection after it had read all.
    Closed,
    /// The daemon has closed the connection and not read all that was sent: it has not run the request.
    NotRead,
    /// Anything else.
    Failed(std::io::Error),
    /// What came is no frame.
    Garbage(WireError),
}

/// A connection, and what has been read of it ahead.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    /// Room for what is read; empty until the first read, and never filled with zeros again after that.
    buffer: Vec<u8>,
    /// What of the buffer has been used.
    used: usize,
    /// How far the buffer holds what was read.
    end: usize,
    greeted: bool,
    /// Its process's place on the board, once that has said it.
    slot: Option<u32>,
    /// Files that came along.
    files: VecDeque<OwnedFd>,
    /// Whether the next request has been counted as load of its process.
    claimed: bool,
    /// The memory that its process shares, once that has passed it.
    window: Option<Window>,
    /// Room for [`Connection::parts`].
    places: Vec<Place>,
}

/// Where a piece of a response body is.
#[derive(Debug, Clone)]
enum Place {
    /// Here in the buffer.
    Read(Range<usize>),
    /// In the window.
    Shared(Placed),
}

/// What is here of a response body.
#[derive(Debug)]
pub struct Parts<'c> {
    buffer: &'c [u8],
    window: Option<&'c Window>,
    places: &'c [Place],
    /// How many bytes of the last payload are not here yet.
    pub left: usize,
    /// The end of the response, where it follows and is here already.
    pub end: Option<FrameHeader>,
}

/// How many pieces go to httpd together.
pub const MOST_PARTS: usize = 16;

/// How many bytes of a window go to httpd together, or a little more: their room is then free again.
const MOST_BYTES: u32 = 32 * 1024;

/// Room for what one read may bring.
const READ_AHEAD: usize = 64 * 1024;

impl Connection {
    /// Connects to a group's socket.
    pub fn open(path: &Path, timeout: Duration) -> Result<Self, ConnectError> {
        let failed = |error: rustix::io::Errno| match error {
            rustix::io::Errno::AGAIN | rustix::io::Errno::CONNREFUSED => ConnectError::Full,
            error => ConnectError::Failed(error.into()),
        };
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        let socket = descriptors::unix_socket(false).map_err(failed)?;
        // With a limit on sending, connect does not wait for a full queue longer than that.
        let limit = |which, limit| sockopt::set_socket_timeout(&socket, which, Some(limit)).map_err(failed);
        limit(sockopt::Timeout::Send, Duration::from_millis(50))?;
        rustix::net::connect(&socket, &address).map_err(failed)?;
        limit(sockopt::Timeout::Send, if timeout.is_zero() { Duration::from_secs(86400) } else { timeout })?;
        limit(sockopt::Timeout::Recv, GLANCE)?;
        Ok(Self {
            stream: UnixStream::from(socket),
            buffer: Vec::new(),
            used: 0,
            end: 0,
            greeted: false,
            slot: None,
            files: VecDeque::new(),
            claimed: false,
            window: None,
            places: Vec::new(),
        })
    }

    /// Sends bytes, behind the greeting if this is the first time.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.greeted {
            return self.stream.write_all(bytes);
        }
        let mut greeting = Vec::with_capacity(bytes.len() + 64);
        Hello::write(&mut greeting);
        greeting.extend_from_slice(bytes);
        self.greeted = true;
        self.stream.write_all(&greeting)
    }

    /// The process behind this connection has this place on the board.
    pub fn set_slot(&mut self, slot: u32) {
        self.slot = Some(slot);
    }

    /// Counts the next request as load of the process, if that has a thread for it.
    pub fn claim(&mut self, board: &Board, threads: u32) -> bool {
        self.claimed = self.slot.is_some_and(|slot| board.claim(slot, threads));
        self.claimed
    }

    /// Takes the claim back: the process has not got the request.
    pub fn unclaim(&mut self, board: &Board) {
        if let Some(slot) = self.slot.filter(|_| std::mem::take(&mut self.claimed)) {
            board.unclaim(slot);
        }
    }

    /// Sends a request, told as claimed if it is.
    pub fn send_request(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        // A request frame begins with its kind and its flags.
        if let Some(flags) = bytes.get_mut(1) {
            *flags = (*flags & !REQUEST_CLAIMED) | if self.claimed { REQUEST_CLAIMED } else { 0 };
        }
        self.send(bytes)
    }

    fn ahead(&self) -> &[u8] {
        self.buffer.get(self.used..self.end).unwrap_or_default()
    }

    /// Whether something has been read ahead.
    pub fn has_more(&self) -> bool {
        self.used < self.end
    }

    /// Takes the file that came first.
    pub fn take_file(&mut self) -> Option<OwnedFd> {
        self.files.pop_front()
    }

    /// Moves what waits to the front of the buffer, and lets that grow where no room is left: a frame other than
    /// [`Kind::Data`] is kept whole.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.used..self.end, 0);
        self.end -= self.used;
        self.used = 0;
        if self.end == 0 && self.buffer.len() > READ_AHEAD {
            self.buffer = Vec::new();
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end + READ_AHEAD, 0);
        }
    }

    /// Reads what is there into the buffer, or waits for it.
    fn fill(&mut self) -> Result<(), ReadError> {
        self.make_room();
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            let read = receive(&self.stream, room, &mut self.files, RecvFlags::empty());
            if read != Err(rustix::io::Errno::INTR) {
                break read.map_err(std::io::Error::from);
            }
        };
        self.end += *read.as_ref().unwrap_or(&0);
        match read {
            Ok(0) => Err(ReadError::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => ReadError::Quiet,
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => ReadError::NotRead,
                _ => ReadError::Failed(error),
            }),
        }
    }

    /// Waits up to `limit` for something to read; whether there is.
    pub fn wait(&self, limit: Duration) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut polled = [PollFd::new(&self.stream, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&limit)).is_ok_and(|ready| ready > 0)
    }

    /// Waits up to [`GLANCE`] until there is something to read, or the client takes more.
    pub fn wait_for_either(&self, client: Option<&ClientSocket<'_>>) {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let mut polled = vec![PollFd::new(&self.stream, PollFlags::IN)];
        let client = client.map(ClientSocket::descriptor);
        polled.extend(client.as_ref().map(|client| PollFd::new(client, PollFlags::OUT)));
        let limit = Timespec { tv_sec: GLANCE.as_secs() as i64, tv_nsec: 0 };
        // An interrupted wait is a wait that has ended; the caller looks again.
        rustix::event::poll(&mut polled, Some(&limit)).ok();
    }

    /// The header of the next frame.
    pub fn header(&mut self) -> Result<FrameHeader, ReadError> {
        loop {
            if let Some(header) = self.ahead().first_chunk::<FRAME_HEADER>() {
                let header = FrameHeader::decode(*header).map_err(ReadError::Garbage)?;
                self.used += FRAME_HEADER;
                return Ok(header);
            }
            self.fill()?;
        }
    }

    /// The whole payload of a frame whose header was read; for frames other than [`Kind::Data`]. A daemon sends a frame
    /// at once, so quiet inside of one is waited out, `patience` glances long.
    pub fn payload(&mut self, header: FrameHeader, mut patience: u32) -> Result<&[u8], ReadError> {
        debug_assert!(header.kind != Kind::Data);
        let length = header.length as usize;
        while self.ahead().len() < length {
            match self.fill() {
                Err(ReadError::Quiet) if patience > 0 => patience -= 1,
                filled => filled?,
            }
        }
        let from = self.used;
        self.used += length;
        Ok(self.buffer.get(from..self.used).unwrap_or_default())
    }

    /// What is here of a payload of which `left` bytes are missing, and of the payloads of [`Kind::Data`] that follow; at
    /// least one byte.
    pub fn parts(&mut self, left: usize) -> Result<Parts<'_>, ReadError> {
        if !self.has_more() {
            self.fill()?;
        }
        self.places.clear();
        let (mut left, mut end) = (left, None);
        loop {
            let to = self.used + self.ahead().len().min(left);
            self.places.push(Place::Read(self.used..to));
            left -= to - self.used;
            self.used = to;
            let next = self.ahead().first_chunk::<FRAME_HEADER>().filter(|_| left == 0);
            match next.and_then(|header| FrameHeader::decode(*header).ok()) {
                Some(header) if header.kind == Kind::End && header.length == 0 => end = Some(header),
                Some(header) if header.kind == Kind::Data && self.places.len() < MOST_PARTS => {
                    left = header.length as usize;
                    self.used += FRAME_HEADER;
                    if left > 0 && self.has_more() {
                        continue;
                    }
                }
                _ => break,
            }
            self.used += end.map_or(0, |_| FRAME_HEADER);
            break;
        }
        Ok(self.collected(left, end))
    }

    /// Whether there are pieces in the window.
    pub fn has_placed(&self) -> bool {
        self.window.as_ref().is_some_and(Window::has_next)
    }

    /// Pieces in the window. They have to be [done](Connection::done) with.
    pub fn placed(&mut self) -> Result<Parts<'_>, ReadError> {
        self.places.clear();
        let mut bytes = 0;
        while bytes < MOST_BYTES && self.places.len() < MOST_PARTS {
            let next = self.window.as_mut().map_or(Ok(None), Window::next).map_err(ReadError::Garbage)?;
            let Some(placed) = next else { break };
            bytes += placed.length;
            self.places.push(Place::Shared(placed));
        }
        Ok(self.collected(0, None))
    }

    fn collected(&self, left: usize, end: Option<FrameHeader>) -> Parts<'_> {
        Parts { buffer: &self.buffer, window: self.window.as_ref(), places: &self.places, left, end }
    }

    /// The pieces in the window that were given are not needed any longer.
    pub fn done(&mut self) -> std::io::Result<()> {
        self.places.clear();
        if !self.window.as_ref().is_some_and(Window::finish) {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(FRAME_HEADER);
        put_frame(&mut frame, Kind::Room, 0, b"");
        self.send(&frame)
    }

    /// Has the daemon send a frame for its next piece in the window; `false` where there is one already.
    pub fn listen(&self) -> bool {
        self.window.as_ref().is_none_or(Window::listen)
    }

    /// The daemon lends its window to the response: one that has come along, or the one that it has passed before.
    pub fn open_window(&mut self, flags: u8) -> Result<(), ReadError> {
        let garbage = |what| ReadError::Garbage(WireError::BadValue(what));
        if flags & WINDOW_KNOWN == 0 {
            let file = self.take_file().ok_or(garbage("window without a descriptor"))?;
            self.window = Window::map(&file).map_err(ReadError::Failed)?;
        }
        let window = self.window.as_mut().ok_or(garbage("file that is to be a window"))?;
        window.open();
        Ok(())
    }

    /// The response is at its end.
    pub fn close_window(&mut self) {
        if let Some(window) = &mut self.window {
            window.close();
        }
    }

    /// Reads what is there, without waiting; whether there was anything. A fault is met again by who waits.
    pub fn look(&mut self) -> bool {
        if self.has_more() {
            return true;
        }
        self.make_room();
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = receive(&self.stream, room, &mut self.files, RecvFlags::DONTWAIT).unwrap_or(0);
        self.end += read;
        read > 0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(window) = self.window.as_ref().filter(|window| window.is_open()) {
            // In the middle of a response. The daemon is to notice with its next piece, not when the window is full.
            self.stream.shutdown(std::net::Shutdown::Both).ok();
            window.abandon();
        }
    }
}

impl<'c> Parts<'c> {
    /// Whether they are in memory that another process can change.
    pub fn are_shared(&self) -> bool {
        matches!(self.places, [Place::Shared(_), ..])
    }

    /// Each piece.
    pub fn iter(&self) -> impl Iterator<Item = Bytes<'c>> {
        let (buffer, window) = (self.buffer, self.window);
        self.places.iter().map(move |place| match place {
            Place::Read(range) => Bytes::from(buffer.get(range.clone()).unwrap_or_default()),
            Place::Shared(placed) => window.map(|window| window.bytes(*placed)).unwrap_or_default(),
        })
    }

    /// All of them, in a list.
    pub fn list<'l>(&self, room: &'l mut [Bytes<'c>; MOST_PARTS]) -> &'l mut [Bytes<'c>] {
        room.iter_mut().zip(self.iter()).for_each(|(place, piece)| *place = piece);
        room.get_mut(..self.places.len()).unwrap_or_default()
    }

    /// A copy of all.
    pub fn copy(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(self.iter().map(Bytes::len).sum());
        self.iter().for_each(|piece| piece.append_to(&mut copy));
        copy
    }
}

/// Reads bytes, and the files that come along with them.
fn receive(
    stream: &UnixStream,
    buffer: &mut [u8],
    files: &mut VecDeque<OwnedFd>,
    flags: RecvFlags,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(
        stream,
        &mut [IoSliceMut::new(buffer)],
        &mut control,
        descriptors::WITH_DESCRIPTORS | flags,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received.map(descriptors::received));
        }
    }
    Ok(message.bytes)
}
