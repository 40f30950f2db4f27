//! What Windows tells of this process and this thread.

use super::Cpu;
use std::time::Duration;
use windows_sys::Win32::Foundation::{FILETIME, HANDLE};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, GetCurrentThreadId, GetProcessTimes, GetThreadTimes, OpenThread,
    THREAD_QUERY_LIMITED_INFORMATION,
};
use windows_sys::core::BOOL;

/// The type of the two functions that tell times: when it began, when it ended, in the system, in the program.
type Times = unsafe extern "system" fn(HANDLE, *mut FILETIME, *mut FILETIME, *mut FILETIME, *mut FILETIME) -> BOOL;

/// A duration of Windows', which counts in 100 nanoseconds.
fn duration(time: FILETIME) -> Duration {
    let ticks = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_micros(ticks / 10) + Duration::from_nanos(ticks % 10 * 100)
}

/// # Safety
/// The handle is one that `times` takes.
unsafe fn cpu(times: Times, of: HANDLE) -> Cpu {
    let [mut begin, mut end, mut system, mut user] = [FILETIME::default(); 4];
    // SAFETY: by the caller's promise, and the times are ours.
    let told = unsafe { times(of, &raw mut begin, &raw mut end, &raw mut system, &raw mut user) };
    if told == 0 { Cpu::default() } else { Cpu { user: duration(user), system: duration(system) } }
}

fn memory() -> PROCESS_MEMORY_COUNTERS {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    // SAFETY: the structure is ours, and of the size that is told. Where nothing is told it stays zero.
    unsafe {
        let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
        K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size);
    }
    counters
}

/// CPU time of this process, and the most memory it has had resident, in bytes.
pub fn process() -> (Cpu, u64) {
    // SAFETY: a handle of this process, and the function for it.
    (unsafe { cpu(GetProcessTimes, GetCurrentProcess()) }, memory().PeakWorkingSetSize as u64)
}

/// Memory that this process has resident now, in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    memory().WorkingSetSize as u64
}

/// CPU time of this thread.
pub fn thread() -> Cpu {
    // SAFETY: a handle of this thread, and the function for it.
    unsafe { cpu(GetThreadTimes, GetCurrentThread()) }
}

/// The clock of a thread's CPU time, which any thread can read.
#[derive(Debug)]
pub struct ThreadClock(usize);

impl ThreadClock {
    /// That of this thread.
    pub fn of_this_thread() -> Self {
        // SAFETY: the number is that of a thread that lives. The handle stays open, as what is known of the thread does.
        Self(unsafe { OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, GetCurrentThreadId()) } as usize)
    }

    /// The CPU time of the thread, also after its end.
    pub fn read(&self) -> Option<Duration> {
        // SAFETY: a handle of a thread that is never closed, or none, which the function refuses; and the function for it.
        let cpu = unsafe { cpu(GetThreadTimes, self.0 as HANDLE) };
        Some(cpu.user + cpu.system)
    }
}
