//! The room in shared memory through which large responses go to Apache.

use crate::sys::shared::Shared;
use mod_wsgi_core::wire::{MOST_PIECES, Placed, WINDOW_ROOM};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The smallest piece, in bytes, that is worth a place.
pub const SMALLEST: usize = 4096;

/// Memory shared with one of Apache's processes at a time, used as a ring.
pub struct Window {
    shared: Shared,
    name: u64,
    /// The pieces that Apache may still look at, the oldest first.
    places: VecDeque<Placed>,
    /// How many pieces Apache was told of, and how many it was done with when it was last looked at.
    told: u64,
    done: u64,
}

/// The one contiguous piece of the ring that is free and begins where the next piece is to stand: where, and how long.
fn free(places: &VecDeque<Placed>) -> (u32, u32) {
    let (Some(oldest), Some(latest)) = (places.front(), places.back()) else { return (0, WINDOW_ROOM) };
    let (from, to) = (latest.at + latest.length, oldest.at);
    if from <= to {
        // It has come around.
        return (from, to - from);
    }
    let behind = WINDOW_ROOM - from;
    if behind >= SMALLEST as u32 || to == 0 { (from, behind) } else { (0, to) }
}

impl Window {
    fn new(name: u64) -> rustix::io::Result<Self> {
        Ok(Self { shared: Shared::new()?, name, places: VecDeque::new(), told: 0, done: 0 })
    }

    /// What Apache maps.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.shared.file()
    }

    /// What tells it from others of this process.
    pub fn name(&self) -> u64 {
        self.name
    }

    /// Forgets the pieces that Apache is done with.
    fn look(&mut self) {
        let done = self.shared.ledger().map_or(self.done, |ledger| ledger.done());
        // A number that makes no sense is none.
        let newly = usize::try_from(done.wrapping_sub(self.done)).ok().filter(|newly| *newly <= self.places.len());
        if let Some(newly) = newly {
            self.places.drain(..newly);
            self.done = done;
        }
    }

    /// Whether no process of Apache's looks at it, so that it can be lent to one.
    fn is_free(&mut self) -> bool {
        self.look();
        self.places.is_empty() && self.shared.ledger().is_some_and(|ledger| !ledger.is_lent())
    }

    /// Begins to use it for a response.
    pub fn lend(&mut self) {
        if let Some(ledger) = self.shared.ledger() {
            ledger.lend();
        }
    }

    /// Copies the begin of a piece to where there is room, and tells of it. Answers how long that was, 0 where there is no room, and
    /// whether Apache has to be woken.
    pub fn put(&mut self, piece: &[u8]) -> (usize, bool) {
        let wanted = piece.len().min(SMALLEST) as u32;
        let (mut at, mut room) = self.free();
        if (room as usize) < piece.len() {
            self.look();
            (at, room) = self.free();
        }
        let length = room.min(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        let (Some(ledger), Some(part)) = (self.shared.ledger(), piece.get(..length as usize)) else {
            return (0, false);
        };
        if length < wanted || length == 0 {
            return (0, false);
        }
        self.shared.copy_to(at, part);
        let placed = Placed { at, length };
        let wake = ledger.tell(self.told, placed);
        self.places.push_back(placed);
        self.told += 1;
        (length as usize, wake)
    }

    fn free(&self) -> (u32, u32) {
        if self.places.len() as u64 >= MOST_PIECES { (0, 0) } else { free(&self.places) }
    }

    /// Whether there is nothing to do but to wait until Apache wakes this process: it does so once it is done with a piece.
    pub fn wait(&mut self) -> bool {
        // Since then a piece found no room.
        let done = self.done;
        self.look();
        let is_full = self.done == done && !self.places.is_empty();
        is_full && self.shared.ledger().is_some_and(|ledger| ledger.wait(done))
    }
}

/// The windows of a process that no request has.
pub struct Windows {
    /// How many are kept: as many as requests can run at once.
    most: usize,
    names: AtomicU64,
    waiting: Mutex<Vec<Window>>,
}

impl Windows {
    /// For a process of so many threads.
    pub fn new(threads: u32) -> Self {
        Self { most: threads as usize, names: AtomicU64::new(0), waiting: Mutex::default() }
    }

