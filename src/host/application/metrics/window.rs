//! From one question for figures to the next.

use super::record::{COUNTERS, Counter, PHASES, Record};
use super::thread::threads;
use crate::sys::{clock, usage};
use mod_wsgi_core::histogram::BUCKETS;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Whether requests are recorded.
static ARMED: AtomicBool = AtomicBool::new(false);
/// What there was when somebody asked before.
static BEFORE: Mutex<Option<Totals>> = Mutex::new(None);
/// When the process was ready, in microseconds since the epoch.
static READY: AtomicU64 = AtomicU64::new(0);

/// Whether requests are recorded.
pub fn is_armed() -> bool {
    ARMED.load(Ordering::Relaxed)
}

/// Requests are recorded from now on.
pub fn arm() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if before.is_none() {
        *before = Some(Totals::now());
        ARMED.store(true, Ordering::Relaxed);
    }
}

/// The process is about to take requests.
pub fn note_ready() {
    READY.store(clock::microseconds(), Ordering::Relaxed);
}

/// When the process was ready, in microseconds since the epoch.
pub fn ready() -> u64 {
    READY.load(Ordering::Relaxed)
}

/// Sums over the threads since they began.
struct Totals {
    /// Of [`clock::steady`].
    at: u64,
    cpu: usage::Cpu,
    requests: u64,
    counters: [u64; COUNTERS],
    /// Sums in nanoseconds, and buckets, in the order of [`PHASES`].
    times: [(u64, [u64; BUCKETS]); PHASES.len()],
    slots: Vec<Slot>,
}

/// Sums of one thread.
#[derive(Clone, Copy, Default)]
struct Slot {
    completed: u64,
    /// In microseconds.
    busy: u64,
    /// In nanoseconds.
    cpu: u64,
}

/// What a window holds of one thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadFigures {
    /// Number of the thread.
    pub number: u32,
    /// Requests that ended.
    pub completed: u64,
    /// How long it had requests.
    pub busy: Duration,
    /// Its CPU time.
    pub cpu: Duration,
    /// How long the request has lasted that it has now; zero for none.
    pub elapsed: Duration,
    /// The longest request that ended.
    pub longest: Duration,
    /// Whether it has a request.
    pub is_busy: bool,
}

/// What a window holds of one phase.
#[derive(Debug, Clone, Copy)]
pub struct TimeFigures {
    /// The sum.
    pub sum: Duration,
    /// How many fell into each bucket.
    pub buckets: [u64; BUCKETS],
    /// The shortest and the longest, in microseconds, if there are any.
    pub extremes: Option<(u64, u64)>,
}

/// What a window holds of all threads.
#[derive(Debug)]
pub struct Slots {
    /// The one with number 1 first; without requests where there is none.
    pub threads: Vec<ThreadFigures>,
    /// How many had a request.
    pub active: u64,
    /// Their share of the time of all threads.
    pub capacity: f64,
}

/// A window.
#[derive(Debug)]
pub struct Window {
    /// How long it was.
    pub period: Duration,
    /// CPU time of the process.
    pub cpu: usage::Cpu,
    /// Requests that ended, also those that never got to an application.
    pub requests: u64,
    counters: [u64; COUNTERS],
    /// In the order of [`PHASES`].
    pub times: [TimeFigures; PHASES.len()],
    /// In the order in which the threads came.
    pub threads: Vec<ThreadFigures>,
}

impl Totals {
    fn now() -> Self {
        let mut totals = Self {
            at: clock::steady(),
            cpu: usage::process().0,
            requests: 0,
            counters: [0; COUNTERS],
            times: [(0, [0; BUCKETS]); PHASES.len()],
            slots: Vec::new(),
        };
        for thread in threads() {
            totals.requests += thread.brackets();
            let mut slot = Slot { busy: thread.busy(), ..Slot::default() };
            if let Some(record) = thread.record() {
                totals.add(record);
                slot.completed = record.counters.get(Counter::Completed as usize).map_or(0, |sum| sum.get());
                slot.cpu = record.cpu();
            }
            totals.slots.push(slot);
        }
        totals
    }

