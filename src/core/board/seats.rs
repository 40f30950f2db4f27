//! What a thread does. The thread writes it, others read it.

use super::record::{self, Words};

macro_rules! doings {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What a thread does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Doing { $($(#[$doc])* $variant = $number,)* }

        impl Doing {
            /// All there is to do.
            pub const ALL: [Self; 5] = [$(Self::$variant,)*];

            fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// How a reader is told.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

doings! {
    /// Waits for a request.
    Idle = 1, "idle";
    /// Finds or loads the script.
    Loading = 2, "loading";
    /// Runs the application.
    Application = 3, "application";
    /// Waits for more of the request body.
    Input = 4, "reading";
    /// Waits for Apache to take more of the response.
    Output = 5, "writing";
}

/// A place for a thread: a number that is odd while it is written, what it does, since when, requests so far, whose it is, and the request line.
#[derive(Debug, Clone, Copy)]
pub struct Seat<'b>(pub Words<'b>);

/// What is read of a [`Seat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seated {
    /// What the thread does.
    pub doing: Doing,
    /// When its request began, or its last one ended, in microseconds since the epoch.
    pub since: u64,
    /// How many requests it has begun.
    pub requests: u64,
    /// The process it belongs to, where seats are not of one process.
    pub owner: u32,
    /// Its request's line, or its last one's, as far as there is room.
    pub request: Vec<u8>,
}

const DOING: usize = 1;
const SINCE: usize = 2;
const REQUESTS: usize = 3;
const OWNER: usize = 4;
const REQUEST: usize = 5;

impl<'b> Seat<'b> {
    /// How many numbers it takes.
    pub const WORDS: usize = 32;
    /// The longest request line there is room for, in bytes.
    pub const LONGEST: usize = (Self::WORDS - REQUEST - 1) * 8;

    /// The seats in these words.
    pub fn all(words: Words<'b>) -> impl Iterator<Item = Self> {
        words.chunks_exact(Self::WORDS).map(Self)
    }

    /// A thread of a process takes the seat, and is idle.
    pub fn take(self, now: u64) {
        record::write(self.0, || {
            record::set(self.0, DOING, Doing::Idle as u64);
            record::set(self.0, SINCE, now);
            record::set(self.0, REQUESTS, 0);
            record::set_text(self.0.get(REQUEST..).unwrap_or_default(), b"");
        });
    }

    /// A request begins.
    pub fn begin(self, now: u64, request: &[u8], doing: Doing) {
        record::write(self.0, || {
            record::set(self.0, DOING, doing as u64);
            record::set(self.0, SINCE, now);
            record::set(self.0, REQUESTS, record::get(self.0, REQUESTS).wrapping_add(1));
            record::set_text(self.0.get(REQUEST..).unwrap_or_default(), request);
        });
    }

    /// The thread does something else for its request.
    pub fn turn(self, doing: Doing) {
        record::set(self.0, DOING, doing as u64);
    }

    /// The request has ended.
    pub fn end(self, now: u64) {
        record::write(self.0, || {
            record::set(self.0, DOING, Doing::Idle as u64);
            record::set(self.0, SINCE, now);
        });
    }

    /// Takes a seat for a thread of process `owner`, if it is free, or belongs to a process that is not there any more. What
    /// was there of another process is gone then.
    pub fn claim(self, owner: u32, is_there: impl Fn(u32) -> bool, now: u64) -> bool {
        let Some(word) = self.0.get(OWNER) else { return false };
        let before = word.load(std::sync::atomic::Ordering::Acquire);
        // The parent writes what fits.
        if before != 0 && is_there(before as u32) {
            return false;
        }
        let order = (std::sync::atomic::Ordering::AcqRel, std::sync::atomic::Ordering::Relaxed);
        let mine = word.compare_exchange(before, u64::from(owner), order.0, order.1).is_ok();
        if mine {
            self.take(now);
        }
        mine
    }

    /// The thread that has the seat ends.
    pub fn leave(self) {
        record::write(self.0, || record::set(self.0, DOING, 0));
        if let Some(owner) = self.0.get(OWNER) {
            owner.store(0, std::sync::atomic::Ordering::Release);
        }
    }

    /// Reads it; `None` where no thread has it.
    #[must_use]
    pub fn read(self) -> Option<Seated> {
        record::read(self.0, || {
            Some(Seated {
                doing: Doing::from_number(record::get(self.0, DOING))?,
                since: record::get(self.0, SINCE),
                requests: record::get(self.0, REQUESTS),
                owner: record::get(self.0, OWNER) as u32,
                request: record::get_text(self.0.get(REQUEST..).unwrap_or_default()),
            })
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_thread_is_seen_with_its_request() {
        let words = [const { AtomicU64::new(0) }; Seat::WORDS];
        let seat = Seat(&words);
        assert_eq!(seat.read(), None);
        seat.take(5);
        seat.begin(10, b"GET /a HTTP/1.1", Doing::Loading);
        seat.turn(Doing::Application);
        let seen = seat.read().unwrap();
        assert_eq!((seen.doing, seen.since, seen.requests), (Doing::Application, 10, 1));
        assert_eq!(seen.request, b"GET /a HTTP/1.1");
        seat.end(12);
        let seen = seat.read().unwrap();
        assert_eq!((seen.doing.name(), seen.since, seen.requests), ("idle", 12, 1));
        assert_eq!(seen.request, b"GET /a HTTP/1.1");
    }

    #[test]
    fn a_seat_belongs_to_one_process_as_long_as_that_is_there() {
        let words = [const { AtomicU64::new(0) }; Seat::WORDS];
        let seat = Seat(&words);
        assert!(seat.claim(7, |_| true, 1));
        assert!(!seat.claim(8, |owner| owner == 7, 2));
        seat.begin(3, b"GET /", Doing::Application);
        assert!(seat.claim(8, |_| false, 4));
        let seen = seat.read().unwrap();
        assert_eq!((seen.owner, seen.requests, seen.doing), (8, 0, Doing::Idle));
        seat.leave();
        assert!(seat.read().is_none() && seat.claim(9, |_| true, 5));
    }
}
