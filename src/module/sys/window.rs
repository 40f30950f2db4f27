//! Memory that a daemon process shares, with pieces of response bodies.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use mod_wsgi_core::wire::{Ledger, Placed, WINDOW_BEGIN, WINDOW_SIZE, WireError};

use super::bytes::Bytes;
use super::memory::Mapping;

/// The memory of one daemon process, mapped. That process may write anything there at any time, but it cannot take it away.
#[derive(Debug)]
pub struct Window {
    memory: Mapping,
    /// The number of the next piece, while the window is lent to a response.
    next: Option<u64>,
}

/// Whether nobody can make a file shorter than a window. Of files that are not in memory alone it cannot be told.
#[cfg(target_os = "linux")]
fn is_safe(file: &OwnedFd) -> bool {
    use rustix::fs::{SealFlags, fcntl_get_seals, fstat};

    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK))
        && fstat(file).is_ok_and(|stat| u64::try_from(stat.st_size).is_ok_and(|size| size >= WINDOW_SIZE.into()))
}

/// Elsewhere no process shares memory in this way.
#[cfg(not(target_os = "linux"))]
fn is_safe(_file: &OwnedFd) -> bool {
    false
}

impl Window {
    /// Maps what a daemon process has passed; `None` for what is not a window.
    ///
    /// # Errors
    /// What the system answered.
    pub fn map(file: &OwnedFd) -> io::Result<Option<Self>> {
        if !is_safe(file) {
            return Ok(None);
        }
        Ok(Some(Self { memory: Mapping::new(file.as_fd(), 0, WINDOW_SIZE as usize)?, next: None }))
    }

    fn ledger(&self) -> Option<Ledger<'_>> {
        Ledger::new(self.memory.words())
    }

    /// The daemon lends it to a response.
    pub fn open(&mut self) {
        self.next = self.ledger().map(|ledger| ledger.done());
    }

    /// The response is at its end.
    pub fn close(&mut self) {
        if let Some(ledger) = self.next.take().and_then(|_| self.ledger()) {
            ledger.release();
        }
    }

    /// Whether it is lent to a response.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.next.is_some()
    }

    /// The next piece that the daemon has told of. It stays as it is, if the daemon is as it should be, until [`Window::finish`].
    ///
    /// # Errors
    /// [`WireError::BadValue`].
    pub fn next(&mut self) -> Result<Option<Placed>, WireError> {
        let Some((number, ledger)) = self.next.zip(self.ledger()) else { return Ok(None) };
        let piece = ledger.piece(number)?;
        self.next = Some(number + u64::from(piece.is_some()));
        Ok(piece)
    }

    /// Whether [`Window::next`] has something to say.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.zip(self.ledger()).is_some_and(|(number, ledger)| ledger.piece(number) != Ok(None))
    }

    /// The bytes of a piece.
    #[must_use]
    pub fn bytes(&self, placed: Placed) -> Bytes<'_> {
        let begin = self.memory.words().as_ptr().cast::<u8>();
        // SAFETY: a place is inside of the window, which is mapped as long as `self` lives, and cannot become shorter.
        unsafe { Bytes::at(begin.add((WINDOW_BEGIN + placed.at) as usize), placed.length as usize) }
    }

    /// The pieces so far are not needed any longer. Answers whether the daemon waits to be told.
    #[must_use]
    pub fn finish(&self) -> bool {
        self.next.zip(self.ledger()).is_some_and(|(number, ledger)| ledger.finish(number))
    }

    /// The connection was closed in the middle of a response, which the daemon is to notice.
    pub fn abandon(&self) {
        if let Some(ledger) = self.next.and_then(|_| self.ledger()) {
            ledger.abandon();
        }
    }

    /// Has the daemon send a frame with its next piece; `false` where there is one already.
    #[must_use]
    pub fn listen(&self) -> bool {
        self.next.zip(self.ledger()).is_none_or(|(number, ledger)| ledger.listen(number))
    }
}
