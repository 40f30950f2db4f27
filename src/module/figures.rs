//! What Apache's children count of the requests of a group, in memory that they and httpd's parent share.
//!
//! A child counts in one of several sets of numbers, so that children of many processors are not in each other's way; who reads
//! adds them up. The numbers live as long as the group, over reloads and over the ends of its processes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mod_wsgi_core::board::{EXEMPLAR_BUCKETS, Event, Exemplar, FIGURE_COUNT, Seat, Seated};

use crate::apache::log;
use crate::apache::request::Request;
use crate::clock::microseconds_now;
use crate::handler::{Resolved, Status};
use crate::sys::board::Board;
use crate::sys::process::memory_of;

/// How embedded mode is called, as in `WSGIProcessGroup`.
pub const EMBEDDED: &str = "%{GLOBAL}";
/// How many sets there are.
const SETS: usize = 16;
/// How many numbers a set has.
const SET: usize = FIGURE_COUNT / SETS;

/// The upper bounds of the buckets of times, in milliseconds; behind the last one there is one more bucket.
pub const BOUNDS: [u64; 15] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];
const BUCKETS: usize = BOUNDS.len() + 1;

/// Where a set has its numbers: five for the classes of status, two for bytes, then three histograms, each with its buckets and
/// the sum of its times in microseconds.
const SENT: usize = 5;
const RECEIVED: usize = 6;
const REQUEST: usize = 7;
const APPLICATION: usize = REQUEST + BUCKETS + 1;
const QUEUE: usize = APPLICATION + BUCKETS + 1;
const USED: usize = QUEUE + BUCKETS + 1;
const _: () = assert!(USED <= SET && BUCKETS == EXEMPLAR_BUCKETS);

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
    pub sent: u64,
    /// Bytes of request bodies, as far as they were read.
    pub received: u64,
    /// From the moment Apache had read the request to the end of its response.
    pub request: Times,
    /// The part of it in which a daemon, or Python in this process, had the request, without the wait for a thread.
    pub application: Times,
    /// The wait for a thread of a daemon.
    pub queue: Times,
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

/// Counts a request that has been answered: with what the handler gives back to httpd, after `elapsed`.
pub fn record(board: &Board, r: Request<'_>, resolved: &Resolved, answered: &Result<i32, Status>, elapsed: Duration) {
    let status = match answered {
        Ok(status) | Err(status) if *status >= 100 => u16::try_from(*status).unwrap_or_default(),
        _ => r.status(),
    };
    let now = microseconds_now();
    let request = Duration::from_micros(now.saturating_sub(r.time()));
    let queue = resolved.queue.get();
    let application = elapsed.saturating_sub(queue.unwrap_or_default());
    let sets = board.figures();
    let first = resolved.server_pid as usize % SETS * SET;
    let Some(set) = sets.get(first..first + SET) else { return };
    if let class @ 1..=5 = usize::from(status / 100) {
        add(set, class - 1, 1);
    }
    add(set, SENT, r.bytes_sent());
    add(set, RECEIVED, resolved.received.get());
    add_time(set, REQUEST, request);
    add_time(set, APPLICATION, application);
    if let Some(queue) = queue {
        add_time(set, QUEUE, queue);
    }
    let time = u64::try_from(application.as_micros()).unwrap_or(u64::MAX);
    board.interpreters().count(&resolved.application_group, status, time);
    if let Some(parent) = resolved.trace {
        let value = u64::try_from(request.as_micros()).unwrap_or(u64::MAX);
        board.exemplars().put(bucket(request), Exemplar { trace: parent.trace, value, time: now });
    }
    if status >= 500 {
        let request = r.request_line().unwrap_or_default().to_vec();
        let text = log::take_last_error();
        board.events().add(&Event { time: now, pid: resolved.server_pid, status, request, text });
    }
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
            sent: part(SENT),
            received: part(RECEIVED),
            request: times(REQUEST),
            application: times(APPLICATION),
            queue: times(QUEUE),
        }
    }
}

/// A process that runs applications.
#[derive(Debug)]
pub struct PerProcess {
    /// Its process id.
    pub pid: u32,
    /// Which of the group's processes it is, its state on the board, and when it was started, in microseconds since the epoch;
    /// `None` for one of httpd's.
    pub index: Option<u32>,
    /// See `index`.
    pub state: Option<u32>,
    /// See `index`.
    pub started: Option<u64>,
    /// Its resident memory in bytes, where the system tells.
    pub memory: Option<u64>,
    /// What its threads do.
    pub threads: Vec<Seated>,
}

/// The processes of a group.
#[cfg(unix)]
#[must_use]
pub fn daemon_processes(board: &Board) -> Vec<PerProcess> {
    let listed = board.listed().map(|(slot, state, listed)| {
        let seats = board.seats(slot).ok();
        PerProcess {
            pid: listed.pid,
            index: Some(listed.index),
            state: Some(state),
            started: Some(listed.started),
            memory: memory_of(listed.pid),
            threads: seats.map(|seats| seats.iter().filter_map(Seat::read).collect()).unwrap_or_default(),
        }
    });
    listed.collect()
}

/// The processes of httpd that have had a request in embedded mode.
#[must_use]
pub fn embedded_processes(board: &Board) -> Vec<PerProcess> {
    let mut found: Vec<PerProcess> = Vec::new();
    let seats = board.shared_seats().into_iter().flat_map(|seats| seats.iter()).filter_map(Seat::read);
    for thread in seats {
        let pid = thread.owner;
        match found.iter_mut().find(|process| process.pid == pid) {
            Some(process) => process.threads.push(thread),
            None => {
                // One that has no memory is not there any more.
                let Some(memory) = memory_of(pid) else { continue };
                let (index, state, started) = (None, None, None);
                found.push(PerProcess { pid, index, state, started, memory: Some(memory), threads: vec![thread] });
            }
        }
    }
    found
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
