//! What Linux tells of this thread, and of memory.

use super::{Cpu, usage};
use std::mem::zeroed;
use std::time::Duration;

/// The unit of `ru_maxrss`, in bytes.
pub const RESIDENT_UNIT: u64 = 1024;

/// CPU time of this thread.
pub fn thread() -> Cpu {
    usage(libc::RUSAGE_THREAD).0
}

/// The clock of a thread's CPU time, which any thread can read.
#[derive(Debug)]
pub struct ThreadClock(Option<libc::clockid_t>);

impl ThreadClock {
    /// That of this thread.
    pub fn of_this_thread() -> Self {
        let mut clock = 0;
        // SAFETY: a thread that lives, and a number of ours.
        let told = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        Self((told == 0).then_some(clock))
    }

    /// The CPU time of the thread; `None` once it has ended.
    pub fn read(&self) -> Option<Duration> {
        let clock = self.0?;
        // SAFETY: the structure is plain numbers, and ours; a clock that is gone is answered with an error.
        let time = unsafe {
            let mut time: libc::timespec = zeroed();
            (libc::clock_gettime(clock, &raw mut time) == 0).then_some(time)
        }?;
        let part = |number: i64| u64::try_from(number).unwrap_or_default();
        Some(Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec)))
    }
}

/// Memory that this process has resident now, in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    // SAFETY: a question about a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(page)
}
