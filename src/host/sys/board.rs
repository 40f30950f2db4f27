//! The group's board: a page shared by its processes and Apache's children.

use crate::ignore;
use mod_wsgi_core::launch::board;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

/// This process's place on the board: its state, and its load. Both stay mapped until the process ends.
pub struct Place {
    state: NonNull<AtomicU32>,
    load: NonNull<AtomicU32>,
}

// SAFETY: atomics in memory that is never unmapped.
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
            let state = page.cast::<AtomicU32>().add(slot as usize);
            let load = page.cast::<AtomicU32>().add(board::LOADS / 4 + slot as usize);
            match (NonNull::new(state), NonNull::new(load)) {
                (Some(state), Some(load)) => Ok(Self { state, load }),
                _ => Err(rustix::io::Errno::NOMEM),
            }
        }
    }

    /// Tells what this process does.
    pub fn set(&self, value: u32) {
        // SAFETY: see the type.
        unsafe { self.state.as_ref() }.store(value.to_le(), Ordering::Release);
    }

    /// Counts a request that no child has counted.
    pub fn add_load(&self) {
        // SAFETY: see the type.
        unsafe { self.load.as_ref() }.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes a request off that is done.
    pub fn subtract_load(&self) {
        // SAFETY: see the type.
        let load = unsafe { self.load.as_ref() };
        // Claims of children that ended are forgotten below, so it may be zero already.
        ignore(load.fetch_update(Ordering::AcqRel, Ordering::Acquire, |load| load.checked_sub(1)));
    }

    /// Nothing is left to do: forgets claims of children that ended before they sent their request.
    pub fn clear_load(&self) {
        // SAFETY: see the type.
        unsafe { self.load.as_ref() }.store(0, Ordering::Release);
    }
}
