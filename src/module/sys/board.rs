//! The memory that a group's processes, httpd's parent and its children share.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mod_wsgi_core::board::{
    ENDED, ENDS, EVENTS, EXEMPLARS, Events, Exemplars, FAILED, FIGURE_COUNT, FIGURES, FILE_SIZE, INTERPRETERS,
    Interpreters, LOADS, Listed, PROCESSES, READY, RETIRING, SAID, SEATS_SIZE, SIZE, SLOTS, Seat, Words,
};

use super::memory::{Mapping, Memory};

/// The seats of a process.
#[derive(Debug)]
pub struct Seats(Mapping);

impl Seats {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Seat<'_>> {
        Seat::all(self.0.words())
    }
}

/// A group's board. It is mapped before httpd forks, so its children have it too; daemons get the file. On Windows there is
/// embedded mode's alone, which belongs to one child of httpd.
#[derive(Debug)]
pub struct Board {
    memory: Memory,
    page: Mapping,
    /// Since when it counts, in microseconds since the epoch.
    since: u64,
    /// Embedded mode's seats, which belong to no process: mapped in a child, with its first request.
    shared_seats: OnceLock<Option<Seats>>,
}

#[cfg(unix)]
impl Board {
    /// The file behind the board, for a daemon to map.
    #[must_use]
    pub fn file(&self) -> std::os::fd::BorrowedFd<'_> {
        self.memory.file()
    }

    /// The seats of the process of a slot.
    ///
    /// # Errors
    /// What the system answered.
    pub fn seats(&self, slot: u32) -> io::Result<Seats> {
        self.memory.map(SIZE + slot as usize % SLOTS * SEATS_SIZE, SEATS_SIZE).map(Seats)
    }
}

/// How many processes' seats embedded mode has for all of httpd's threads.
const SHARED_SEATS: usize = 4;

impl Board {
    /// A board with every slot empty.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new() -> io::Result<Self> {
        let memory = Memory::new(FILE_SIZE as u64)?;
        let page = memory.map(0, SIZE)?;
        Ok(Self { memory, page, since: crate::clock::microseconds_now(), shared_seats: OnceLock::new() })
    }

    /// Since when it counts, in microseconds since the epoch: from the start of httpd, or the reload that brought the group.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// States and loads.
    fn numbers(&self) -> &[AtomicU32] {
        // SAFETY: the mapping holds more aligned u32, lives as long as `self`, and is only accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.page.words().as_ptr().cast(), FIGURES / 4) }
    }

    fn words(&self, begin: usize, count: usize) -> Words<'_> {
        self.page.words().get(begin / 8..begin / 8 + count).unwrap_or_default()
    }

    /// The numbers in which Apache's children count the group's requests.
    #[must_use]
    pub fn figures(&self) -> Words<'_> {
        self.words(FIGURES, FIGURE_COUNT)
    }

    /// Where the parent tells of the process of a slot.
    fn listed_words(&self, slot: u32) -> Words<'_> {
        self.words(PROCESSES + slot as usize % SLOTS * Listed::WORDS * 8, Listed::WORDS)
    }

    /// Tells of the process of a slot.
    pub fn list(&self, slot: u32, process: Listed) {
        process.write(self.listed_words(slot));
    }

    /// The processes there are: their slots, states, and what the parent tells of them.
    pub fn listed(&self) -> impl Iterator<Item = (u32, u32, Listed)> {
        let states = (0_u32..).zip(self.slots()).map(|(slot, state)| (slot, state.load(Ordering::Acquire)));
        let running = states.filter(|(_, state)| *state != mod_wsgi_core::board::EMPTY && *state != FAILED);
        running.map(|(slot, state)| (slot, state, Listed::read(self.listed_words(slot))))
    }

    /// How many processes have ended for each of [`ENDS`].
    #[must_use]
    pub fn ended(&self) -> Words<'_> {
        self.words(ENDED, ENDS.len())
    }

    /// A fault is said again, though it was before.
    pub fn forget_what_was_said(&self) {
        self.words(SAID, 1).iter().for_each(|said| said.store(0, Ordering::Relaxed));
    }

    /// Requests that stand for their bucket.
    #[must_use]
    pub fn exemplars(&self) -> Exemplars<'_> {
        Exemplars(self.words(EXEMPLARS, Exemplars::WORDS))
    }

    /// The last faults.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        Events(self.words(EVENTS, Events::WORDS))
    }

    /// What is counted of each interpreter.
    #[must_use]
    pub fn interpreters(&self) -> Interpreters<'_> {
        Interpreters(self.words(INTERPRETERS, Interpreters::WORDS))
    }

    /// The seats of embedded mode.
    #[must_use]
    pub fn shared_seats(&self) -> Option<&Seats> {
        let map = || self.memory.map(SIZE, SHARED_SEATS * SEATS_SIZE).ok().map(Seats);
        self.shared_seats.get_or_init(map).as_ref()
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
                mod_wsgi_core::board::EMPTY => {}
                FAILED => failed = true,
                _ => return false,
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mod_wsgi_core::board::{EMPTY, STARTING};

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
