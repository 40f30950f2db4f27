//! What Apache's children count of the requests of a group, in memory that they and httpd's parent share.
//!
//! A child counts in one of several sets of numbers, so that children of many processors are not in each other's way; who reads
//! adds them up. The numbers live as long as the group, over reloads and over the ends of its processes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mod_wsgi_core::launch::board::FIGURE_COUNT;

use crate::apache::request::Request;
use crate::handler::Status;
use crate::supervisor::Board;

/// How many sets there are.
const SETS: usize = 16;
/// How many numbers a set has.
const SET: usize = FIGURE_COUNT / SETS;

/// The upper bounds of the buckets of times, in milliseconds; behind the last one there is one more bucket.
pub const BOUNDS: [u64; 15] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];
const BUCKETS: usize = BOUNDS.len() + 1;

/// Where a set has its numbers: five for the classes of status, one for bytes, then two histograms, each with its buckets and
/// the sum of its times in microseconds.
const BYTES: usize = 5;
const REQUEST: usize = 6;
const APPLICATION: usize = REQUEST + BUCKETS + 1;
const USED: usize = APPLICATION + BUCKETS + 1;
const _: () = assert!(USED <= SET);

/// Times of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// How many were in each bucket.
    pub buckets: [u64; BUCKETS],
    /// Their sum.
    pub sum: Duration,
}

/// What has been counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Requests by the class of their status, 1xx first.
    pub statuses: [u64; 5],
    /// Bytes of response bodies.
    pub bytes: u64,
    /// From the moment Apache had read the request to the end of its response.
    pub request: Times,
    /// The part of it in which a daemon, or Python in this process, had the request, the wait for a thread included.
    pub application: Times,
}

fn bucket(time: Duration) -> usize {
    let milliseconds = time.as_micros().div_ceil(1000);
    BOUNDS.iter().position(|bound| milliseconds <= u128::from(*bound)).unwrap_or(BOUNDS.len())
}

fn add(set: &[AtomicU64], at: usize, number: u64) {
    if let Some(sum) = set.get(at) {
        sum.fetch_add(number, Ordering::Relaxed);
    }
}

fn add_time(set: &[AtomicU64], at: usize, time: Duration) {
    add(set, at + bucket(time), 1);
    add(set, at + BUCKETS, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// Counts a request that has been answered: with what the handler gives back to httpd, after `application`.
pub fn record(board: &Board, r: Request<'_>, answered: &Result<i32, Status>, application: Duration, process: u32) {
    let status = match answered {
        Ok(status) | Err(status) if *status >= 100 => u16::try_from(*status).unwrap_or_default(),
        _ => r.status(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let request = now.saturating_sub(Duration::from_micros(r.time()));
    let sets = board.figures();
    let first = process as usize % SETS * SET;
    let Some(set) = sets.get(first..first + SET) else { return };
    if let class @ 1..=5 = usize::from(status / 100) {
        add(set, class - 1, 1);
    }
    add(set, BYTES, r.bytes_sent());
    add_time(set, REQUEST, request);
    add_time(set, APPLICATION, application);
}

impl Figures {
    /// Reads what has been counted.
    #[must_use]
    pub fn read(board: &Board) -> Self {
        let mut sums = [0_u64; USED];
        for set in board.figures().chunks(SET) {
            for (sum, number) in sums.iter_mut().zip(set) {
                *sum = sum.wrapping_add(number.load(Ordering::Relaxed));
            }
        }
        let part = |at: usize| sums.get(at).copied().unwrap_or_default();
        let times = |at: usize| Times {
            buckets: std::array::from_fn(|bucket| part(at + bucket)),
            sum: Duration::from_micros(part(at + BUCKETS)),
        };
        Self {
            statuses: std::array::from_fn(part),
            bytes: part(BYTES),
            request: times(REQUEST),
            application: times(APPLICATION),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        for (milliseconds, index) in [(0, 0), (1, 0), (2, 1), (3, 2), (60_000, 14), (60_001, 15)] {
            assert_eq!(bucket(Duration::from_millis(milliseconds)), index, "{milliseconds} ms");
        }
        assert_eq!(bucket(Duration::from_micros(1001)), 1);
    }

    #[test]
    fn what_several_children_have_counted_is_added_up() {
        let board = Board::new().unwrap();
        for process in 0..20_usize {
            let first = process % SETS * SET;
            let set = &board.figures()[first..first + SET];
            add(set, 1, 1);
            add_time(set, APPLICATION, Duration::from_millis(3));
        }
        let figures = Figures::read(&board);
        assert_eq!(figures.statuses, [0, 20, 0, 0, 0]);
        assert_eq!((figures.application.buckets[2], figures.application.sum), (20, Duration::from_millis(60)));
        assert_eq!(figures.request.sum, Duration::ZERO);
    }
}
