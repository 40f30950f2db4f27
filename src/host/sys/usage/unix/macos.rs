//! What macOS tells of this thread, and of memory.

use super::Cpu;
use std::mem::{size_of, zeroed};
use std::time::Duration;

/// The unit of `ru_maxrss`, in bytes.
pub const RESIDENT_UNIT: u64 = 1;

/// CPU time of this thread; none where the system does not tell.
pub fn thread() -> Cpu {
    let mut count = libc::THREAD_BASIC_INFO_COUNT;
    // SAFETY: the structure is plain numbers, and ours; `count` says how many there are. The port of a thread that lives is its
    // thread's, so that nothing is to be given back.
    let times = unsafe {
        let mut info: libc::thread_basic_info = zeroed();
        let port = libc::pthread_mach_thread_np(libc::pthread_self());
        let place = (&raw mut info).cast();
        if libc::thread_info(port, libc::THREAD_BASIC_INFO as libc::thread_flavor_t, place, &raw mut count) != 0 {
            return Cpu::default();
        }
        [info.user_time, info.system_time]
    };
    let [user, system] = times.map(|time| {
        let part = |number: libc::c_int| u64::try_from(number).unwrap_or_default();
        Duration::from_secs(part(time.seconds)) + Duration::from_micros(part(time.microseconds))
    });
    Cpu { user, system }
}

/// Memory that this process has resident now, in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    let size = size_of::<libc::proc_taskinfo>() as libc::c_int;
    // SAFETY: the structure is plain numbers, ours, and of the size that is told.
    unsafe {
        let mut info: libc::proc_taskinfo = zeroed();
        let place = (&raw mut info).cast();
        let told = libc::proc_pidinfo(libc::getpid(), libc::PROC_PIDTASKINFO, 0, place, size);
        if told == size { info.pti_resident_size } else { 0 }
    }
}
