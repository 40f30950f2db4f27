//! Where panics stop: every function that C calls runs its body through here.

use super::{Exception, Object, PyResult, Python};
use crate::log;
use mod_wsgi_core::wire::LogLevel;
use pyo3::ffi;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

/// Makes `extern "C"` functions whose body cannot unwind into C. The body is a closure from the attached scope to what the
/// guard named before it turns into a C value.
macro_rules! c_function {
    ($(#[$meta:meta])* $guard:ident fn $name:ident $(<$($generic:ident : $bound:path),*>)?
        ($($argument:ident : $type:ty),*) -> $answer:ty = $body:expr) => {
        $(#[$meta])*
        unsafe extern "C" fn $name$(<$($generic: $bound),*>)?($($argument: $type),*) -> $answer {
            // SAFETY: CPython calls the slots and methods of a type attached, with live arguments of the declared kind.
            unsafe { $crate::python::guard::$guard($body) }
        }
    };
}
pub(super) use c_function;

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// Runs `work`; a panic is logged once and becomes `None`.
pub fn caught<R>(what: &str, work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => Some(answer),
        Err(panic) => {
            let text = panic_text(&*panic);
            log::write(LogLevel::Crit, &format!("WSGI7000: a fault of mod_wsgi in {what}: {text}; please report it"));
            None
        }
    }
}

fn or_runtime_error<'py, R>(py: Python<'py>, work: impl FnOnce(Python<'py>) -> PyResult<'py, R>) -> PyResult<'py, R> {
    match caught("a call from Python", || work(py)) {
        Some(answer) => answer,
        None => py.raise(Exception::Runtime, "a fault of mod_wsgi, see the error log"),
    }
}

/// For functions that answer a new reference, or null when they raise.
///
/// # Safety
/// The thread is attached.
pub(super) unsafe fn object<'py>(work: impl FnOnce(Python<'py>) -> PyResult<'py, Object<'py>>) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume() };
    match or_runtime_error(py, work) {
        Ok(object) => object.into_ptr(),
        Err(raised) => {
            raised.restore();
            null_mut()
        }
    }
}

/// For iterators: null without an exception is the end.
///
/// # Safety
/// The thread is attached.
pub(super) unsafe fn optional<'py>(
    work: impl FnOnce(Python<'py>) -> PyResult<'py, Option<Object<'py>>>,
) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume() };
    match or_runtime_error(py, work) {
        Ok(object) => object.map_or(null_mut(), Object::into_ptr),
        Err(raised) => {
            raised.restore();
            null_mut()
        }
    }
}

/// For the garbage collector's walk, and for the end of an object: no exception, and the answer is a number of its own.
///
/// # Safety
/// The thread is attached, or the world stopped for the collector.
pub(super) unsafe fn plain<'py, R: Default>(work: impl FnOnce(Python<'py>) -> R) -> R {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume() };
    caught("the life of an object", || work(py)).unwrap_or_default()
}