    fn add(&mut self, record: &Record) {
        for (total, sum) in self.counters.iter_mut().zip(&record.counters) {
            *total += sum.get();
        }
        for ((total, buckets), times) in self.times.iter_mut().zip(&record.times) {
            *total += times.sum.get();
            for (total, bucket) in buckets.iter_mut().zip(&times.buckets) {
                *total += bucket.get();
            }
        }
    }
}

/// Takes the extremes of a phase over all threads.
fn take_extremes(phase: usize) -> Option<(u64, u64)> {
    let mut found: Option<(u64, u64)> = None;
    for times in threads().iter().filter_map(|thread| thread.record()?.times.get(phase)) {
        let (least, most) = (times.least.swap(u64::MAX, Ordering::Relaxed), times.most.swap(0, Ordering::Relaxed));
        if least < u64::MAX {
            let (shortest, longest) = found.unwrap_or((least, most));
            found = Some((shortest.min(least), longest.max(most)));
        }
    }
    found
}

impl Window {
    /// Ends the window and begins the next one; `None` where nothing is recorded.
    pub fn take() -> Option<Self> {
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Totals::now();
        let then = before.as_ref()?;
        let window = Self::between(then, &now);
        *before = Some(now);
        Some(window)
    }

    fn between(then: &Totals, now: &Totals) -> Self {
        let times = std::array::from_fn(|phase| {
            let none = (0, [0; BUCKETS]);
            let (sum, buckets) = now.times.get(phase).copied().unwrap_or(none);
            let (sum_then, buckets_then) = then.times.get(phase).copied().unwrap_or(none);
            let mut counts = buckets;
            counts.iter_mut().zip(buckets_then).for_each(|(count, then)| *count -= then);
            TimeFigures { sum: Duration::from_nanos(sum - sum_then), buckets: counts, extremes: take_extremes(phase) }
        });
        let mut counters = now.counters;
        counters.iter_mut().zip(then.counters).for_each(|(count, then)| *count -= then);
        let slots_then = then.slots.iter().copied().chain(std::iter::repeat(Slot::default()));
        let slots = threads().into_iter().zip(&now.slots).zip(slots_then);
        let threads = slots.map(|((thread, now), then)| {
            let longest = thread.record().map_or(0, |record| record.longest.swap(0, Ordering::Relaxed));
            let elapsed = thread.elapsed();
            ThreadFigures {
                number: thread.number,
                completed: now.completed - then.completed,
                busy: Duration::from_micros(now.busy.saturating_sub(then.busy)),
                cpu: Duration::from_nanos(now.cpu - then.cpu),
                elapsed: Duration::from_micros(elapsed.unwrap_or_default()),
                longest: Duration::from_micros(longest),
                is_busy: elapsed.is_some(),
            }
        });
        Self {
            period: Duration::from_micros(now.at.saturating_sub(then.at).max(1)),
            cpu: now.cpu.since(then.cpu),
            requests: now.requests - then.requests,
            counters,
            times,
            threads: threads.collect(),
        }
    }

    /// The threads in the order of their numbers, as many as there may be, and what they were like together.
    pub fn slots(&self, most: u32) -> Slots {
        let mut threads = vec![ThreadFigures::default(); most as usize];
        for figures in &self.threads {
            if let Some(slot) = threads.get_mut((figures.number as usize).wrapping_sub(1)) {
                *slot = *figures;
            }
        }
        let busy: Duration = threads.iter().map(|slot| slot.busy).sum();
        let active = threads.iter().filter(|slot| slot.is_busy || slot.completed > 0).count() as u64;
        let capacity = busy.as_secs_f64() / (self.period.as_secs_f64() * f64::from(most));
        Slots { threads, active, capacity }
    }

    /// What was counted.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).copied().unwrap_or_default()
    }
}
