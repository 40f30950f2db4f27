//! When Apache began to read a request, by a clock that nobody sets.
//!
//! httpd notes the time of day. What passes until a daemon is asked for (access, authentication, filters) is no time in the queue when that clock
//! is set meanwhile, so it is translated early, and kept for the handler.

use std::cell::Cell;

use crate::apache::request::Request;
use crate::clock::microseconds_now;

thread_local! {
    /// The time of day that httpd noted for the request of this thread, and the same by the other clock.
    static NOTED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// No request takes longer to be read; if it looks so, the clock was set meanwhile. In microseconds.
const LONGEST: u64 = 600 * 1_000_000;

/// A request has been read.
pub fn note(r: Request<'_>) {
    NOTED.set((r.time(), translated(r)));
}

/// When it began, in microseconds of the monotonic clock.
pub fn begun(r: Request<'_>) -> u64 {
    let (time, noted) = NOTED.get();
    if time == r.time() { noted } else { translated(r) }
}

fn translated(r: Request<'_>) -> u64 {
    let ago = microseconds_now().saturating_sub(r.time());
    uptime_now().saturating_sub(if ago > LONGEST { 0 } else { ago })
}

/// Microseconds of the monotonic clock, as the daemon has it.
fn uptime_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}
