//! What all systems of the kind tell.

use super::Cpu;
use std::time::Duration;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

pub use system::{ThreadClock, resident, thread};

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
}

fn usage(of: libc::c_int) -> (Cpu, u64) {
    // SAFETY: the structure is plain numbers, and ours.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(of, &mut usage);
        usage
    };
    let cpu = Cpu { user: duration(usage.ru_utime), system: duration(usage.ru_stime) };
    (cpu, u64::try_from(usage.ru_maxrss).unwrap_or_default().saturating_mul(system::RESIDENT_UNIT))
}

/// CPU time of this process, and the most memory it has had resident, in bytes.
pub fn process() -> (Cpu, u64) {
    usage(libc::RUSAGE_SELF)
}
