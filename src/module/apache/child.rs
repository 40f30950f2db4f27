//! Daemon processes as "other children" of httpd's parent: the MPM tells us when one has ended.

use std::ffi::c_void;

use super::ffi;
use super::server::Server;

/// A process that httpd's parent watches for us.
#[derive(Debug)]
pub struct Watch {
    pool: *mut ffi::apr_pool_t,
}

// SAFETY: used in the parent's one thread; kept in a Mutex that nobody contends for.
unsafe impl Send for Watch {}

impl Watch {
    /// Has httpd's parent tell `crate::supervisor` when the process ends. The watch outlives restarts.
    #[must_use]
    pub fn start(main: Server<'_>, pid: i32) -> Option<Self> {
        let pool = main.process_pool()?.child();
        // SAFETY: the record lives in the watch's own pool, as long as the registration; the data is a number.
        unsafe {
            let process = ffi::apr_palloc(pool, size_of::<ffi::apr_proc_t>() as _).cast::<ffi::apr_proc_t>();
            process.write(std::mem::zeroed());
            (*process).pid = pid;
            let data = pid as usize as *mut c_void;
            ffi::apr_proc_other_child_register(process, Some(maintenance), data, std::ptr::null_mut(), pool);
        }
        Some(Self { pool })
    }

    /// Ends the watch.
    pub fn end(self) {
        // SAFETY: made by `start`, used up here.
        unsafe { super::pool::destroy(self.pool) };
    }
}

/// Called by the MPM's parent: when a child has ended, and with other reasons that need nothing from us.
unsafe extern "C" fn maintenance(reason: i32, data: *mut c_void, status: i32) {
    let status = match u32::try_from(reason) {
        Ok(ffi::APR_OC_REASON_DEATH) => Some(status),
        // Somebody else has waited for it, so its status is not known.
        Ok(ffi::APR_OC_REASON_LOST) => None,
        _ => return,
    };
    crate::guard::guarded(
        "the watch over daemon processes",
        || (),
        || crate::supervisor::ended(data as usize as i32, status),
    );
}
