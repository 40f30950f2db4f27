//! Values between Rust and Python.

use super::{Exception, Object, PyResult, Python, Raised};
use pyo3::ffi;
use std::ffi::{c_char, c_void};
use std::ptr::NonNull;

fn length(bytes: &[u8]) -> (*const c_char, ffi::Py_ssize_t) {
    // A slice is never longer than isize::MAX.
    (bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t)
}

impl<'py> Python<'py> {
    /// A `str`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn text(self, text: &str) -> PyResult<'py, Object<'py>> {
        let (start, length) = length(text.as_bytes());
        // SAFETY: attached; the slice is valid UTF-8 for the duration of the call.
        unsafe { Object::owned(self, ffi::PyUnicode_FromStringAndSize(start, length)) }
    }

    /// A `str` that is one object for all who use the same text.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn interned(self, text: &str) -> PyResult<'py, Object<'py>> {
        let object = self.text(text)?;
        let mut raw = object.into_ptr();
        // SAFETY: attached; the function replaces the reference by one to the interned object.
        unsafe {
            ffi::PyUnicode_InternInPlace(&mut raw);
            Object::owned(self, raw)
        }
    }

    /// A `str` of the same characters as the bytes have numbers.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn latin1(self, bytes: &[u8]) -> PyResult<'py, Object<'py>> {
        let (start, length) = length(bytes);
        // SAFETY: attached; the slice is valid for the duration of the call.
        unsafe { Object::owned(self, ffi::PyUnicode_DecodeLatin1(start, length, std::ptr::null())) }
    }

    /// A `str` as `os.fsdecode` makes it.
    ///
    /// # Errors
    /// `UnicodeDecodeError`, `MemoryError`.
    pub fn file_name(self, bytes: &[u8]) -> PyResult<'py, Object<'py>> {
        let (start, length) = length(bytes);
        // SAFETY: attached; the slice is valid for the duration of the call.
        unsafe { Object::owned(self, ffi::PyUnicode_DecodeFSDefaultAndSize(start, length)) }
    }

    /// A `bytes`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn bytes(self, bytes: &[u8]) -> PyResult<'py, Object<'py>> {
        let (start, length) = length(bytes);
        // SAFETY: attached; the slice is valid for the duration of the call.
        unsafe { Object::owned(self, ffi::PyBytes_FromStringAndSize(start, length)) }
    }

    /// An `int`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn int(self, value: i64) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached.
        unsafe { Object::owned(self, ffi::PyLong_FromLongLong(value)) }
    }

    /// A `float`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn float(self, value: f64) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached.
        unsafe { Object::owned(self, ffi::PyFloat_FromDouble(value)) }
    }

    /// A `tuple`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn tuple<const N: usize>(self, items: [Object<'py>; N]) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached; a new tuple is filled before anybody sees it, each place taking over one reference.
        unsafe {
            let tuple = Object::owned(self, ffi::PyTuple_New(N as ffi::Py_ssize_t))?;
            for (at, item) in items.into_iter().enumerate() {
                ffi::PyTuple_SetItem(tuple.as_ptr(), at as ffi::Py_ssize_t, item.into_ptr());
            }
            Ok(tuple)
        }
    }

    /// A `list`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn list(self, items: Vec<Object<'py>>) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached; appending adds a reference of its own.
        unsafe {
            let list = Object::owned(self, ffi::PyList_New(0))?;
            for item in &items {
                self.done(ffi::PyList_Append(list.as_ptr(), item.as_ptr()))?;
            }
            Ok(list)
        }
    }

    /// An empty `dict`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn dict(self) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached.
        unsafe { Object::owned(self, ffi::PyDict_New()) }
    }

    /// A capsule without a name, for a pointer that nothing here looks behind.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn capsule(self, pointer: NonNull<c_void>) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached; neither the name nor the destructor has to be there.
        unsafe { Object::owned(self, ffi::PyCapsule_New(pointer.as_ptr(), std::ptr::null(), None)) }
    }

    /// Compiles a source file.
    ///
    /// # Errors
    /// `SyntaxError` and what else the compiler raises.
    pub fn compile(self, source: &[u8], file_name: &Object<'py>) -> PyResult<'py, Object<'py>> {
        let compile = self.import("builtins")?.get("compile")?;
        compile.call([&self.bytes(source)?, file_name, &self.text("exec")?, &self.int(0)?, &self.bool(true)])
    }

    /// Runs a code object as the body of the module `name`, registered in `sys.modules`.
    ///
    /// # Errors
    /// What the code raises; the module is unregistered then.
    pub fn run_module(self, name: &Object<'py>, code: &Object<'py>, path: &Object<'py>) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached, all are live; null says that there is no cached file.
        unsafe {
            let (name, code, path) = (name.as_ptr(), code.as_ptr(), path.as_ptr());
            Object::owned(self, ffi::PyImport_ExecCodeModuleObject(name, code, path, std::ptr::null_mut()))
        }
    }

    /// Runs a code object in a dictionary.
    ///
    /// # Errors
    /// What the code raises.
    pub fn run_code(self, code: &Object<'py>, globals: &Object<'py>) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached, both are live.
        unsafe { Object::owned(self, ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), globals.as_ptr())) }
    }
}

