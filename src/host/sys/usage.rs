//! What this process and this thread have used: CPU time and memory.

use std::time::Duration;

/// CPU time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the system, for the program.
    pub system: Duration,
}

impl Cpu {
    /// What was used since then.
    pub fn since(self, then: Self) -> Self {
        Self { user: self.user.saturating_sub(then.user), system: self.system.saturating_sub(then.system) }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
}

fn usage(of: libc::c_int) -> (Cpu, u64) {
    // SAFETY: the structure is plain numbers, and ours.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(of, &mut usage);
        usage
    };
    let cpu = Cpu { user: duration(usage.ru_utime), system: duration(usage.ru_stime) };
    (cpu, u64::try_from(usage.ru_maxrss).unwrap_or_default().saturating_mul(1024))
}

/// CPU time of this process, and the most memory it has had resident, in bytes.
pub fn process() -> (Cpu, u64) {
    usage(libc::RUSAGE_SELF)
}

/// CPU time of this thread.
pub fn thread() -> Cpu {
    usage(libc::RUSAGE_THREAD).0
}

/// All CPU time of this thread, which is cheaper to ask for than its parts.
pub fn thread_total() -> Duration {
    // SAFETY: the structure is plain numbers, and ours.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time);
        time
    };
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// Memory that this process has resident now, in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    // SAFETY: a question about a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(page)
}
