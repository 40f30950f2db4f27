//! Linux's counter behind a descriptor.

use crate::ignore;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Readable once it was woken, until it is calmed.
pub struct Wakeup(OwnedFd);

impl Wakeup {
    /// One that nobody has woken.
    ///
    /// # Errors
    /// What the system answers.
    pub fn new() -> rustix::io::Result<Self> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    /// Makes it readable.
    pub fn wake(&self) {
        // The counter cannot overflow in the life of a process, and that is the only way this can fail.
        ignore(rustix::io::write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// Makes it no longer readable.
    pub fn calm(&self) {
        let mut counter = [0; 8];
        // It fails where nobody has woken it.
        ignore(rustix::io::read(&self.0, &mut counter));
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