impl<'py> Object<'py> {
    /// Whether it is a `list` and of no derived type.
    pub fn is_plain_list(&self) -> bool {
        // SAFETY: attached and live.
        unsafe { ffi::PyList_CheckExact(self.as_ptr()) != 0 }
    }

    /// Whether it is a `tuple` and of no derived type.
    pub fn is_plain_tuple(&self) -> bool {
        // SAFETY: attached and live.
        unsafe { ffi::PyTuple_CheckExact(self.as_ptr()) != 0 }
    }

    /// Whether it is a `list` or of a derived type.
    pub fn is_list(&self) -> bool {
        // SAFETY: attached and live.
        unsafe { ffi::PyList_Check(self.as_ptr()) != 0 }
    }

    /// Whether it is a `tuple` or of a derived type.
    pub fn is_tuple(&self) -> bool {
        // SAFETY: attached and live.
        unsafe { ffi::PyTuple_Check(self.as_ptr()) != 0 }
    }

    /// Whether it is a `dict` or of a derived type.
    pub fn is_dict(&self) -> bool {
        // SAFETY: attached and live.
        unsafe { ffi::PyDict_Check(self.as_ptr()) != 0 }
    }

    /// Whether it is a `str`.
    pub fn is_text(&self) -> bool {
        // SAFETY: attached and live.
        unsafe { ffi::PyUnicode_Check(self.as_ptr()) != 0 }
    }

    /// Whether it is `True`, the object.
    pub fn is_true_object(&self) -> bool {
        // SAFETY: only addresses are compared.
        self.as_ptr() == unsafe { ffi::Py_True() }
    }

    /// Whether it is `False`, the object.
    pub fn is_false_object(&self) -> bool {
        // SAFETY: only addresses are compared.
        self.as_ptr() == unsafe { ffi::Py_False() }
    }

    /// Whether it counts as true; an exception counts as false.
    pub fn is_true(&self) -> bool {
        // SAFETY: attached and live.
        unsafe {
            let answer = ffi::PyObject_IsTrue(self.as_ptr());
            if answer < 0 {
                ffi::PyErr_Clear();
            }
            answer > 0
        }
    }