    /// A window for a response, the one of that name if it can be had; `None` where there is no memory for it.
    pub fn take(&self, name: Option<u64>) -> Option<Window> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waiting.iter_mut().position(|window| Some(window.name) == name && window.is_free());
        // The one that was used last is most likely still in the processor's caches.
        let at = known.or_else(|| waiting.iter_mut().rposition(Window::is_free));
        if let Some(at) = at {
            return Some(waiting.remove(at));
        }
        drop(waiting);
        Window::new(self.names.fetch_add(1, Ordering::Relaxed)).ok()
    }

    /// Takes a window back. Apache may still look at pieces in it, and does not mind should it be dropped.
    pub fn give_back(&self, window: Window) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(window);
        if waiting.len() > self.most {
            // Rather one that an Apache process has left behind which ended in the middle of a response.
            let left = waiting.iter_mut().position(|window| !window.is_free());
            waiting.remove(left.unwrap_or(0));
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use mod_wsgi_core::wire::Ledger;

    /// What Apache sees.
    struct Apache {
        window: Window,
        read: u64,
    }

    impl Apache {
        fn new(window: Window) -> Self {
            Self { window, read: 0 }
        }

        fn is_done_with(&mut self, count: u64) {
            self.read = self.read.wrapping_add(count);
            drop(self.window.shared.ledger().unwrap().finish(self.read));
        }

        /// The next piece.
        fn read(&mut self) -> Option<Vec<u8>> {
            let placed = self.window.shared.ledger().unwrap().piece(self.read).unwrap()?;
            let mut read = vec![0; placed.length as usize];
            let at = u64::from(mod_wsgi_core::wire::WINDOW_BEGIN + placed.at);
            assert_eq!(rustix::io::pread(self.window.file(), &mut read[..], at), Ok(read.len()));
            self.is_done_with(1);
            Some(read)
        }
    }

    fn one() -> Apache {
        Apache::new(Window::new(0).unwrap())
    }

    #[test]
    fn pieces_of_any_size_arrive_as_they_were_put() {
        let mut apache = one();
        let mut seed = 7_u32;
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for number in 0..5000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let largest = if number % 100 < 50 { 100_000 } else { 100 };
            let piece = vec![number as u8; 1 + (seed >> 8) as usize % largest];
            let (taken, _) = apache.window.put(&piece);
            assert!(taken > 0 || apache.window.places.len() > 1, "an empty window has room");
            sent.extend_from_slice(&piece[..taken]);
            if seed % 3 != 0 {
                received.extend(apache.read().unwrap_or_default());
            }
            if sent.len() > 4_000_000 {
                while let Some(piece) = apache.read() {
                    received.extend(piece);
                }
                assert!(sent == received);
                (sent, received) = (Vec::new(), Vec::new());
            }
        }
    }

    #[test]
    fn a_full_window_takes_nothing_until_apache_is_done_with_a_piece() {
        let mut apache = one();
        let half = WINDOW_ROOM as usize / 2;
        let piece = vec![1; half];
        assert_eq!(apache.window.put(&piece), (half, false));
        assert_eq!(apache.window.put(&piece), (half, false));
        assert_eq!(apache.window.put(&piece), (0, false));
        assert!(apache.window.wait());
        apache.is_done_with(1);
        assert!(!apache.window.wait());
        assert_eq!(apache.window.put(&piece), (half, false));
        assert_eq!(apache.window.put(b"x"), (0, false));
    }

    #[test]
    fn small_pieces_are_told_as_far_as_there_are_words_for_them() {
        let mut apache = one();
        for _ in 0..MOST_PIECES {
            assert_eq!(apache.window.put(b"x"), (1, false));
        }
        assert_eq!(apache.window.put(b"x"), (0, false));
        assert!(apache.window.wait());
        apache.is_done_with(1);
        assert_eq!(apache.window.put(b"x"), (1, false));
    }

    #[test]
    fn a_number_that_makes_no_sense_does_no_harm() {
        let mut apache = one();
        apache.window.put(&[1; 5000]);
        apache.is_done_with(u64::MAX);
        assert!(!apache.window.is_free());
        apache.is_done_with(2);
        assert!(apache.window.is_free());
    }

    #[test]
    fn a_window_that_apache_still_looks_at_is_given_to_nobody() {
        let windows = Windows::new(2);
        let mut first = windows.take(None).unwrap();
        first.lend();
        first.put(&[1; 5000]);
        let (name, second) = (first.name(), windows.take(None).unwrap());
        let other = second.name();
        assert_ne!(name, other);
        windows.give_back(first);
        assert!(windows.take(Some(name)).is_some_and(|window| ![name, other].contains(&window.name())));
        windows.give_back(second);
        assert_eq!(windows.take(Some(name)).map(|window| window.name()), Some(other));
        let ledger = |what: fn(Ledger<'_>)| what(windows.waiting.lock().unwrap()[0].shared.ledger().unwrap());
        ledger(|ledger| drop(ledger.finish(1)));
        assert_ne!(windows.take(Some(name)).map(|window| window.name()), Some(name), "it may still wait for more");
        ledger(|ledger| ledger.release());
        assert_eq!(windows.take(Some(name)).map(|window| window.name()), Some(name));
    }

    #[test]
    fn no_more_windows_wait_than_requests_can_run() {
        let windows = Windows::new(2);
        let mut taken: Vec<_> = (0..4).filter_map(|_| windows.take(None)).collect();
        taken[1].put(&[1; 5000]);
        taken.into_iter().for_each(|window| windows.give_back(window));
        let waiting: Vec<_> = windows.waiting.lock().unwrap().iter().map(Window::name).collect();
        assert_eq!(waiting, [2, 3], "the one that was left behind goes first, then the oldest");
    }
}
