//! The numbers of one thread.

use crate::sys::usage::ThreadClock;
use mod_wsgi_core::histogram::{BUCKETS, bucket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A part of a request's time. The first four are all of it, one after the other; the others overlap with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// In Apache, until it looks for a daemon, or until the application begins.
    Server,
    /// Until a daemon's thread has it.
    Queue,
    /// In the daemon, until the application begins.
    Daemon,
    /// From its call to the `close()` of its response.
    Application,
    /// The sum of the four.
    Request,
    /// Waiting for Python.
    GilWait,
    /// Fetching the request body.
    InputRead,
    /// Handing the response to Apache.
    OutputWrite,
}

/// All of them, with their names, in the order of their numbers.
pub const PHASES: [(Phase, &str); 8] = [
    (Phase::Server, "server_time"),
    (Phase::Queue, "queue_time"),
    (Phase::Daemon, "daemon_time"),
    (Phase::Application, "application_time"),
    (Phase::Request, "request_time"),
    (Phase::GilWait, "gil_wait_time"),
    (Phase::InputRead, "input_read_time"),
    (Phase::OutputWrite, "output_write_time"),
];

/// What one request has cost.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The times, in the order of [`PHASES`]; `None` for what there is not in embedded mode.
    pub times: [Option<Duration>; PHASES.len()],
    /// How often the thread has waited for Python.
    pub waits: u32,
    /// Status of the response.
    pub status: u16,
    /// See [`Counter`].
    pub transfer: [u64; 4],
}

/// What is counted, besides times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named for what it counts")]
pub enum Counter {
    InputBytes,
    InputReads,
    OutputBytes,
    OutputWrites,
    GilWaits,
    Completed,
    Status1,
    Status2,
    Status3,
    Status4,
    Status5,
}

/// How many counters there are.
pub const COUNTERS: usize = Counter::Status5 as usize + 1;

/// A sum that one thread adds to, and others read.
#[derive(Debug, Default)]
pub struct Sum(AtomicU64);

impl Sum {
    /// Adds; only the thread it belongs to does.
    pub fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The times of one phase.
#[derive(Debug)]
pub struct Times {
    /// In nanoseconds.
    pub sum: Sum,
    /// The shortest since somebody asked, in microseconds; `u64::MAX` for none.
    pub least: AtomicU64,
    /// The longest since somebody asked, in microseconds.
    pub most: AtomicU64,
    /// How many fell into each bucket.
    pub buckets: [Sum; BUCKETS],
}

impl Default for Times {
    fn default() -> Self {
        Self {
            sum: Sum::default(),
            least: AtomicU64::new(u64::MAX),
            most: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| Sum::default()),
        }
    }
}

impl Times {
    fn add(&self, time: Duration) {
        // Without the 128 bits of `as_nanos()`.
        let nanoseconds = time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into());
        let microseconds = nanoseconds / 1000;
        self.sum.add(nanoseconds);
        // Whoever asks takes the extremes away at the same time, so these are real exchanges; but they are rare.
        if microseconds < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(microseconds, Ordering::Relaxed);
        }
        if microseconds > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(microseconds, Ordering::Relaxed);
        }
        if let Some(bucket) = self.buckets.get(bucket(microseconds)) {
            bucket.add(1);
        }
    }
}

/// What a thread has recorded.
#[derive(Debug)]
pub struct Record {
    /// In the order of [`PHASES`].
    pub times: [Times; PHASES.len()],
    /// In the order of [`Counter`].
    pub counters: [Sum; COUNTERS],
    clock: ThreadClock,
    /// CPU time of the thread when recording began, and when somebody asked last, in nanoseconds.
    cpu_begun: u64,
    cpu_asked: AtomicU64,
    /// The longest request since somebody asked, in microseconds.
    pub longest: AtomicU64,
}

impl Record {
    /// Nothing recorded of this thread.
    pub fn of_this_thread() -> Self {
        let clock = ThreadClock::of_this_thread();
        let begun = clock.read().unwrap_or_default().as_nanos() as u64;
        Self {
            times: std::array::from_fn(|_| Times::default()),
            counters: std::array::from_fn(|_| Sum::default()),
            clock,
            cpu_begun: begun,
            cpu_asked: AtomicU64::new(begun),
            longest: AtomicU64::new(0),
        }
    }

    /// CPU time of the thread since recording began, in nanoseconds. The thread itself never asks: that would cost each request
    /// a system call, which is the dearest thing to do here.
    pub fn cpu(&self) -> u64 {
        let now = self.clock.read().map_or(0, |cpu| cpu.as_nanos() as u64);
        self.cpu_asked.fetch_max(now, Ordering::Relaxed).max(now) - self.cpu_begun
    }

    fn count(&self, counter: Counter, number: u64) {
        if let Some(sum) = self.counters.get(counter as usize) {
            sum.add(number);
        }
    }

    /// Adds a request.
    pub fn add(&self, sample: &Sample) {
        for (times, time) in self.times.iter().zip(sample.times) {
            if let Some(time) = time {
                times.add(time);
            }
        }
        let [input_bytes, input_reads, output_bytes, output_writes] = sample.transfer;
        self.count(Counter::InputBytes, input_bytes);
        self.count(Counter::InputReads, input_reads);
        self.count(Counter::OutputBytes, output_bytes);
        self.count(Counter::OutputWrites, output_writes);
        self.count(Counter::GilWaits, sample.waits.into());
        self.count(Counter::Completed, 1);
        let class = match sample.status / 100 {
            1 => Some(Counter::Status1),
            2 => Some(Counter::Status2),
            3 => Some(Counter::Status3),
            4 => Some(Counter::Status4),
            5 => Some(Counter::Status5),
            _ => None,
        };
        if let Some(class) = class {
            self.count(class, 1);
        }
    }

    /// A request has ended that was in this process for so many microseconds.
    pub fn end(&self, elapsed: u64) {
        if elapsed > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(elapsed, Ordering::Relaxed);
        }
    }
}