    /// The content of a `bytes`, which never changes; `None` for everything else.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        // SAFETY: attached and live; a bytes object keeps its content as long as it lives, which `self` ensures.
        unsafe {
            if ffi::PyBytes_Check(self.as_ptr()) == 0 {
                return None;
            }
            let start = ffi::PyBytes_AsString(self.as_ptr()).cast::<u8>();
            Some(std::slice::from_raw_parts(start, ffi::PyBytes_Size(self.as_ptr()) as usize))
        }
    }

    /// The content of any object with a buffer, copied; `None` where it has none.
    pub fn copy_buffer(&self) -> Option<Vec<u8>> {
        if let Some(bytes) = self.as_bytes() {
            return Some(bytes.to_vec());
        }
        // SAFETY: attached and live; the view is released before it goes, and read only while it is held.
        unsafe {
            let mut view: ffi::Py_buffer = std::mem::zeroed();
            if ffi::PyObject_GetBuffer(self.as_ptr(), &mut view, ffi::PyBUF_SIMPLE) < 0 {
                ffi::PyErr_Clear();
                return None;
            }
            let content = match view.len {
                0 => Vec::new(),
                length => std::slice::from_raw_parts(view.buf.cast::<u8>(), length as usize).to_vec(),
            };
            ffi::PyBuffer_Release(&mut view);
            Some(content)
        }
    }

    /// Appends a `str` as Latin-1.
    ///
    /// # Errors
    /// `UnicodeEncodeError` where it holds other characters, `TypeError` where it is no `str`.
    pub fn put_latin1(&self, out: &mut Vec<u8>) -> PyResult<'py, ()> {
        // SAFETY: attached and live. A `str` hands out its UTF-8 form, which is its own content where it is ASCII, and so
        // of the same length; it lives as long as the `str`.
        unsafe {
            let mut length = 0;
            let start = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &mut length);
            if start.is_null() {
                ffi::PyErr_Clear();
            } else if length == ffi::PyUnicode_GetLength(self.as_ptr()) {
                out.extend_from_slice(std::slice::from_raw_parts(start.cast(), length as usize));
                return Ok(());
            }
            let encoded = Object::owned(self.py(), ffi::PyUnicode_AsLatin1String(self.as_ptr()))?;
            out.extend_from_slice(encoded.as_bytes().unwrap_or_default());
        }
        Ok(())
    }

    /// The text of a `str`; what UTF-8 cannot carry is written with backslashes.
    ///
    /// # Errors
    /// `TypeError` where it is no `str`.
    pub fn to_text(&self) -> PyResult<'py, String> {
        // SAFETY: attached and live; both names are NUL-terminated.
        let encoded = unsafe {
            let (encoding, errors) = (c"utf-8".as_ptr(), c"backslashreplace".as_ptr());
            Object::owned(self.py(), ffi::PyUnicode_AsEncodedString(self.as_ptr(), encoding, errors))?
        };
        Ok(String::from_utf8_lossy(encoded.as_bytes().unwrap_or_default()).into_owned())
    }

    /// A `str` as UTF-8.
    ///
    /// # Errors
    /// `UnicodeEncodeError` where it holds half a character, `TypeError` where it is no `str`.
    pub fn to_utf8(&self) -> PyResult<'py, Vec<u8>> {
        // SAFETY: attached and live.
        let encoded = unsafe { Object::owned(self.py(), ffi::PyUnicode_AsUTF8String(self.as_ptr()))? };
        Ok(encoded.as_bytes().unwrap_or_default().to_vec())
    }

    /// What `str()` makes of it, for messages.
    pub fn display(&self) -> String {
        // SAFETY: attached and live.
        let text = unsafe { Object::owned(self.py(), ffi::PyObject_Str(self.as_ptr())) };
        text.and_then(|text| text.to_text()).unwrap_or_else(|_| "<no text>".to_owned())
    }

    /// What `repr()` makes of it, for messages.
    pub fn repr(&self) -> String {
        // SAFETY: attached and live.
        let text = unsafe { Object::owned(self.py(), ffi::PyObject_Repr(self.as_ptr())) };
        text.and_then(|text| text.to_text()).unwrap_or_else(|_| "<no text>".to_owned())
    }

    /// The number of an `int`.
    ///
    /// # Errors
    /// `TypeError` where it is no number, `OverflowError` beyond 64 bits.
    pub fn to_int(&self) -> PyResult<'py, i64> {
        // SAFETY: attached and live.
        unsafe {
            let index = Object::owned(self.py(), ffi::PyNumber_Index(self.as_ptr()))?;
            let value = ffi::PyLong_AsLongLong(index.as_ptr());
            if value == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised::fetch(self.py())) } else { Ok(value) }
        }
    }

    /// A shallow copy of a `dict`.
    ///
    /// # Errors
    /// `MemoryError`, `SystemError` where it is no dictionary.
    pub fn copy_dict(&self) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached and live.
        unsafe { Object::owned(self.py(), ffi::PyDict_Copy(self.as_ptr())) }
    }

    /// What must be `bytes`.
    ///
    /// # Errors
    /// `TypeError` that says what it is instead.
    pub fn expect_bytes(&self, what: &str) -> PyResult<'py, &[u8]> {
        match self.as_bytes() {
            Some(bytes) => Ok(bytes),
            None => {
                let text = format!("{what}, not {}", self.type_name());
                self.py().raise(Exception::Type, &text)
            }
        }
    }
}
