//! Which threads of a daemon process wait for requests. One runs Python, a second one has the next request already, and the
//! others sleep where no request wakes them: they could only wait for Python's lock, one behind the other. When nobody is left
//! who will come back to the event queue by himself, one of them is called.

use crate::sys::clock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// How many threads may wait for requests at once. With a single one each request would have to call a second.
const ENOUGH: usize = 2;

/// How long one thread may have Python's lock again and again while another waits for it, in microseconds. CPython sets no limit:
/// a thread that gives the lock away and wants it again at once has it before the one that waits is awake.
const PATIENCE: u64 = 1000;

/// The threads of a process.
#[derive(Debug, Default)]
pub struct Roster {
    /// How many threads wait for a request, wait for Python's lock with one, or have done with one. All three end soon and by
    /// themselves, the second when whoever has the lock gives it away.
    ready: AtomicUsize,
    /// How many of them wait for the lock.
    lined_up: AtomicUsize,
    /// The thread that stepped in last, and since when no other one has, in microseconds since the epoch.
    last: AtomicU32,
    last_since: AtomicU64,
    sleepers: Mutex<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    /// Who sleeps. The last one is called first: what it uses is most likely still in a cache.
    threads: Vec<Thread>,
    /// Whether nobody may sleep any more.
    over: bool,
}

impl Roster {
    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread has a request and waits for Python's lock.
    pub fn line_up(&self) {
        self.lined_up.fetch_add(1, Ordering::AcqRel);
    }

    /// The thread of that number has got into Python with a request, or does something else that takes who knows how long.
    pub fn step_in(&self, number: u32, lined_up: bool) {
        if lined_up {
            self.lined_up.fetch_sub(1, Ordering::AcqRel);
        }
        if self.last.swap(number, Ordering::AcqRel) != number {
            self.last_since.store(clock::microseconds(), Ordering::Release);
        }
        if self.ready.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut sleepers = self.sleepers();
            if let Some(thread) = sleepers.threads.pop() {
                self.ready.fetch_add(1, Ordering::AcqRel);
                thread.unpark();
            }
        }
    }

    /// Whether the thread of that number has had the lock for itself long enough.
    fn has_to_give_way(&self, number: u32) -> bool {
        self.lined_up.load(Ordering::Acquire) > 0
            && self.last.load(Ordering::Acquire) == number
            && clock::microseconds().saturating_sub(self.last_since.load(Ordering::Acquire)) > PATIENCE
    }

    /// A new thread, or one that has done what it stepped in for.
    pub fn step_out(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
    }

    /// Lets the thread of that number sleep, before it waits for a request, while there are others enough, or where it has kept
    /// another one from the lock: that one calls it as soon as it has it.
    pub fn stand_by(&self, number: u32) {
        let enough = if self.has_to_give_way(number) { 1 } else { ENOUGH };
        let spare = |ready| (ready > enough).then(|| ready - 1);
        if self.ready.load(Ordering::Acquire) <= enough {
            return;
        }
        let mut sleepers = self.sleepers();
        // Under the lock: whoever steps in as the last one finds this thread among the sleepers.
        if sleepers.over || self.ready.fetch_update(Ordering::AcqRel, Ordering::Acquire, spare).is_err() {
            return;
        }
        let this = thread::current();
        sleepers.threads.push(this.clone());
        while sleepers.threads.iter().any(|thread| thread.id() == this.id()) {
            drop(sleepers);
            thread::park();
            sleepers = self.sleepers();
        }
    }

    /// Wakes all threads, and lets none sleep again.
    pub fn end(&self) {
        let mut sleepers = self.sleepers();
        sleepers.over = true;
        for thread in sleepers.threads.drain(..) {
            self.ready.fetch_add(1, Ordering::AcqRel);
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ENOUGH, PATIENCE, Roster};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread;
    use std::time::{Duration, Instant};

    fn wait_until(what: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < until, "it does not happen");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A thread that sleeps as soon as it may.
    fn sleeper(roster: &Arc<Roster>, number: u32) -> thread::JoinHandle<()> {
        let (roster, before) = (Arc::clone(roster), asleep(roster));
        roster.step_out();
        let shared = Arc::clone(&roster);
        let thread = thread::spawn(move || shared.stand_by(number));
        wait_until(|| asleep(&roster) == before + 1);
        thread
    }

    fn asleep(roster: &Roster) -> usize {
        roster.sleepers().threads.len()
    }

    fn ready(roster: &Roster) -> usize {
        roster.ready.load(Ordering::Acquire)
    }

    #[test]
    fn the_last_one_who_steps_in_calls_another() {
        let roster = Arc::new(Roster::default());
        for _ in 0..ENOUGH {
            roster.step_out();
        }
        let (first, second) = (sleeper(&roster, 3), sleeper(&roster, 4));
        roster.step_in(1, false);
        assert_eq!((asleep(&roster), ready(&roster)), (2, 1));
        roster.step_in(2, false);
        assert_eq!((asleep(&roster), ready(&roster)), (1, 1));
        second.join().unwrap();
        roster.end();
        first.join().unwrap();
        assert_eq!((asleep(&roster), ready(&roster)), (0, 2));
    }

    #[test]
    fn who_has_had_the_lock_for_long_lets_the_one_that_waits_go_first() {
        let roster = Arc::new(Roster::default());
        roster.step_out();
        roster.line_up();
        // The first thread has the lock again and again, while the second waits for it.
        roster.step_out();
        roster.step_in(1, false);
        assert!(!roster.has_to_give_way(1), "not at once");
        thread::sleep(Duration::from_micros(2 * PATIENCE));
        assert!(roster.has_to_give_way(1));
        let gives_way = sleeper(&roster, 1);
        assert_eq!(ready(&roster), 1);
        roster.step_in(2, true);
        gives_way.join().unwrap();
        assert!(!roster.has_to_give_way(2), "nobody waits any more");
        assert_eq!(ready(&roster), 1);
    }

    #[test]
    fn nobody_sleeps_while_all_others_have_stepped_in() {
        let (roster, rounds) = (Arc::new(Roster::default()), 2000_u32);
        let threads: Vec<_> = (0..6_u32)
            .map(|number| {
                let roster = Arc::clone(&roster);
                thread::spawn(move || {
                    roster.step_out();
                    for round in 0..rounds {
                        roster.stand_by(number);
                        assert!(ready(&roster) > 0, "who is awake is counted");
                        roster.step_in(number, false);
                        if (round + number) % 7 == 0 {
                            thread::yield_now();
                        }
                        roster.step_out();
                    }
                    // It does not come back, so that the others have to.
                    roster.step_in(number, false);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((ready(&roster), asleep(&roster)), (0, 0));
    }
}
