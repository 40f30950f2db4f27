//! A connection from an Apache child: what has come in, and whether it is a whole request.

use super::link::Link;
use super::window::Windows;
use mod_wsgi_core::wire::{
    Frame, Hello, Kind, REQUEST_BODY_FOLLOWS, REQUEST_CLAIMED, REQUEST_HAS_BODY, RequestHead, WireError,
};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A connection between two events.
pub struct Connection {
    /// The way to the child; `None` while a request has it.
    pub link: Option<Box<Link>>,
    /// What has come in and is not used yet.
    pub input: Vec<u8>,
    /// Whether the child has said who it is.
    pub greeted: bool,
    /// Whether the event queue knows the socket.
    pub registered: bool,
}

/// What a look at a connection found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Everything that was there has been read, and there may come more.
    Open,
    /// The child will send nothing more.
    Closed,
}

/// What the bytes at the front of a connection are.
#[derive(Debug)]
pub enum Unit<'a> {
    /// Not whole yet.
    Incomplete,
    /// A child of another release.
    Stranger,
    /// A request with what came of its body, and how many bytes it takes.
    Request {
        /// The head.
        head: RequestHead<'a>,
        /// Whether it has a body.
        has_body: bool,
        /// Whether the child has counted it as load of this process.
        claimed: bool,
        /// The first piece of the body, with the flags of its frame.
        first: Option<(&'a [u8], u8)>,
        /// How many bytes of input it takes.
        length: usize,
    },
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(socket: OwnedFd, windows: Arc<Windows>) -> Box<Self> {
        let link = Some(Box::new(Link::new(socket, windows)));
        Box::new(Self { link, input: Vec::with_capacity(8192), greeted: false, registered: false })
    }

    /// Reads what has come, without waiting.
    pub fn receive(&mut self) -> Input {
        let Some(link) = &self.link else { return Input::Closed };
        loop {
            self.input.reserve(4096);
            let room = self.input.capacity() - self.input.len();
            match recv(&link.socket, rustix::buffer::spare_capacity(&mut self.input), RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Input::Closed,
                // Less than there was room for: there is nothing more now.
                Ok((length, _)) if length < room => return Input::Open,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Input::Open,
                Err(_) => return Input::Closed,
            }
        }
    }

    /// Takes the greeting off the input, and answers whether the child may go on.
    ///
    /// # Errors
    /// [`WireError`] where this is no child of ours.
    fn greet(&mut self) -> Result<Option<bool>, WireError> {
        let Some((frame, taken)) = Frame::split(&self.input)? else { return Ok(None) };
        if frame.kind != Kind::Hello {
            return Err(WireError::BadValue("first frame"));
        }
        let ours = Hello::decode(frame.payload)?.is_ours();
        self.input.drain(..taken);
        self.greeted = true;
        Ok(Some(ours))
    }

    /// Looks at what has come in.
    ///
    /// # Errors
    /// [`WireError`] where it is nothing a child of ours would send.
    pub fn unit(&mut self) -> Result<Unit<'_>, WireError> {
        if !self.greeted {
            match self.greet()? {
                None => return Ok(Unit::Incomplete),
                Some(false) => return Ok(Unit::Stranger),
                Some(true) => {}
            }
        }
        let Some((frame, mut length)) = Frame::split(&self.input)? else { return Ok(Unit::Incomplete) };
        if frame.kind != Kind::Request {
            return Err(WireError::BadValue("frame between requests"));
        }
        let head = RequestHead::decode(frame.payload)?;
        let mut first = None;
        if frame.flags & REQUEST_BODY_FOLLOWS != 0 {
            let rest = self.input.get(length..).unwrap_or_default();
            let Some((body, taken)) = Frame::split(rest)? else { return Ok(Unit::Incomplete) };
            if body.kind != Kind::Body {
                return Err(WireError::BadValue("frame after a request"));
            }
            first = Some((body.payload, body.flags));
            length += taken;
        }
        let has_body = frame.flags & REQUEST_HAS_BODY != 0;
        let claimed = frame.flags & REQUEST_CLAIMED != 0;
        Ok(Unit::Request { head, has_body, claimed, first, length })
    }
}
