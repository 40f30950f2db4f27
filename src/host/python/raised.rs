//! Exceptions: fetched from Python, made for it, given back to it.

use super::{Object, PyResult, Python};
use pyo3::ffi;
#[cfg(not(Py_3_12))]
use std::ptr::null_mut;

/// The exceptions this code raises itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// `TypeError`
    Type,
    /// `ValueError`
    Value,
    /// `RuntimeError`
    Runtime,
    /// `OSError`
    Os,
    /// `AttributeError`
    Attribute,
    /// `SystemExit`
    SystemExit,
}

impl Exception {
    fn as_ptr(self) -> *mut ffi::PyObject {
        // SAFETY: the exception types are set before any code of ours runs, and live as long as the process.
        unsafe {
            match self {
                Self::Type => ffi::PyExc_TypeError,
                Self::Value => ffi::PyExc_ValueError,
                Self::Runtime => ffi::PyExc_RuntimeError,
                Self::Os => ffi::PyExc_OSError,
                Self::Attribute => ffi::PyExc_AttributeError,
                Self::SystemExit => ffi::PyExc_SystemExit,
            }
        }
    }
}

/// An exception on its way, no longer set in the thread.
pub struct Raised<'py>(Object<'py>);

impl<'py> Raised<'py> {
    /// Takes the exception that is set; one is made up should none be.
    pub(super) fn fetch(py: Python<'py>) -> Self {
        Self::take(py).unwrap_or_else(|| Self::new(py, Exception::Runtime, "a call failed without an exception"))
    }

    #[cfg(Py_3_12)]
    fn take(py: Python<'py>) -> Option<Self> {
        // SAFETY: attached; a new reference or null.
        let value = unsafe { ffi::PyErr_GetRaisedException() };
        // SAFETY: not null is checked, so this is the new reference.
        (!value.is_null()).then(|| unsafe { Object::owned(py, value) }.ok().map(Self)).flatten()
    }

    #[cfg(not(Py_3_12))]
    fn take(py: Python<'py>) -> Option<Self> {
        let (mut kind, mut value, mut trace) = (null_mut(), null_mut(), null_mut());
        // SAFETY: attached; the three are new references or null, and normalizing keeps that.
        unsafe {
            ffi::PyErr_Fetch(&mut kind, &mut value, &mut trace);
            if kind.is_null() {
                return None;
            }
            ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut trace);
            if !trace.is_null() && !value.is_null() {
                ffi::PyException_SetTraceback(value, trace);
            }
            ffi::Py_XDECREF(kind);
            ffi::Py_XDECREF(trace);
            (!value.is_null()).then(|| Object::owned(py, value).ok().map(Self)).flatten()
        }
    }

    /// An exception with a text.
    pub fn new(py: Python<'py>, kind: Exception, text: &str) -> Self {
        // SAFETY: attached; the type is live. Where text or exception cannot be made there is no memory left, and
        // `MemoryError` is set, which `take` finds.
        unsafe {
            let value = ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as ffi::Py_ssize_t);
            ffi::PyErr_SetObject(kind.as_ptr(), value);
            ffi::Py_XDECREF(value);
        }
        match Self::take(py) {
            Some(raised) => raised,
            None => Self(py.none()),
        }
    }

    /// The exception of somebody else, to be raised again with its traceback; a `TypeError` where this is no exception
    /// triple.
    pub fn from_triple(triple: &Object<'py>) -> Self {
        let py = triple.py();
        let part = |at| triple.item(at).ok().flatten();
        let (Some(kind), Some(value), Some(trace)) = (part(0), part(1), part(2)) else {
            return Self::new(py, Exception::Type, "exc_info must hold an exception's type, value and traceback");
        };
        // SAFETY: attached, all are live; the functions keep references of their own.
        unsafe {
            if ffi::PyExceptionClass_Check(kind.as_ptr()) == 0 {
                return Self::new(py, Exception::Type, "exc_info does not begin with an exception's type");
            }
            if ffi::PyExceptionInstance_Check(value.as_ptr()) == 0 {
                ffi::PyErr_SetObject(kind.as_ptr(), value.as_ptr());
                return Self::fetch(py);
            }
            ffi::PyException_SetTraceback(value.as_ptr(), trace.as_ptr());
        }
        Self(value)
    }

    /// Sets the exception in the thread again, for a C function that answers "raised".
    pub(super) fn restore(self) {
        let value = self.0;
        // SAFETY: attached; both functions take over a reference.
        unsafe {
            #[cfg(Py_3_12)]
            ffi::PyErr_SetRaisedException(value.into_ptr());
            #[cfg(not(Py_3_12))]
            {
                let kind = ffi::Py_TYPE(value.as_ptr()).cast::<ffi::PyObject>();
                ffi::Py_INCREF(kind);
                let trace = ffi::PyException_GetTraceback(value.as_ptr());
                ffi::PyErr_Restore(kind, value.into_ptr(), trace);
            }
        }
    }

    /// The exception object.
    pub fn value(&self) -> &Object<'py> {
        &self.0
    }

    /// Type, exception and traceback, as `sys.exc_info()` has them.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn triple(&self) -> PyResult<'py, Object<'py>> {
        let value = self.value();
        value.py().tuple([value.get("__class__")?, value.clone(), value.get("__traceback__")?])
    }

    /// Whether it is of that type or one derived from it.
    pub fn is(&self, kind: Exception) -> bool {
        // SAFETY: attached, both live.
        unsafe { ffi::PyErr_GivenExceptionMatches(self.0.as_ptr(), kind.as_ptr()) != 0 }
    }

    /// Whether it is of a type made by us, or one derived from it.
    pub fn is_a(&self, kind: &Object<'_>) -> bool {
        // SAFETY: attached, both live.
        unsafe { ffi::PyErr_GivenExceptionMatches(self.0.as_ptr(), kind.as_ptr()) != 0 }
    }

    /// Its type and text in one line, for a message of our own.
    pub fn text(&self) -> String {
        format!("{}: {}", self.0.type_name(), self.0.display())
    }
}

impl<'py> Python<'py> {
    /// The result of a C function that answers a negative number when it raised.
    pub(super) fn done(self, answer: std::ffi::c_int) -> PyResult<'py, ()> {
        if answer < 0 { Err(Raised::fetch(self)) } else { Ok(()) }
    }

    /// An exception to return.
    pub fn raise<T>(self, kind: Exception, text: &str) -> PyResult<'py, T> {
        Err(Raised::new(self, kind, text))
    }
}
