//! A pipe to oneself.

use crate::ignore;
use crate::sys::pipe::pipe;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Readable once it was woken, until it is calmed.
pub struct Wakeup {
    read: OwnedFd,
    write: OwnedFd,
}

impl Wakeup {
    /// One that nobody has woken.
    ///
    /// # Errors
    /// What the system answers.
    pub fn new() -> rustix::io::Result<Self> {
        let (read, write) = pipe()?;
        Ok(Self { read, write })
    }

    /// Makes it readable.
    pub fn wake(&self) {
        // A pipe that is full is readable.
        ignore(rustix::io::write(&self.write, &[0]));
    }

    /// Makes it no longer readable.
    pub fn calm(&self) {
        let mut bytes = [0; 256];
        while rustix::io::read(&self.read, &mut bytes).is_ok_and(|length| length == bytes.len()) {}
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
