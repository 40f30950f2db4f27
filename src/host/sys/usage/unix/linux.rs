//! What Linux tells of this thread, and of memory.

use super::{Cpu, usage};

/// The unit of `ru_maxrss`, in bytes.
pub const RESIDENT_UNIT: u64 = 1024;

/// CPU time of this thread.
pub fn thread() -> Cpu {
    usage(libc::RUSAGE_THREAD).0
}

/// Memory that this process has resident now, in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    // SAFETY: a question about a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(page)
}
