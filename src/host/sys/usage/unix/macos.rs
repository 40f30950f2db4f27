//! What macOS tells of this thread, and of memory.

use super::Cpu;
use std::mem::{size_of, zeroed};
use std::time::Duration;

/// The unit of `ru_maxrss`, in bytes.
pub const RESIDENT_UNIT: u64 = 1;

/// CPU time of this thread; none where the system does not tell.
pub fn thread() -> Cpu {
    ThreadClock::of_this_thread().parts().unwrap_or_default()
}

/// The clock of a thread's CPU time, which any thread can read.
#[derive(Debug)]
pub struct ThreadClock(libc::mach_port_t);

impl ThreadClock {
    /// That of this thread.
    pub fn of_this_thread() -> Self {
        // SAFETY: a thread that lives. The port is its thread's, so that nothing is to be given back.
        Self(unsafe { libc::pthread_mach_thread_np(libc::pthread_self()) })
    }

    /// The CPU time of the thread; `None` once it has ended.
    pub fn read(&self) -> Option<Duration> {
        self.parts().map(|cpu| cpu.user + cpu.system)
    }

    fn parts(&self) -> Option<Cpu> {
        let mut count = libc::THREAD_BASIC_INFO_COUNT;
        // SAFETY: the structure is plain numbers, and ours; `count` says how many there are. A port that is gone is answered
        // with an error.
        let times = unsafe {
            let mut info: libc::thread_basic_info = zeroed();
            let (flavor, place) = (libc::THREAD_BASIC_INFO as libc::thread_flavor_t, (&raw mut info).cast());
            let told = libc::thread_info(self.0, flavor, place, &raw mut count);
            (told == 0).then_some([info.user_time, info.system_time])
        }?;
        let [user, system] = times.map(|time| {
            let part = |number: libc::c_int| u64::try_from(number).unwrap_or_default();
            Duration::from_secs(part(time.seconds)) + Duration::from_micros(part(time.microseconds))
        });
        Some(Cpu { user, system })
    }
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
