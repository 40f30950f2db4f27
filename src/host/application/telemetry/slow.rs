//! Requests that run, or have run, for long: those of `WSGISlowRequests`.
//!
//! Each thread notes the request that it runs, in a place of its own that the reporter looks at, once in an interval. Without a
//! threshold it costs a request looks at a number, with one four locks that nobody else wants then, and a copy of its environ.
//!
//! Differs from mod_wsgi: requests under the prefork MPM are among them. Test: test_wsgi_slow_requests.py.

use crate::application::metrics::{self, Phase};
use crate::application::observe::Figures;
use crate::python::{ShownWaits, Waits};
use crate::sys::clock;
use crate::sys::usage::{self, Cpu};
use mod_wsgi_core::telemetry::{Costs, SlowRequest, Telemetry, records_kept};
use mod_wsgi_core::wire::RequestHead;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many requests that run are reported at once.
const RUNNING_AT_ONCE: usize = 16;

/// From which duration on a request is reported, in microseconds; 0 for none.
static THRESHOLD: AtomicU64 = AtomicU64::new(0);

/// Requests that this process has now, while there is a threshold.
static ACTIVE: AtomicU64 = AtomicU64::new(0);

/// Requests that have ended since the report before, and how many are kept.
static ENDED: Mutex<(VecDeque<SlowRequest>, usize)> = Mutex::new((VecDeque::new(), 0));

/// The threads that have had requests.
static SLOTS: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

