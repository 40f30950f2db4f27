//! How long a thread waits for Python: measured only while somebody wants to know.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether any thread has ever measured, so that those which do not pay for one load only.
static EVER: AtomicBool = AtomicBool::new(false);

/// The waits of a thread since it began to measure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    /// Their sum.
    pub time: Duration,
    /// How many there were.
    pub count: u32,
}

/// The waits of a request, for other threads to read.
#[derive(Debug, Default)]
pub struct ShownWaits {
    /// In nanoseconds.
    time: AtomicU64,
    count: AtomicU32,
}

impl ShownWaits {
    /// Their sum, and how many there were.
    pub fn read(&self) -> (Duration, u32) {
        (Duration::from_nanos(self.time.load(Ordering::Relaxed)), self.count.load(Ordering::Relaxed))
    }

    fn set(&self, waits: Waits) {
        self.time.store(u64::try_from(waits.time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.count.store(waits.count, Ordering::Relaxed);
    }
}

thread_local! {
    static WAITS: Cell<Option<Waits>> = const { Cell::new(None) };
    static SHOWN: Cell<Option<&'static ShownWaits>> = const { Cell::new(None) };
}

impl Waits {
    /// Begins to measure on this thread, unless it does already.
    pub fn begin() {
        EVER.store(true, Ordering::Relaxed);
        WAITS.set(Some(WAITS.get().unwrap_or_default()));
    }

    /// Shows what this thread measures to others, as long as it does.
    pub fn show(shown: &'static ShownWaits) {
        shown.set(Self::now());
        SHOWN.set(Some(shown));
    }

    /// What this thread has measured so far.
    pub fn now() -> Self {
        WAITS.get().unwrap_or_default()
    }

    /// Measures no longer.
    pub fn end() {
        if EVER.load(Ordering::Relaxed) {
            WAITS.set(None);
            SHOWN.set(None);
        }
    }
}

/// Runs what may wait for Python.
pub(super) fn timed(wait: impl FnOnce()) {
    let Some(before) = EVER.load(Ordering::Relaxed).then(|| WAITS.get()).flatten() else { return wait() };
    let begun = Instant::now();
    wait();
    let waits = Waits { time: before.time + begun.elapsed(), count: before.count.saturating_add(1) };
    WAITS.set(Some(waits));
    if let Some(shown) = SHOWN.get() {
        shown.set(waits);
    }
}
