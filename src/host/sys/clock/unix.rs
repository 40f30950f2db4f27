//! Clocks of Unix.

use super::LocalTime;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

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

/// When a file was last changed, in microseconds since the epoch.
pub fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1000
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
