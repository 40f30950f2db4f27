//! Time of day, and the number the system gave this thread.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{modified, thread_number, uptime};
#[cfg(windows)]
pub use windows::{modified, thread_number};

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A local time, as log lines show it.
#[derive(Debug, Clone, Copy)]
pub struct LocalTime {
    /// Years since the birth of Christ.
    pub year: i32,
    /// Month from 0.
    pub month: usize,
    /// Day from 1.
    pub day: i32,
    /// Day of the week from 0, a Sunday.
    pub weekday: usize,
    /// Hour.
    pub hour: i32,
    /// Minute.
    pub minute: i32,
    /// Second.
    pub second: i32,
    /// Microsecond.
    pub microsecond: u32,
}

/// Microseconds since the epoch.
pub fn microseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64)
}

/// Microseconds of a clock that never goes back, since a moment in the life of this process; never 0.
pub fn steady() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_micros() as u64 + 1
}
