//! Linux's event queue.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, OwnedFd};

/// The event queue.
pub struct Poller(OwnedFd);

impl Poller {
    /// A queue that knows no file yet.
    ///
    /// # Errors
    /// What the system answers.
    pub fn new() -> Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    /// Tells of `file`, under this name, as long as there is something to read.
    ///
    /// # Errors
    /// What the system answers.
    pub fn add(&self, file: impl AsFd, name: u64) -> Result<()> {
        epoll::add(&self.0, file, EventData::new_u64(name), EventFlags::IN)
    }

    /// Tells of `file` once, when there is something to read or the other side has closed; `again` where it was armed
    /// before.
    ///
    /// # Errors
    /// What the system answers.
    pub fn arm(&self, file: impl AsFd, name: u64, again: bool) -> Result<()> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ONESHOT;
        let data = EventData::new_u64(name);
        match again {
            true => epoll::modify(&self.0, file, data, flags),
            false => epoll::add(&self.0, file, data, flags),
        }
    }

    /// Forgets a file that was added.
    ///
    /// # Errors
    /// What the system answers.
    pub fn remove(&self, file: impl AsFd) -> Result<()> {
        epoll::delete(&self.0, file)
    }

    /// Waits for an event; answers its name.
    ///
    /// # Errors
    /// What the system answers.
    pub fn wait(&self) -> Result<u64> {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
        loop {
            match epoll::wait(&self.0, &mut events[..], None) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(events[0].data.u64()),
                Err(error) => return Err(error),
            }
        }
    }
}
