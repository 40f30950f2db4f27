//! What a thread does in C: it is interrupted by a signal and asked for its return addresses.
//!
//! Only for threads whose request is lost anyway: the signal interrupts system calls that are not restarted.

/// The calls a thread is in, innermost first, a line each: library, function where it is known, and distance. `thread` is
/// Python's number of it, which has to be alive. Empty where the thread does not answer in time, or the system cannot tell.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn of(thread: u64) -> Vec<String> {
    linux::of(thread)
}

/// The same; this system has no way to tell.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn of(_thread: u64) -> Vec<String> {
    Vec::new()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::ffi::{CStr, c_int, c_void};
    use std::path::Path;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    const MOST: usize = 40;
    /// How long a thread may take to answer; one that blocks the signal never does.
    const PATIENCE: Duration = Duration::from_millis(200);
    /// What `LENGTH` says before the answer.
    const WAITING: usize = usize::MAX;

    static ADDRESSES: [AtomicPtr<c_void>; MOST] = [const { AtomicPtr::new(null_mut()) }; MOST];
    static LENGTH: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn handler(_signal: c_int) {
        let mut addresses = [null_mut(); MOST];
        // SAFETY: the array has that many places. `backtrace` allocates at its first call only, which `of` makes before; and
        // `errno` is put back for the code that was interrupted.
        unsafe {
            let errno = libc::__errno_location();
            let before = *errno;
            let length = libc::backtrace(addresses.as_mut_ptr(), MOST as c_int);
            for (place, address) in ADDRESSES.iter().zip(addresses) {
                place.store(address, Ordering::Relaxed);
            }
            // An answer that comes too late is no answer to a later question.
            crate::ignore(LENGTH.compare_exchange(WAITING, length as usize, Ordering::AcqRel, Ordering::Relaxed));
            *errno = before;
        }
    }

    pub fn of(thread: u64) -> Vec<String> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        // Not the last ones, which debuggers and profilers take.
        let signal = libc::SIGRTMAX() - 3;
        LENGTH.store(WAITING, Ordering::Release);
        // SAFETY: the handler does only what a handler may do; the caller promises a live thread.
        let sent = unsafe {
            let mut warm = [null_mut(); 1];
            libc::backtrace(warm.as_mut_ptr(), 1);
            let (mut action, mut before): (libc::sigaction, libc::sigaction) = (std::mem::zeroed(), std::mem::zeroed());
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&mut action.sa_mask);
            if libc::sigaction(signal, &action, &mut before) < 0 {
                return Vec::new();
            }
            if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != action.sa_sigaction {
                // The application's own.
                libc::sigaction(signal, &before, null_mut());
                return Vec::new();
            }
            libc::pthread_kill(thread as libc::pthread_t, signal) == 0
        };
        let begun = Instant::now();
        while sent && LENGTH.load(Ordering::Acquire) == WAITING && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let length = match LENGTH.swap(0, Ordering::AcqRel) {
            WAITING => 0,
            length => length,
        };
        // The first two are the handler and the system's call of it.
        ADDRESSES.iter().take(length).skip(2).map(|address| name(address.load(Ordering::Relaxed))).collect()
    }

    fn name(address: *mut c_void) -> String {
        // SAFETY: any address may be asked for; the texts live as long as the library that they are in.
        unsafe {
            let mut found: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr(address, &mut found) == 0 || found.dli_fname.is_null() {
                return format!("{address:p}");
            }
            let library = CStr::from_ptr(found.dli_fname).to_string_lossy();
            let library =
                Path::new(&*library).file_name().map_or_else(|| library.clone(), |name| name.to_string_lossy());
            if found.dli_sname.is_null() {
                let distance = address as usize - found.dli_fbase as usize;
                return format!("{library}+{distance:#x}");
            }
            let function = CStr::from_ptr(found.dli_sname).to_string_lossy();
            format!("{library}: {function}+{:#x}", address as usize - found.dli_saddr as usize)
        }
    }
}
