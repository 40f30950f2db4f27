//! The page that a group's processes, httpd's parent and its children share: the state of each process.

use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mod_wsgi_core::launch::board::{FAILED, FIGURE_COUNT, FIGURES, LOADS, READY, RETIRING, SIZE, SLOTS};

/// A group's page. It is mapped before httpd forks, so its children have it too; daemons get the file.
#[derive(Debug)]
pub struct Board {
    file: OwnedFd,
    page: NonNull<AtomicU32>,
}

// SAFETY: the page is only accessed as atomics.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

impl Board {
    /// A page with every slot empty.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new() -> std::io::Result<Self> {
        let file = super::shared_file::new(SIZE as u64)?;
        let protection = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        // SAFETY: a new mapping of a file of just that size, at an address the system chooses.
        let page = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), SIZE, protection, rustix::mm::MapFlags::SHARED, &file, 0)?
        };
        let page = NonNull::new(page.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Self { file, page })
    }

    /// The file behind the page, for a daemon to map.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// States and loads.
    fn numbers(&self) -> &[AtomicU32] {
        // SAFETY: the mapping holds more aligned u32, lives as long as `self`, and is only accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.page.as_ptr(), FIGURES / 4) }
    }

    /// The numbers in which Apache's children count the group's requests.
    #[must_use]
    pub fn figures(&self) -> &[AtomicU64] {
        // SAFETY: the mapping holds so many aligned u64 from that place on, lives as long as `self`, and is only accessed as
        // atomics; `numbers` is not used for this part.
        unsafe { std::slice::from_raw_parts(self.page.as_ptr().cast::<AtomicU64>().add(FIGURES / 8), FIGURE_COUNT) }
    }

    /// How many processes are in each state, by its number, and how many requests those have that take some.
    #[must_use]
    pub fn census(&self) -> ([u32; 5], u32) {
        let (mut states, mut busy) = ([0; 5], 0);
        for (slot, state) in (0_u32..).zip(self.slots()) {
            let state = state.load(Ordering::Acquire);
            if let Some(count) = states.get_mut(state as usize) {
                *count += 1;
            }
            if matches!(state, READY | RETIRING) {
                busy += self.load_of(slot);
            }
        }
        (states, busy)
    }

    fn slots(&self) -> &[AtomicU32] {
        self.numbers().get(..SLOTS).unwrap_or_default()
    }

    fn load(&self, slot: u32) -> Option<&AtomicU32> {
        self.numbers().get(LOADS / 4..)?.get(slot as usize)
    }

    /// Counts a request as load of a process that has a thread for it; whether it has.
    pub fn claim(&self, slot: u32, threads: u32) -> bool {
        let add = |load: u32| (load < threads).then_some(load + 1);
        self.get(slot) == READY
            && self.load(slot).is_some_and(|load| load.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok())
    }

    /// Takes back a claim, where the process has not got the request.
    pub fn unclaim(&self, slot: u32) {
        let subtract = |load: u32| load.checked_sub(1);
        if let Some(load) = self.load(slot) {
            // A process that had nothing to do has set its load to zero meanwhile.
            load.fetch_update(Ordering::AcqRel, Ordering::Acquire, subtract).ok();
        }
    }

    /// Whether any process has a thread for a request.
    pub fn has_free(&self, threads: u32) -> bool {
        let mut processes = self.slots().iter().zip(self.numbers().iter().skip(LOADS / 4));
        processes.any(|(state, load)| state.load(Ordering::Acquire) == READY && load.load(Ordering::Acquire) < threads)
    }

    /// How many requests a process has, as far as is known.
    #[must_use]
    pub fn load_of(&self, slot: u32) -> u32 {
        self.load(slot).map_or(0, |load| load.load(Ordering::Acquire))
    }

    /// The state of a process.
    #[must_use]
    pub fn get(&self, slot: u32) -> u32 {
        self.slots().get(slot as usize).map_or(FAILED, |slot| slot.load(Ordering::Acquire))
    }

    /// Sets the state of a process; a new one has no load.
    pub fn set(&self, slot: u32, state: u32) {
        if let Some(load) = self.load(slot) {
            load.store(0, Ordering::Release);
        }
        if let Some(slot) = self.slots().get(slot as usize) {
            slot.store(state, Ordering::Release);
        }
    }

    /// Whether no process runs or starts, and one could not: a request would wait in vain.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        let mut failed = false;
        for slot in self.slots() {
            match slot.load(Ordering::Acquire) {
                mod_wsgi_core::launch::board::EMPTY => {}
                FAILED => failed = true,
                _ => return false,
            }
        }
        failed
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, with this size, and no reference to it is left.
        let unmapped = unsafe { rustix::mm::munmap(self.page.as_ptr().cast::<c_void>(), SIZE) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mod_wsgi_core::launch::board::{EMPTY, STARTING};

    #[test]
    fn a_process_is_claimed_as_often_as_it_has_threads() {
        let board = Board::new().unwrap();
        assert!(!board.claim(3, 2) && !board.has_free(2));
        board.set(3, READY);
        assert!(board.has_free(2) && board.claim(3, 2) && board.claim(3, 2));
        assert!(!board.claim(3, 2) && !board.has_free(2));
        board.unclaim(3);
        assert!(board.claim(3, 2));
    }

    #[test]
    fn a_group_is_hopeless_when_nothing_runs_and_something_failed() {
        let board = Board::new().unwrap();
        assert!(!board.is_hopeless());
        board.set(0, FAILED);
        assert!(board.is_hopeless());
        board.set(1, STARTING);
        assert!(!board.is_hopeless());
        board.set(1, READY);
        assert_eq!(board.get(1), READY);
        board.set(1, EMPTY);
        assert!(board.is_hopeless());
    }
}
