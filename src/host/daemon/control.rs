//! The control socket: what the parent says to this process, and what this process answers.

use crate::ignore;
use crate::sys::socket;
use mod_wsgi_core::launch::{Launch, Message, Preload};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, send};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// This process's end of the control socket.
pub struct Control {
    socket: OwnedFd,
    /// Wakes the parent.
    bell: OwnedFd,
    received: Vec<u8>,
}

/// What the control socket said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing yet.
    Nothing,
    /// To take no more requests, finish and end.
    Retire,
    /// That the process that was to take the place of this one could not.
    Declined,
    /// The parent is gone.
    Closed,
}

fn send_all(socket: &OwnedFd, message: &Message) {
    let bytes = message.encode();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match send(socket, rest, socket::QUIET) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // The other side is gone, which this process learns by reading.
            Err(_) => return,
        }
    }
}

/// Tells a process that this one replaces to retire.
pub fn retire(predecessor: OwnedFd) {
    socket::quiet(&predecessor);
    send_all(&predecessor, &Message::Retire);
}

impl Control {
    /// Takes over socket and bell.
    pub fn new(socket: OwnedFd, bell: OwnedFd) -> Self {
        socket::quiet(&socket);
        Self { socket, bell, received: Vec::new() }
    }

    /// For waiting.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<usize, Errno> {
        loop {
            self.received.reserve(4096);
            match recv(&self.socket, rustix::buffer::spare_capacity(&mut self.received), flags) {
                Err(Errno::INTR) => {}
                other => return other.map(|(length, _)| length),
            }
        }
    }

    fn message(&mut self) -> Result<Option<Message>, String> {
        let Some((message, taken)) = Message::split(&self.received).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        self.received.drain(..taken);
        Ok(Some(message))
    }

    /// Waits for the launch block.
    ///
    /// # Errors
    /// Why there is none.
    pub fn launch(&mut self) -> Result<Launch, String> {
        loop {
            match self.message()? {
                Some(Message::Launch(block)) => return Launch::decode(&block).map_err(|error| error.to_string()),
                Some(_) => return Err("another message came first".to_owned()),
                None => {}
            }
            if self.receive(RecvFlags::empty()).map_err(|error| error.to_string())? == 0 {
                return Err("the connection to Apache was closed".to_owned());
            }
        }
    }

    /// Looks what has been said, without waiting. There may be more.
    pub fn said(&mut self) -> Said {
        let open = match self.receive(RecvFlags::DONTWAIT) {
            Ok(length) => length > 0,
            Err(error) => error == Errno::AGAIN,
        };
        loop {
            match self.message() {
                Ok(Some(Message::Retire)) => return Said::Retire,
                Ok(Some(Message::Declined)) => return Said::Declined,
                Ok(Some(_)) => {}
                Ok(None) if open => return Said::Nothing,
                Ok(None) | Err(_) => return Said::Closed,
            }
        }
    }

    /// Tells the parent that requests are taken.
    pub fn ready(&mut self) {
        send_all(&self.socket, &Message::Ready);
    }

    /// Tells the parent of scripts that this process has loaded, for a later process to load them before it takes requests.
    pub fn loaded(&mut self, scripts: &[Preload]) {
        for script in scripts {
            send_all(&self.socket, &Message::Loaded(script.encode()));
        }
    }

    /// Tells the parent that another process is to take the place of this one, and why, and wakes it.
    pub fn renew(&mut self, reason: &str) {
        send_all(&self.socket, &Message::Renew(reason.as_bytes().to_vec()));
        // The parent may be asleep for a second. A bell that has been rung and not been heard yet is full.
        ignore(rustix::io::write(&self.bell, b"\n"));
    }

    /// Tells the parent why this process ends.
    pub fn failed(&mut self, why: &str) {
        send_all(&self.socket, &Message::Failed(why.as_bytes().to_vec()));
    }
}
