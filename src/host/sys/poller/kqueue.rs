//! The event queue of macOS and the BSDs.

use rustix::event::kqueue::{Event, EventFilter, EventFlags, kevent_timespec, kqueue};
use rustix::io::{Errno, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The event queue.
pub struct Poller(OwnedFd);

impl Poller {
    /// A queue that knows no file yet. Programs and processes forked from this one do not inherit it.
    ///
    /// # Errors
    /// What the system answers.
    pub fn new() -> Result<Self> {
        let queue = kqueue()?;
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self(queue))
    }

    fn change(&self, file: impl AsFd, name: u64, flags: EventFlags) -> Result<()> {
        let event = Event::new(EventFilter::Read(file.as_fd().as_raw_fd()), flags, name as *mut _);
        let mut none: [MaybeUninit<Event>; 0] = [];
        // SAFETY: the file is open during the call. The queue forgets it when it is closed.
        unsafe { kevent_timespec(&self.0, &[event], &mut none[..], None) }.map(|_| ())
    }

    /// Tells of `file`, under this name, as long as there is something to read.
    ///
    /// # Errors
    /// What the system answers.
    pub fn add(&self, file: impl AsFd, name: u64) -> Result<()> {
        self.change(file, name, EventFlags::ADD)
    }

    /// Tells of `file` once, when there is something to read or the other side has closed. Whether it was armed before does
    /// not matter: what was told once is forgotten.
    ///
    /// # Errors
    /// What the system answers.
    pub fn arm(&self, file: impl AsFd, name: u64, _again: bool) -> Result<()> {
        self.change(file, name, EventFlags::ADD | EventFlags::ONESHOT)
    }

    /// Forgets a file that was added.
    ///
    /// # Errors
    /// What the system answers.
    pub fn remove(&self, file: impl AsFd) -> Result<()> {
        self.change(file, 0, EventFlags::DELETE)
    }

    /// Waits for an event; answers its name.
    ///
    /// # Errors
    /// What the system answers.
    pub fn wait(&self) -> Result<u64> {
        let mut places = [const { MaybeUninit::<Event>::uninit() }; 1];
        loop {
            // SAFETY: nothing is changed, so that no file is named.
            match unsafe { kevent_timespec(&self.0, &[], &mut places[..], None) } {
                Ok(([event, ..], _)) => return Ok(event.udata() as u64),
                Ok(([], _)) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
