//! Signals that a thread does not take.

/// Runs `work`: Windows has no signals that a thread could take.
#[cfg(windows)]
pub fn without_signals<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Runs `work` with all signals blocked on this thread, so that threads which it starts take none; then they are as before.
#[cfg(unix)]
pub fn without_signals<R>(work: impl FnOnce() -> R) -> R {
    /// The mask to put back, also by a panic.
    struct Back(libc::sigset_t);
    impl Drop for Back {
        fn drop(&mut self) {
            // SAFETY: the set is the one that the system gave for this thread.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut());
            }
        }
    }
    // SAFETY: both sets are plain numbers, and ours; the system fills the second one.
    let _back = unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        Back(before)
    };
    work()
}
