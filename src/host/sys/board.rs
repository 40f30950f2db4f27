//! The group's board: a page shared by its processes and Apache's children.

use mod_wsgi_core::launch::board;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

/// This process's place on the board. The page stays mapped until the process ends.
pub struct Place(NonNull<AtomicU32>);

// SAFETY: an atomic in memory that is never unmapped.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// Maps the board.
    ///
    /// # Errors
    /// What the system answers, or `EINVAL` for a slot the board does not have.
    pub fn map(board: BorrowedFd<'_>, slot: u32) -> rustix::io::Result<Self> {
        if slot as usize >= board::SLOTS {
            return Err(rustix::io::Errno::INVAL);
        }
        // SAFETY: a new shared mapping anywhere; the slot is inside of it, and a page is aligned for a `u32`.
        unsafe {
            let flags = ProtFlags::READ | ProtFlags::WRITE;
            let page = mmap(null_mut(), board::SIZE, flags, MapFlags::SHARED, board, 0)?;
            NonNull::new(page.cast::<AtomicU32>().add(slot as usize)).map(Self).ok_or(rustix::io::Errno::NOMEM)
        }
    }

    /// Tells what this process does.
    pub fn set(&self, value: u32) {
        // SAFETY: see the type.
        unsafe { self.0.as_ref() }.store(value.to_le(), Ordering::Release);
    }
}
