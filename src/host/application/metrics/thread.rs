//! The threads that run requests.

use super::record::{Record, Sample, Sum};
use super::window::is_armed;
use crate::sys::clock;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A thread that runs requests. It stays known after its end.
#[derive(Debug)]
pub struct Thread {
    /// Its number in this process, from 1.
    pub number: u32,
    /// When its request began, of [`clock::steady`]; 0 while it has none.
    since: AtomicU64,
    /// How long it has had requests so far, in microseconds.
    busy: Sum,
    /// Requests it has had.
    brackets: Sum,
    /// Requests that got to an application.
    pub calls: Sum,
    record: OnceLock<Box<Record>>,
}

static THREADS: Mutex<Vec<&'static Thread>> = Mutex::new(Vec::new());

thread_local! {
    static THIS: OnceCell<&'static Thread> = const { OnceCell::new() };
}

/// This thread, which is from now on one that runs requests; its number is the next one, unless it has one.
pub fn this_thread() -> &'static Thread {
    THIS.with(|this| *this.get_or_init(|| register(None)))
}

/// This thread runs requests from now on; it has that number among those of the process.
pub fn be_thread(number: u32) {
    THIS.with(|this| {
        this.get_or_init(|| register(Some(number)));
    });
}

fn register(number: Option<u32>) -> &'static Thread {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let thread: &'static Thread = Box::leak(Box::new(Thread {
        number: number.unwrap_or(threads.len() as u32 + 1),
        since: AtomicU64::new(0),
        busy: Sum::default(),
        brackets: Sum::default(),
        calls: Sum::default(),
        record: OnceLock::new(),
    }));
    threads.push(thread);
    thread
}

/// All of them, in the order in which they came.
pub fn threads() -> Vec<&'static Thread> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Thread {
    /// How long its request has lasted, in microseconds; `None` while it has none.
    pub fn elapsed(&self) -> Option<u64> {
        Some(self.since.load(Ordering::Acquire))
            .filter(|since| *since > 0)
            .map(|since| clock::steady().saturating_sub(since))
    }

    /// How long it has had requests so far, the one that runs included, in microseconds.
    pub fn busy(&self) -> u64 {
        self.busy.get() + self.elapsed().unwrap_or_default()
    }

    /// Requests it has had, without one that runs.
    pub fn brackets(&self) -> u64 {
        self.brackets.get()
    }

    /// What it has recorded; `None` where it has had no request since recording began.
    pub fn record(&self) -> Option<&Record> {
        self.record.get().map(Box::as_ref)
    }

    fn recording(&self) -> &Record {
        self.record.get_or_init(|| Box::new(Record::of_this_thread()))
    }
}

/// The time in which a thread has a request, from the moment it is known to its end.
pub struct Bracket {
    thread: &'static Thread,
    /// The request within which this one was started, by a filter of Apache's.
    outer: u64,
    begun: u64,
}

impl Bracket {
    /// This thread has a request now.
    pub fn open() -> Self {
        let thread = this_thread();
        let (outer, begun) = (thread.since.load(Ordering::Relaxed), clock::steady());
        if outer == 0 {
            thread.since.store(begun, Ordering::Release);
        }
        if is_armed() {
            // From here on CPU time is this request's.
            thread.recording();
        }
        Self { thread, outer, begun }
    }
}

impl Drop for Bracket {
    fn drop(&mut self) {
        if self.outer == 0 {
            let elapsed = clock::steady().saturating_sub(self.begun);
            self.thread.busy.add(elapsed);
            if let Some(record) = self.thread.record() {
                record.end(elapsed);
            }
            self.thread.since.store(0, Ordering::Release);
        }
        self.thread.brackets.add(1);
    }
}

/// Records what the request has cost that this thread has.
pub fn record(sample: &Sample) {
    this_thread().recording().add(sample);
}
