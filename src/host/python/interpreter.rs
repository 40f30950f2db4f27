//! Interpreters, and how threads come to them: one thread state for each thread and interpreter.

use super::{Python, Raised, waits};
use crate::ignore;
use pyo3::ffi;
use std::cell::RefCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// A thread state; the pointer is only ever used by the thread it was made for, or once that thread is done with Python.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ThreadState(*mut ffi::PyThreadState);

// SAFETY: see the type.
unsafe impl Send for ThreadState {}

/// An interpreter. It lives until the process ends Python, so it is never freed.
pub struct Interpreter {
    raw: AtomicPtr<ffi::PyInterpreterState>,
    /// `None` for the main interpreter.
    main: Option<&'static Interpreter>,
    /// The states made here, for the end.
    states: Mutex<Vec<ThreadState>>,
}

thread_local! {
    /// This thread's states: by the address of their interpreter.
    static STATES: RefCell<Vec<(usize, ThreadState)>> = const { RefCell::new(Vec::new()) };
}

/// Leaves the interpreter when an attached scope ends, also by a panic.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        // SAFETY: made only where this thread has just attached; scopes nest.
        unsafe {
            ffi::PyEval_SaveThread();
        }
    }
}

impl Interpreter {
    fn leak(raw: *mut ffi::PyInterpreterState, main: Option<&'static Interpreter>) -> &'static Self {
        Box::leak(Box::new(Self { raw: AtomicPtr::new(raw), main, states: Mutex::default() }))
    }

    /// The main interpreter, whose state this thread holds; call it once.
    pub fn main(_py: Python<'_>) -> &'static Self {
        // SAFETY: attached.
        let (raw, state) = unsafe { (ffi::PyInterpreterState_Get(), ffi::PyThreadState_Get()) };
        let interpreter = Self::leak(raw, None);
        interpreter.remember(ThreadState(state));
        interpreter
    }

    fn remember(&'static self, state: ThreadState) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).push(state);
        STATES.with_borrow_mut(|states| states.push((std::ptr::from_ref(self) as usize, state)));
    }

    fn thread_state(&'static self) -> *mut ffi::PyThreadState {
        let this = std::ptr::from_ref(self) as usize;
        let known = STATES.with_borrow(|states| states.iter().find(|(of, _)| *of == this).map(|(_, state)| *state));
        if let Some(state) = known {
            return state.0;
        }
        if let Some(main) = self.main {
            // `PyGILState_Ensure` in an extension module takes the first state a thread got, and it means the main
            // interpreter, so every thread gets that one first.
            main.thread_state();
        }
        // SAFETY: the interpreter has not ended; making a state needs no attached thread.
        let state = ThreadState(unsafe { ffi::PyThreadState_New(self.raw.load(Ordering::Acquire)) });
        self.remember(state);
        state.0
    }

    /// Runs `work` attached to this interpreter. The thread must not be attached already.
    pub fn attach<R>(&'static self, work: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
        let state = self.thread_state();
        // SAFETY: the state belongs to this thread, which is detached: only `attach` and `detach` change that, and
        // nothing calls `attach` from inside a scope.
        let py = unsafe {
            waits::timed(|| ffi::PyEval_RestoreThread(state));
            Python::assume()
        };
        let _leave = Leave;
        work(py)
    }

    /// Makes a sub-interpreter and runs `set_up` attached to it: with the legacy configuration, or isolated with a global
    /// lock of its own where CPython has that ([`OWN_LOCK`]). Called detached.
    ///
    /// # Errors
    /// What CPython answers; an error of `set_up` is the caller's.
    pub fn new_sub<R>(
        &'static self,
        own_lock: bool,
        set_up: impl for<'py> FnOnce(Python<'py>) -> R,
    ) -> Result<(&'static Self, R), String> {
        self.attach(|_py| {
            // SAFETY: attached to the main interpreter; CPython leaves the new state current when it succeeds, and
            // swapping back leaves this thread as it was. The token of `set_up` is for the new interpreter only.
            unsafe {
                let before = ffi::PyThreadState_Get();
                let state = new_interpreter(own_lock).inspect_err(|_| {
                    ffi::PyThreadState_Swap(before);
                })?;
                let interpreter = Self::leak(ffi::PyInterpreterState_Get(), Some(self));
                interpreter.remember(ThreadState(state));
                struct Back(*mut ffi::PyThreadState);
                impl Drop for Back {
                    fn drop(&mut self) {
                        // SAFETY: the state this thread came with.
                        unsafe { ffi::PyThreadState_Swap(self.0) };
                    }
                }
                let _back = Back(before);
                let answer = set_up(Python::assume());
                Ok((interpreter, answer))
            }
        })
    }

    /// Ends a sub-interpreter: its threads are joined, `atexit` functions run, modules are cleared. Called detached, when
    /// no thread of ours will use it any more. `false` where threads of the application still run in it, so that only
    /// threads were joined and `atexit` functions run.
    pub fn end(&'static self) -> bool {
        let state = self.thread_state();
        // SAFETY: this thread's own state, detached so far. The other states were made for threads that are done with
        // Python, as the caller promises. After the end the state is gone and must not be used.
        unsafe {
            ffi::PyEval_RestoreThread(state);
            // First of all, because `threading` takes the thread that imported it for its main one and waits for its state.
            for other in std::mem::take(&mut *self.states.lock().unwrap_or_else(PoisonError::into_inner)) {
                if other.0 != state {
                    ffi::PyThreadState_Clear(other.0);
                    ffi::PyThreadState_Delete(other.0);
                }
            }
            run_exit_functions(Python::assume(), true);
            let head = ffi::PyInterpreterState_ThreadHead(self.raw.load(Ordering::Acquire));
            if head != state || !ffi::PyThreadState_Next(head).is_null() {
                ffi::PyEval_SaveThread();
                return false;
            }
            ffi::Py_EndInterpreter(state);
            self.raw.store(null_mut(), Ordering::Release);
            STATES.with_borrow_mut(|states| states.retain(|(_, known)| known.0 != state));
            // `Py_EndInterpreter` leaves no state current and, since 3.12, no lock held; before, the lock is held.
            #[cfg(not(Py_3_12))]
            if let Some(main) = self.main {
                ffi::PyThreadState_Swap(main.thread_state());
                ffi::PyEval_SaveThread();
            }
            true
        }
    }
}

impl Interpreter {
    /// Ends Python. Called detached on the main interpreter, on the thread that started it, when no other thread of ours
    /// will use it any more.
    pub fn finalize(&'static self) {
        let state = self.thread_state();
        // SAFETY: this thread's own state, detached so far; nothing attaches after this.
        unsafe {
            ffi::PyEval_RestoreThread(state);
            ffi::Py_FinalizeEx();
        }
        STATES.with_borrow_mut(Vec::clear);
    }
}

/// Runs the interpreter's `atexit` functions, as its end does, after joining its threads if `join` says so, and writes what
/// its streams still hold; what fails is of no use any more.
pub fn run_exit_functions(py: Python<'_>, join: bool) {
    let shut_down_threading = || {
        if let Some(threading) = py.modules().entry(&py.text("threading")?) {
            threading.call_method("_shutdown", [])?;
            // The end of the interpreter calls it again, on a thread that `threading` does not take for its main one.
            threading.set("_shutdown", &py.import("builtins")?.get("bool")?)?;
        }
        Ok::<(), Raised<'_>>(())
    };
    if join {
        ignore(shut_down_threading());
    }
    ignore(py.import("atexit").and_then(|atexit| atexit.call_method("_run_exitfuncs", [])));
    for stream in ["stdout", "stderr"] {
        ignore(py.import("sys").and_then(|sys| sys.get(stream)?.call_method("flush", [])));
    }
}

/// Whether sub-interpreters can have a global lock of their own.
pub const OWN_LOCK: bool = cfg!(Py_3_12);

#[cfg(Py_3_12)]
unsafe fn new_interpreter(own_lock: bool) -> Result<*mut ffi::PyThreadState, String> {
    let config = if own_lock { ffi::_PyInterpreterConfig_INIT } else { ffi::_PyInterpreterConfig_LEGACY_INIT };
    let mut state = null_mut();
    // SAFETY: attached to the main interpreter, as the caller promises.
    let status = unsafe { ffi::Py_NewInterpreterFromConfig(&mut state, &config) };
    // SAFETY: a status is plain data.
    if unsafe { ffi::PyStatus_Exception(status) } != 0 || state.is_null() {
        return Err(super::config::status_text(&status));
    }
    Ok(state)
}

#[cfg(not(Py_3_12))]
unsafe fn new_interpreter(_own_lock: bool) -> Result<*mut ffi::PyThreadState, String> {
    // SAFETY: attached to the main interpreter, as the caller promises.
    let state = unsafe { ffi::Py_NewInterpreter() };
    if state.is_null() { Err("CPython gives no reason".to_owned()) } else { Ok(state) }
}
