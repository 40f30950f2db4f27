//! Loads libpython and a host into this process, and calls the host's functions.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use mod_wsgi_core::embedded::{ABI, ENTRY, Entry, Host, Server as ServerFunctions, TakeBytes};
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::LogRecord;

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;
use super::bridge::Bridge;
use crate::apache::{log, scoreboard};
use crate::python::Embedded;

/// How many requests are with the host now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether a request is with the host. A child of prefork ends inside of a signal handler, which may have interrupted one:
/// Python must then be left alone, since it cannot be ended by the thread that is in the middle of it.
pub fn is_running() -> bool {
    RUNNING.load(Ordering::Acquire) > 0
}

/// A host in this process. It and its Python stay until the process ends.
#[derive(Debug)]
pub struct Library {
    host: &'static Host,
}

// SAFETY: the table is constant, and its functions may be called from any thread (core::embedded).
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// Loads the library of a Python, and the host for it.
    ///
    /// # Errors
    /// Names what was tried and what to install.
    pub fn open(python: &Embedded, host: &Path) -> Result<Self, String> {
        let mut tried = Vec::new();
        let loaded = python.libraries.iter().any(|path| {
            // SAFETY: loading runs the library's initialisers: it is the Python that the administrator has configured.
            match unsafe { system::open_python(path) } {
                Ok(library) => {
                    std::mem::forget(library);
                    true
                }
                Err(error) => {
                    tried.push(error.to_string());
                    false
                }
            }
        });
        if !loaded {
            let name = crate::python::library_name(&python.version);
            return Err(format!(
                "WSGI7065: embedded mode needs {name}, which cannot be loaded ({}): {}",
                tried.join("; "),
                system::advice(&python.version)
            ));
        }
        let shown = host.display();
        let failed = |error: libloading::Error| {
            format!(
                "WSGI7066: the host '{shown}' for Python {} cannot be loaded: {error}; reinstall the package",
                python.version
            )
        };
        // SAFETY: the host is ours, from the folder this module was loaded from or its package's.
        let host = unsafe { system::open_host(host) }.map_err(failed)?;
        // SAFETY: a host exports this symbol with this type (core::embedded), and its table lives for ever.
        let host = unsafe {
            let table = host.get::<Entry>(ENTRY).map_err(failed)?();
            std::mem::forget(host);
            table.as_ref()
        };
        let same = host.filter(|host| {
            // SAFETY: the version is a static text of the host's, and the number before it says that it is there.
            host.abi == ABI && unsafe { CStr::from_ptr(host.version) }.to_bytes() == mod_wsgi_core::BUILD.as_bytes()
        });
        let host = same.ok_or_else(|| format!("WSGI7066: the host '{shown}' is of another release than mod_wsgi.so: reinstall the package and restart Apache"))?;
        Ok(Self { host })
    }

    /// Starts Python.
    ///
    /// # Errors
    /// The host has logged why not.
    pub fn start(&self, launch: &Launch) -> Result<(), String> {
        let block = launch.encode();
        let server = ServerFunctions { log: server_log, scoreboard: give_scoreboard };
        // SAFETY: block and table live for the call, and the functions for ever.
        let answer = unsafe { (self.host.start)(block.as_ptr(), block.len(), &raw const server) };
        if answer != 0 {
            return Err(
                "WSGI0001: Python could not be started in this process, the lines before this one say why".into()
            );
        }
        crate::apache::server::at_child_exit(self.host.stop);
        Ok(())
    }

    /// Calls a function of a script on this thread; the answer comes through the bridge.
    pub fn call(&self, bridge: &mut Bridge<'_>, call: &[u8]) {
        let exchange = bridge.exchange();
        RUNNING.fetch_add(1, Ordering::AcqRel);
        // SAFETY: exchange and call live for the call; the host calls back on this thread only.
        unsafe { (self.host.call)(&raw const exchange, call.as_ptr(), call.len()) };
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }

    /// Runs a request on this thread; answers an outcome of `core::embedded`.
    pub fn handle(&self, bridge: &mut Bridge<'_>, head: &[u8]) -> i32 {
        let exchange = bridge.exchange();
        RUNNING.fetch_add(1, Ordering::AcqRel);
        // SAFETY: exchange and head live for the call; the host calls back on this thread only.
        let outcome = unsafe { (self.host.handle)(&raw const exchange, head.as_ptr(), head.len()) };
        RUNNING.fetch_sub(1, Ordering::AcqRel);
        outcome
    }
}

unsafe extern "C" fn server_log(record: *const u8, length: usize) {
    crate::guard::guarded(
        "a log record of the host",
        || (),
        || {
            // SAFETY: the host gives `length` readable bytes.
            let record = unsafe { std::slice::from_raw_parts(record, length) };
            // The host is of this build, so its records are understood.
            if let Ok(record) = LogRecord::decode(record) {
                log::main_server_record(&record);
            }
        },
    );
}

unsafe extern "C" fn give_scoreboard(take: TakeBytes, context: *mut c_void) {
    crate::guard::guarded(
        "the scoreboard",
        || (),
        || {
            if let Some(board) = scoreboard::read().map(|board| board.encode()) {
                // SAFETY: the host's function with its own context; the bytes live for the call.
                unsafe { take(context, board.as_ptr(), board.len()) };
            }
        },
    );
}
