//! A small safe layer over CPython's C API, made for many interpreters in one process: nothing Python lives in a static.
//!
//! The only room that names `pyo3::ffi`. A [`Python`] proves that this thread is attached to an interpreter; an [`Object`]
//! is an owned reference that cannot leave the scope of that proof; a [`Stored`] is one that waits inside a module's state
//! or an instance for the next scope.

mod class;
mod config;
mod convert;
mod exports;
mod guard;
mod interpreter;
mod module;
mod object;
mod raised;
mod threads;
mod waits;

pub use class::{Args, Class, Definition, Fields, Visit, base_value_of, new_instance, value_of};
pub use config::initialize;
pub use guard::caught;
pub use interpreter::{Interpreter, OWN_LOCK, run_exit_functions};
pub use module::{ModuleState, create_module, function, state_of};
pub use object::{Borrowed, Object, Stored};
pub use raised::{Exception, Raised};
pub use threads::thread_ident;
pub use waits::{ShownWaits, Waits};

use pyo3::ffi;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Answer of what may raise.
pub type PyResult<'py, T> = Result<T, Raised<'py>>;

/// Proof that the thread is attached to an interpreter as long as `'py` lasts.
#[derive(Clone, Copy)]
pub struct Python<'py>(PhantomData<(&'py (), *mut ())>);

/// Puts the thread state back when a detached scope ends, also by a panic.
struct Reattach(*mut ffi::PyThreadState);

impl Drop for Reattach {
    fn drop(&mut self) {
        // SAFETY: the state is the one `PyEval_SaveThread` gave to this thread in `Python::detach`.
        waits::timed(|| unsafe { ffi::PyEval_RestoreThread(self.0) });
    }
}

impl<'py> Python<'py> {
    /// # Safety
    /// The thread is attached, and stays so for `'py` except inside [`Python::detach`].
    unsafe fn assume() -> Self {
        Self(PhantomData)
    }

    /// Runs `work` without Python, so that other threads can run it meanwhile. For everything that may block.
    pub fn detach<R: Send>(self, work: impl FnOnce() -> R + Send) -> R {
        // SAFETY: the token proves that this thread is attached. No object enters `work`, because none is `Send`.
        let _back = Reattach(unsafe { ffi::PyEval_SaveThread() });
        work()
    }

    /// Locks, detached while another thread has it. While the lock is held no Python code may run on this thread: make
    /// no object that the garbage collector tracks, and drop none.
    pub fn lock<T>(self, mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        match mutex.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                // SAFETY: as in `detach`; the guard is made and stays on this thread.
                let _back = Reattach(unsafe { ffi::PyEval_SaveThread() });
                mutex.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }

    /// `None`.
    pub fn none(self) -> Object<'py> {
        // SAFETY: `None` lives as long as the process.
        unsafe { Object::borrowed(self, ffi::Py_None()) }
    }

    /// `True` or `False`.
    pub fn bool(self, value: bool) -> Object<'py> {
        // SAFETY: both live as long as the process.
        unsafe { Object::borrowed(self, if value { ffi::Py_True() } else { ffi::Py_False() }) }
    }

    /// Imports a module.
    ///
    /// # Errors
    /// What the import raises.
    pub fn import(self, name: &str) -> PyResult<'py, Object<'py>> {
        let name = self.text(name)?;
        // SAFETY: attached, and the argument is a live `str`.
        unsafe { Object::owned(self, ffi::PyImport_Import(name.as_ptr())) }
    }

    /// Whether threads of an interpreter run Python at the same time.
    pub fn is_free_threaded(self) -> bool {
        let enabled = || self.import("sys")?.call_method("_is_gil_enabled", []);
        cfg!(Py_GIL_DISABLED) && enabled().is_ok_and(|enabled| !enabled.is_true())
    }

    /// `sys.modules`.
    pub fn modules(self) -> Object<'py> {
        // SAFETY: attached; the dictionary lives as long as the interpreter.
        unsafe { Object::borrowed(self, ffi::PyImport_GetModuleDict()) }
    }
}
