//! Clocks of Windows.

use super::LocalTime;
use std::fs::Metadata;
use std::time::UNIX_EPOCH;
use windows_sys::Win32::Foundation::SYSTEMTIME;
use windows_sys::Win32::System::SystemInformation::GetLocalTime;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

impl LocalTime {
    /// The time now, to a millisecond.
    pub fn now() -> Option<Self> {
        let mut now = SYSTEMTIME::default();
        // SAFETY: the structure is ours.
        unsafe { GetLocalTime(&raw mut now) };
        Some(Self {
            year: now.wYear.into(),
            month: usize::from(now.wMonth).checked_sub(1)?,
            day: now.wDay.into(),
            weekday: now.wDayOfWeek.into(),
            hour: now.wHour.into(),
            minute: now.wMinute.into(),
            second: now.wSecond.into(),
            microsecond: u32::from(now.wMilliseconds) * 1000,
        })
    }
}

/// When a file was last changed, in microseconds since the epoch; what is from before it is at it.
pub fn modified(metadata: &Metadata) -> i64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The system's number of this thread.
pub fn thread_number() -> i64 {
    // SAFETY: a plain question.
    unsafe { GetCurrentThreadId() }.into()
}
