//! What daemon processes need of httpd's parent: they are its "other children", and the MPM tells us when one has ended.

use std::ffi::{c_int, c_void};

use super::server::Server;
use super::{DECLINED, ffi};
use crate::guard::guarded;

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
    guarded("the watch over daemon processes", || (), || crate::supervisor::ended(data as usize as i32, status));
}

/// Registers what is called in the parent, once per load of the module.
pub(super) fn register() {
    let none = std::ptr::null();
    // SAFETY: httpd keeps the function pointer while the configuration lives; it is never unloaded (`sys::itself`).
    unsafe { ffi::ap_hook_monitor(Some(monitor), none, none, ffi::APR_HOOK_MIDDLE as c_int) };
}

/// In the parent, about every ten seconds.
unsafe extern "C" fn monitor(_p: *mut ffi::apr_pool_t, s: *mut ffi::server_rec) -> c_int {
    guarded(
        "monitor",
        || DECLINED,
        || {
            // SAFETY: httpd calls with the main server.
            if let Some(main) = unsafe { Server::new(s) } {
                crate::supervisor::look_after(main);
            }
            DECLINED
        },
    )
}

/// Before the pool of the whole process goes: httpd stops.
unsafe extern "C" fn process_ends(_data: *mut c_void) -> ffi::apr_status_t {
    guarded("the end of the process", || (), crate::supervisor::stop_all);
    0
}

impl Server<'_> {
    /// Has `crate::supervisor` stop all processes when httpd's parent ends.
    pub fn stop_processes_at_the_end(self) {
        if let Some(pool) = self.process_pool() {
            pool.before_end(process_ends);
        }
    }

    /// The descriptor of its `ErrorLog`, where that is a file or a pipe.
    #[must_use]
    pub fn error_log(self) -> Option<i32> {
        // SAFETY: the record is live.
        let file = unsafe { (*self.raw()).error_log };
        if file.is_null() {
            return None;
        }
        let mut descriptor = -1;
        // SAFETY: an error log that is not null is an open file of APR's.
        let status = unsafe { ffi::apr_os_file_get(&raw mut descriptor, file) };
        (status == 0 && descriptor >= 0).then_some(descriptor)
    }
}

/// `User` and `Group` of httpd, as numbers.
#[must_use]
pub fn unix_identity() -> (u32, u32) {
    // SAFETY: httpd fills this record while it reads its configuration, before any hook that asks.
    unsafe { (ffi::ap_unixd_config.user_id, ffi::ap_unixd_config.group_id) }
}
