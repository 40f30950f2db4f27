//! The time of day.

/// The time of day, in microseconds since the epoch.
#[must_use]
pub fn microseconds_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
