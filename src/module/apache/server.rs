//! Server records: the main server and its virtual hosts.

#![allow(unused_unsafe, reason = "field! is unsafe by itself, and stands inside of unsafe blocks too")]

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::pool::Pool;
use super::{bytes, ffi};

/// A borrowed server record.
#[derive(Clone, Copy)]
pub struct Server<'s> {
    raw: NonNull<ffi::server_rec>,
    borrow: PhantomData<&'s ()>,
}

macro_rules! field {
    ($server:expr, $field:ident) => {
        // SAFETY: a Server is made from a record that lives for 's; fields are read through the raw pointer.
        unsafe { (*$server.raw.as_ptr()).$field }
    };
}

impl<'s> Server<'s> {
    /// Wraps a server record.
    ///
    /// # Safety
    /// `raw` lives for `'s`.
    pub(super) unsafe fn new(raw: *mut ffi::server_rec) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, borrow: PhantomData })
    }

    pub(super) fn raw(self) -> *mut ffi::server_rec {
        self.raw.as_ptr()
    }

    /// What tells this server from another one while the configuration lives.
    #[must_use]
    pub fn identity(self) -> usize {
        self.raw() as usize
    }

    /// Whether it is a virtual host.
    #[must_use]
    pub fn is_virtual(self) -> bool {
        field!(self, is_virtual) != 0
    }

    /// `ServerName`, if one is set.
    #[must_use]
    pub fn server_name(self) -> Option<&'s [u8]> {
        // SAFETY: a name is null or NUL-terminated, in the configuration's pool.
        unsafe { bytes(field!(self, server_hostname)) }
    }

    /// This server and all that follow it; from the main server, all there are.
    pub fn chain(self) -> impl Iterator<Item = Server<'s>> {
        // SAFETY: `next` is null or a record of the same configuration.
        std::iter::successors(Some(self), |server| unsafe { Server::new(field!(server, next)) })
    }

    /// The pool that lives from the start of httpd to its end, over all restarts.
    pub(super) fn process_pool(self) -> Option<Pool<'s>> {
        let process = field!(self, process);
        // SAFETY: the process record lives as long as httpd, and so does its pool.
        unsafe { process.as_ref().and_then(|process| Pool::new(process.pool)) }
    }

    /// `Timeout`, in milliseconds.
    #[must_use]
    pub fn timeout(self) -> u64 {
        u64::try_from(field!(self, timeout)).unwrap_or_default() / 1000
    }

    /// A path below `DefaultRuntimeDir`.
    pub(crate) fn runtime_path(self, pool: Pool<'_>, name: &CStr) -> Option<Vec<u8>> {
        // SAFETY: both arguments are valid; the result is null or NUL-terminated in the pool.
        unsafe { bytes(ffi::ap_runtime_dir_relative(pool.raw(), name.as_ptr())) }.map(<[u8]>::to_vec)
    }
}

/// A path below `ServerRoot`, unless it is absolute.
pub fn server_root_path(pool: Pool<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let path = CString::new(path).ok()?;
    // SAFETY: both arguments are valid; the result is null or NUL-terminated in the pool.
    unsafe { bytes(ffi::ap_server_root_relative(pool.raw(), path.as_ptr())) }.map(<[u8]>::to_vec)
}

/// An answer of the MPM, at least 1.
#[must_use]
pub fn mpm_answer(query: MpmQuery) -> u32 {
    let mut answer = 0;
    let ask = |code: u32, answer: &mut i32| {
        // SAFETY: `answer` is valid for the call.
        unsafe { ffi::ap_mpm_query(code as i32, answer) == 0 }
    };
    let known = match query {
        MpmQuery::Threads => ask(ffi::AP_MPMQ_MAX_THREADS, &mut answer),
        MpmQuery::Processes => ask(ffi::AP_MPMQ_MAX_DAEMONS, &mut answer),
    };
    if known { u32::try_from(answer).unwrap_or_default().max(1) } else { 1 }
}

