//! How long a thread waits for Python: measured only while somebody wants to know.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
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

thread_local! {
    static WAITS: Cell<Option<Waits>> = const { Cell::new(None) };
}

impl Waits {
    /// Begins to measure on this thread, unless it does already.
    pub fn begin() {
        EVER.store(true, Ordering::Relaxed);
        WAITS.set(Some(WAITS.get().unwrap_or_default()));
    }

    /// What this thread has measured so far.
    pub fn now() -> Self {
        WAITS.get().unwrap_or_default()
    }

    /// Measures no longer.
    pub fn end() {
        if EVER.load(Ordering::Relaxed) {
            WAITS.set(None);
        }
    }
}

/// Runs what may wait for Python.
pub(super) fn timed(wait: impl FnOnce()) {
    let Some(before) = EVER.load(Ordering::Relaxed).then(|| WAITS.get()).flatten() else { return wait() };
    let begun = Instant::now();
    wait();
    WAITS.set(Some(Waits { time: before.time + begun.elapsed(), count: before.count.saturating_add(1) }));
}
