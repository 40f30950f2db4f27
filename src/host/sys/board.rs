//! The group's board: memory shared by its processes and Apache's children.

use crate::ignore;
use mod_wsgi_core::board::{self, Seat};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// This process's place on the board: its state, its load, and its threads' seats. They stay mapped until the process ends.
pub struct Place {
    states: &'static [AtomicU32],
    slot: usize,
    load: NonNull<AtomicU32>,
    said: &'static AtomicU64,
    seats: &'static [AtomicU64],
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
        // SAFETY: new shared mappings anywhere; the slot is inside of the first, the second holds so many `u64` and is only
        // accessed as atomics, and pages are aligned for both.
        unsafe {
            let flags = ProtFlags::READ | ProtFlags::WRITE;
            let page = mmap(null_mut(), board::SIZE, flags, MapFlags::SHARED, board, 0)?;
            let offset = board::SIZE + slot as usize * board::SEATS_SIZE;
            let seats = mmap(null_mut(), board::SEATS_SIZE, flags, MapFlags::SHARED, board, offset as u64)?;
            let seats = std::slice::from_raw_parts(seats.cast::<AtomicU64>(), board::SEATS_SIZE / 8);
            // What the process that had the slot before has left there.
            seats.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            let states = std::slice::from_raw_parts(page.cast::<AtomicU32>(), board::SLOTS);
            let load = page.cast::<AtomicU32>().add(board::LOADS / 4 + slot as usize);
            let load = NonNull::new(load).ok_or(rustix::io::Errno::NOMEM)?;
            let said = &*page.cast::<AtomicU64>().add(board::SAID / 8);
            Ok(Self { states, slot: slot as usize, load, said, seats })
        }
    }

    /// The seat of a thread, whose number among those of the process begins with 1; `None` for threads beyond those told of.
    pub fn seat(&self, thread: u32) -> Option<Seat<'static>> {
        Seat::all(self.seats).nth((thread as usize).checked_sub(1)?)
    }

    /// Tells what this process does.
    pub fn set(&self, value: u32) {
        self.states[self.slot].store(value.to_le(), Ordering::Release);
    }

    /// Whether another process of the group takes requests.
    pub fn has_others(&self) -> bool {
        let is_ready = |state: &AtomicU32| u32::from_le(state.load(Ordering::Acquire)) == board::READY;
        self.states.iter().enumerate().any(|(slot, state)| slot != self.slot && is_ready(state))
    }

    /// Whether no process of the group has said this last, of what a number stands for; from now on one has.
    pub fn is_news(&self, number: u64) -> bool {
        self.said.swap(number, Ordering::AcqRel) != number
    }

    /// What was said last is said again when it happens again.
    pub fn forget_what_was_said(&self) {
        self.said.store(0, Ordering::Release);
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
