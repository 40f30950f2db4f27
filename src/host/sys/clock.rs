//! Time of day, and the number the system gave this thread.

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

impl LocalTime {
    /// The time now.
    pub fn now() -> Option<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let seconds = libc::time_t::try_from(now.as_secs()).ok()?;
        // SAFETY: both pointers are to live values of ours; `localtime_r` keeps none.
        let parts = unsafe {
            let mut parts: libc::tm = std::mem::zeroed();
            if libc::localtime_r(&seconds, &mut parts).is_null() {
                return None;
            }
            parts
        };
        Some(Self {
            year: parts.tm_year + 1900,
            month: usize::try_from(parts.tm_mon).ok()?,
            day: parts.tm_mday,
            weekday: usize::try_from(parts.tm_wday).ok()?,
            hour: parts.tm_hour,
            minute: parts.tm_min,
            second: parts.tm_sec,
            microsecond: now.subsec_micros(),
        })
    }
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

/// The system's monotonic clock, in microseconds.
pub fn uptime() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}

/// The system's number of this thread.
#[cfg(target_os = "linux")]
pub fn thread_number() -> i64 {
    rustix::thread::gettid().as_raw_nonzero().get().into()
}

/// The system's number of this thread.
#[cfg(target_os = "macos")]
pub fn thread_number() -> i64 {
    let mut number = 0;
    // SAFETY: asks for the calling thread; the number is ours.
    unsafe { libc::pthread_threadid_np(0, &raw mut number) };
    i64::try_from(number).unwrap_or_default()
}