/// Whether the MPM is about to stop, or to read its configuration again.
#[must_use]
pub fn is_stopping() -> bool {
    let mut state = 0;
    // SAFETY: `state` is valid for the call.
    let known = unsafe { ffi::ap_mpm_query(ffi::AP_MPMQ_MPM_STATE as i32, &raw mut state) == 0 };
    known && state == ffi::AP_MPMQ_STOPPING as i32
}

/// What [`mpm_answer`] can be asked.
#[derive(Clone, Copy)]
pub enum MpmQuery {
    /// Threads in a child.
    Threads,
    /// The most children.
    Processes,
}

/// The version of httpd that runs, and its banner token for ours.
pub fn announce(pool: Pool<'_>) {
    if let Ok(token) = CString::new(format!("mod_wsgi/{}", mod_wsgi_core::VERSION_TEXT)) {
        // SAFETY: httpd copies the text into the pool.
        unsafe { ffi::ap_add_version_component(pool.raw(), token.as_ptr()) };
    }
}

/// The version of httpd these bindings are of: major, minor, patch.
#[must_use]
pub fn compiled_version() -> Vec<u32> {
    vec![ffi::AP_SERVER_MAJORVERSION_NUMBER, ffi::AP_SERVER_MINORVERSION_NUMBER, ffi::AP_SERVER_PATCHLEVEL_NUMBER]
}

/// Whether this pass over the configuration is the one that runs: httpd reads it twice at its first start.
#[must_use]
pub fn is_first_pass() -> bool {
    // SAFETY: a query without arguments.
    unsafe { ffi::ap_state_query(ffi::AP_SQ_MAIN_STATE as i32) == ffi::AP_SQ_MS_CREATE_PRE_CONFIG as i32 }
}

/// What the module `apache` of applications says of the server that is running.
#[derive(Debug, Clone)]
pub struct Description {
    /// The banner, as `ServerTokens` wants it.
    pub banner: Vec<u8>,
    /// The name of the MPM.
    pub mpm: Vec<u8>,
    /// When httpd was built.
    pub built: Vec<u8>,
}

/// Describes the server that is running.
#[must_use]
pub fn description() -> Description {
    // SAFETY: texts that live as long as httpd or its configuration, and are copied at once.
    unsafe {
        let copy = |text| bytes(text).unwrap_or_default().to_vec();
        Description {
            banner: copy(ffi::ap_get_server_banner()),
            mpm: copy(ffi::ap_show_mpm()),
            built: copy(ffi::ap_get_server_built()),
        }
    }
}

/// The module magic number of the httpd that runs, and of the one these bindings are of.
#[must_use]
pub fn magic_numbers() -> ((i32, i32), (i32, i32)) {
    // SAFETY: httpd's own first module carries the numbers it was compiled with (STANDARD20_MODULE_STUFF).
    let running = unsafe { (ffi::core_module.version, ffi::core_module.minor_version) };
    (running, (ffi::MODULE_MAGIC_NUMBER_MAJOR as i32, ffi::MODULE_MAGIC_NUMBER_MINOR as i32))
}

/// Calls `body` with the main server of the running configuration; `None` where there is none.
pub fn with_main<R>(body: impl FnOnce(Server<'_>) -> R) -> Option<R> {
    // SAFETY: httpd's own pointer to its main server, set while a configuration is in force; used within this call only.
    unsafe { Server::new(ffi::ap_server_conf) }.map(body)
}

/// What ends Python in this child, once it has one.
static STOP: std::sync::OnceLock<unsafe extern "C" fn()> = std::sync::OnceLock::new();

/// Has `stop` called when this Apache child ends.
pub fn at_child_exit(stop: unsafe extern "C" fn()) {
    // There is one host in a process, so nothing was set before.
    STOP.set(stop).ok();
}

/// Before the pool of a child goes, and all that stands in it. Registered while the child has one thread: pools are not for
/// several at once.
pub(super) unsafe extern "C" fn child_ends(_data: *mut std::ffi::c_void) -> ffi::apr_status_t {
    if let Some(stop) = STOP.get().filter(|_| !crate::embedded::is_running()) {
        // SAFETY: the host's function, whose library stays loaded; it catches its own panics. No request runs any more:
        // httpd clears a child's pool after its workers have ended.
        unsafe { stop() };
    }
    0
}