thread_local! {
    static SLOT: OnceCell<&'static Slot> = const { OnceCell::new() };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request of a thread. Moments are in microseconds since the epoch.
#[derive(Default)]
struct Running {
    /// When it began, of [`clock::steady`]; 0 while there is none.
    since: u64,
    start: u64,
    request_start: u64,
    queue_start: u64,
    daemon_start: u64,
    /// When the application was called.
    called: Option<u64>,
    thread: u32,
    active_at_start: u64,
    cpu: Cpu,
    environ: Vec<u8>,
    figures: Option<Figures>,
}

/// Where a thread notes its request.
#[derive(Default)]
struct Slot {
    running: Mutex<Running>,
    waits: ShownWaits,
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Requests are looked at from now on.
pub fn arm(settings: &Telemetry, threads: u32) {
    let (interval, threshold) = (settings.interval, settings.slow_requests);
    lock(&ENDED).1 = records_kept(threads, interval, threshold);
    THRESHOLD.store(threshold, Ordering::Relaxed);
}

fn this_slot() -> &'static Slot {
    SLOT.with(|slot| {
        *slot.get_or_init(|| {
            let slot: &'static Slot = Box::leak(Box::default());
            lock(&SLOTS).push(slot);
            slot
        })
    })
}

/// The time in which a request is looked at.
pub struct Watched {
    slot: &'static Slot,
    threshold: u64,
}

/// Looks at a request that begins on this thread; `None` where none is looked at, or it runs within another one.
pub fn watch(head: &RequestHead<'_>, daemon_start: u64) -> Option<Watched> {
    let threshold = Some(THRESHOLD.load(Ordering::Relaxed)).filter(|threshold| *threshold > 0)?;
    let slot = this_slot();
    let mut running = lock(&slot.running);
    if running.since > 0 {
        return None;
    }
    let mut environ = std::mem::take(&mut running.environ);
    environ.clear();
    environ.extend_from_slice(head.environ.bytes());
    *running = Running {
        since: clock::steady(),
        start: clock::microseconds(),
        request_start: head.request_start,
        queue_start: head.queue_start,
        daemon_start,
        called: None,
        thread: metrics::this_thread().number,
        active_at_start: ACTIVE.fetch_add(1, Ordering::Relaxed) + 1,
        cpu: usage::thread(),
        environ,
        figures: None,
    };
    drop(running);
    Waits::show(&slot.waits);
    Some(Watched { slot, threshold })
}

/// The slot of the request that this thread runs, if it is looked at.
fn with_running(work: impl FnOnce(&mut Running)) {
    if THRESHOLD.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut running = lock(&this_slot().running);
    if running.since > 0 {
        work(&mut running);
    }
}

/// The application of this thread's request is called; `at` is when, in microseconds since the epoch.
pub fn note_call(at: u64) {
    with_running(|running| running.called = Some(at));
}

/// This thread's request has cost that.
pub fn note_end(figures: &Figures) {
    with_running(|running| running.figures = Some(*figures));
}

impl Running {
    fn elapsed(&self) -> u64 {
        clock::steady().saturating_sub(self.since)
    }

    /// Times of the phases server, queue, daemon, application.
    fn phases(&self) -> [u64; 4] {
        if let Some(figures) = &self.figures {
            return [Phase::Server, Phase::Queue, Phase::Daemon, Phase::Application]
                .map(|phase| microseconds(figures.time(phase)));
        }
        let now = clock::microseconds();
        let called = self.called.unwrap_or(now);
        let application = now.saturating_sub(called);
        match self.daemon_start {
            0 => [called.saturating_sub(self.request_start), 0, 0, application],
            begun => [
                self.queue_start.saturating_sub(self.request_start),
                begun.saturating_sub(self.queue_start),
                called.saturating_sub(begun),
                application,
            ],
        }
    }

    fn record(&self, waits: &ShownWaits, costs: Option<Costs>) -> SlowRequest {
        let (wait_time, wait_count) = waits.read();
        SlowRequest {
            environ: self.environ.clone(),
            start: self.start,
            duration: self.elapsed(),
            thread: self.thread,
            phases: self.phases(),
            gil_wait_time: microseconds(wait_time),
            gil_wait_count: wait_count.into(),
            active_at_start: self.active_at_start,
            costs,
        }
    }

    fn costs(&self, active: u64) -> Costs {
        let cpu = usage::thread().since(self.cpu);
        let cpu = [microseconds(cpu.user), microseconds(cpu.system)];
        // What never got to an application has no status of one, as in the C module.
        let Some(figures) = &self.figures else { return Costs { cpu, active, ..Costs::default() } };
        let tally = &figures.tally;
        Costs {
            transfer: [tally.input_length, tally.input_reads, tally.output_length, tally.output_writes],
            transfer_time: [microseconds(tally.input_time), microseconds(tally.output_time)],
            status: figures.status,
            cpu,
            active,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let active = ACTIVE.fetch_sub(1, Ordering::Relaxed);
        let mut running = lock(&self.slot.running);
        if running.elapsed() >= self.threshold {
            let record = running.record(&self.slot.waits, Some(running.costs(active)));
            let mut ended = lock(&ENDED);
            let (records, most) = &mut *ended;
            if records.len() >= *most {
                records.pop_front();
            }
            records.push_back(record);
        }
        running.since = 0;
    }
}

/// The requests to report: those that have ended since this was called before, then those that run, the oldest ones if there
/// are too many.
pub fn take() -> Vec<SlowRequest> {
    let threshold = THRESHOLD.load(Ordering::Relaxed);
    if threshold == 0 {
        return Vec::new();
    }
    let slots = lock(&SLOTS).clone();
    // Before those that have ended, so that none is reported as running after its end.
    let mut active: Vec<_> = slots
        .into_iter()
        .filter_map(|slot| {
            let running = lock(&slot.running);
            let is_slow = running.since > 0 && running.elapsed() >= threshold;
            is_slow.then(|| running.record(&slot.waits, None))
        })
        .collect();
    active.sort_by_key(|record| std::cmp::Reverse(record.duration));
    active.truncate(RUNNING_AT_ONCE);
    let mut records: Vec<_> = lock(&ENDED).0.drain(..).collect();
    // A request that has ended between the two looks is told as ended only.
    active.retain(|one| !records.iter().any(|other| (other.thread, other.start) == (one.thread, one.start)));
    records.append(&mut active);
    records
}
