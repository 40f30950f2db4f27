//! What the system tells of the processes on a board.

/// Whether there is a process of that number. One that may not be asked is there too.
#[cfg(unix)]
#[must_use]
pub fn is_there(number: u32) -> bool {
    let pid = i32::try_from(number).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// The resident memory of a process in bytes, where the system tells. Source: proc(5), "/proc/pid/statm".
#[cfg(unix)]
#[must_use]
pub fn memory_of(number: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{number}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64).filter(|bytes| *bytes > 0)
}

/// Whether a process of that number has this board: here a board is of one process.
#[cfg(windows)]
#[must_use]
pub fn is_there(number: u32) -> bool {
    number == std::process::id()
}

/// The resident memory of a process that has this board, which is this one, in bytes.
/// Source: PROCESS_MEMORY_COUNTERS, "WorkingSetSize".
#[cfg(windows)]
#[must_use]
pub fn memory_of(number: u32) -> Option<u64> {
    use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
    use windows_sys::Win32::System::Threading::GetCurrentProcess;

    if !is_there(number) {
        return None;
    }
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    // SAFETY: the structure is ours, and of the size that is told.
    let told = unsafe {
        K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size_of::<PROCESS_MEMORY_COUNTERS>() as u32)
    };
    (told != 0).then_some(counters.WorkingSetSize as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_nobody_has_the_greatest_number() {
        assert!(is_there(std::process::id()) && !is_there(u32::MAX));
        assert_eq!(memory_of(u32::MAX), None);
        #[cfg(not(target_os = "macos"))]
        assert!(memory_of(std::process::id()).is_some_and(|bytes| bytes > 100_000));
    }
}
