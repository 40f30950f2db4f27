//! What a group's processes, httpd's parent and its children tell each other without a system call: memory that they share,
//! one board for each group and one for embedded mode. Numbers are native ones; whoever writes and whoever reads are processes
//! of one machine and of one build.
//!
//! First comes a `u32` for each process, at four times its [`Launch::slot`](crate::launch::Launch::slot): its state. The parent
//! writes `EMPTY`, `STARTING` and `FAILED`, the process itself `READY` and `RETIRING`. Then, from [`LOADS`] on, another one for
//! each: how many requests it has. A child that sends a request over a connection whose process it knows counts it there first
//! ([`REQUEST_CLAIMED`](crate::wire::REQUEST_CLAIMED)), else the process does; the process takes it off. It is a hint for the
//! choice of a process, not a count to rely on.
//!
//! All that follows are `u64`s: what children count, what the parent knows of each process, and what each thread does. A reader
//! takes nothing of it for granted: a daemon process can write what it likes to the board of its group.

mod events;
mod exemplars;
mod interpreters;
mod record;
mod seats;

pub use events::{Event, Events};
pub use exemplars::{EXEMPLAR_BUCKETS, Exemplar, Exemplars};
pub use interpreters::{Interpreter, Interpreters};
pub use record::Words;
pub use seats::{Doing, Seat, Seated};

/// The most processes a group can have.
pub const SLOTS: usize = 1024;
/// Where the loads begin, in bytes.
pub const LOADS: usize = SLOTS * 4;
/// Where the figures begin, in bytes: in which Apache's children count the group's requests.
pub const FIGURES: usize = LOADS * 2;
/// How many of them there are.
pub const FIGURE_COUNT: usize = 1024;
/// Where it begins, in bytes, what the parent knows of each process; see [`Listed`].
pub const PROCESSES: usize = FIGURES + FIGURE_COUNT * 8;
/// Where the counts of [`ENDS`] begin, in bytes.
pub const ENDED: usize = PROCESSES + SLOTS * Listed::WORDS * 8;
/// Where the [`Exemplars`] begin, in bytes.
pub const EXEMPLARS: usize = ENDED + 64 * 8;
/// Where the [`Events`] begin, in bytes.
pub const EVENTS: usize = EXEMPLARS + Exemplars::WORDS * 8;
/// Where the [`Interpreters`] begin, in bytes.
pub const INTERPRETERS: usize = EVENTS + Events::WORDS * 8;
/// Where the number stands, in bytes, that stands for the last failure to load a script that was logged, so that the next attempt does
/// not log it again; 0 for none.
pub const SAID: usize = INTERPRETERS + Interpreters::WORDS * 8;
const END: usize = SAID + 8;
/// Size of what everybody maps, in bytes: a multiple of every size of a page.
pub const SIZE: usize = END.next_multiple_of(64 * 1024);
/// How many [`Seat`]s a process has; what further threads do is not told.
pub const SEATS: usize = 256;
/// Size of the seats of a process, in bytes. Those of slot N begin at [`SIZE`] and N times this.
pub const SEATS_SIZE: usize = SEATS * Seat::WORDS * 8;
/// Size of the whole file, in bytes. What nobody writes to takes no memory.
pub const FILE_SIZE: usize = SIZE + SLOTS * SEATS_SIZE;

const _: () = assert!(SEATS_SIZE == 64 * 1024 && ENDS.len() <= 64);

/// No process.
pub const EMPTY: u32 = 0;
/// Started, and not ready to take requests.
pub const STARTING: u32 = 1;
/// Takes requests.
pub const READY: u32 = 2;
/// Takes no more requests, and ends.
pub const RETIRING: u32 = 3;
/// Could not start; the parent tries again later.
pub const FAILED: u32 = 4;

/// Why processes end, as figures have it: first what the parent sees, then what a process says of itself, by the names that
/// mod_wsgi's `process_stopping` event has.
pub const ENDS: [&str; 18] = [
    "reload",
    "crash",
    "out_of_memory",
    "exit",
    "failed_start",
    "shutdown_signal",
    "graceful_signal",
    "eviction_signal",
    "cpu_time_limit",
    "maximum_requests",
    "restart_interval",
    "inactivity_timeout",
    "request_timeout",
    "startup_timeout",
    "deadlock_timeout",
    "signal_pipe_error",
    "script_reload",
    "other",
];

/// The place of a reason in [`ENDS`]; that of `other` for one that is not there.
#[must_use]
pub fn end_number(reason: &str) -> usize {
    ENDS.iter().position(|known| *known == reason).unwrap_or(ENDS.len() - 1)
}

/// What the parent knows of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listed {
    /// Its process id.
    pub pid: u32,
    /// Which of the group's processes it is, from 0; its successor has the same.
    pub index: u32,
    /// When it was started, in microseconds since the epoch.
    pub started: u64,
}

impl Listed {
    /// How many numbers it takes.
    pub const WORDS: usize = 2;

    /// Writes it.
    pub fn write(self, words: Words<'_>) {
        record::set(words, 1, self.started);
        record::set(words, 0, u64::from(self.index) << 32 | u64::from(self.pid));
    }

    /// Reads it.
    #[must_use]
    pub fn read(words: Words<'_>) -> Self {
        let first = record::get(words, 0);
        // The two halves of the number.
        Self { pid: first as u32, index: (first >> 32) as u32, started: record::get(words, 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_listed_process_comes_back_as_it_was_written() {
        let words = [const { AtomicU64::new(0) }; Listed::WORDS];
        let process = Listed { pid: 4_000_000, index: 7, started: 1_700_000_000_000_000 };
        process.write(&words);
        assert_eq!(Listed::read(&words), process);
    }

    #[test]
    fn a_reason_has_its_place_and_an_unknown_one_the_last() {
        assert_eq!((end_number("reload"), end_number("nonsense")), (0, ENDS.len() - 1));
    }
}
