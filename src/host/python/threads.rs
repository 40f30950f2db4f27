//! Other threads, looked at and interrupted from outside.

use super::{Object, PyResult, Python};
use pyo3::ffi;
use std::ffi::CStr;
use std::ptr::null_mut;

/// Python's number of this thread. It needs no attached thread.
pub fn thread_ident() -> u64 {
    // SAFETY: a plain question to the system.
    unsafe { ffi::PyThread_get_thread_ident() as u64 }
}

impl<'py> Python<'py> {
    /// Makes an exception type derived from `BaseException`; `name` has the name of its module in front.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn base_exception_type(self, name: &CStr, doc: &CStr) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached; both texts are NUL-terminated, the base is a live type, and the dictionary may be left out.
        unsafe {
            let base = ffi::PyExc_BaseException;
            Object::owned(self, ffi::PyErr_NewExceptionWithDoc(name.as_ptr(), doc.as_ptr(), base, null_mut()))
        }
    }

    /// Lets a thread of this interpreter raise an exception of that type at its next bytecode; answers whether there is
    /// such a thread.
    pub fn interrupt(self, thread: u64, kind: &Object<'py>) -> bool {
        // SAFETY: attached; the type is live, and CPython takes a reference of its own.
        unsafe { ffi::PyThreadState_SetAsyncExc(thread as _, kind.as_ptr()) > 0 }
    }

    /// Takes back what [`Python::interrupt`] asked of this thread and has not happened yet.
    pub fn clear_interrupt(self) {
        // SAFETY: attached; null clears.
        unsafe {
            ffi::PyThreadState_SetAsyncExc(thread_ident() as _, null_mut());
        }
    }

    /// What a thread of this interpreter does, outermost call first, a line each as in a traceback; empty where it runs
    /// no Python.
    ///
    /// # Errors
    /// What `traceback` raises.
    pub fn stack_of(self, thread: u64) -> PyResult<'py, Vec<String>> {
        let frames = self.import("sys")?.call_method("_current_frames", [])?;
        let Some(frame) = frames.entry(&self.int(thread as i64)?) else { return Ok(Vec::new()) };
        let entries = self.import("traceback")?.call_method("format_stack", [&frame])?.iterator()?;
        let mut lines = Vec::new();
        while let Some(entry) = entries.next()? {
            lines.extend(entry.to_text()?.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        }
        Ok(lines)
    }
}
