//! References to Python objects: owned in a scope, borrowed in a scope, or stored between scopes.

use super::{PyResult, Python, Raised};
use pyo3::ffi;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

/// An owned reference, valid while its scope is attached.
pub struct Object<'py> {
    raw: NonNull<ffi::PyObject>,
    py: Python<'py>,
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference, and `py` proves that the thread is attached.
        unsafe { ffi::Py_DECREF(self.raw.as_ptr()) }
    }
}

impl Clone for Object<'_> {
    fn clone(&self) -> Self {
        // SAFETY: this handle keeps the object alive.
        unsafe { Self::borrowed(self.py, self.raw.as_ptr()) }
    }
}

/// A reference that somebody else keeps alive for `'a`.
pub struct Borrowed<'a, 'py>(ManuallyDrop<Object<'py>>, PhantomData<&'a ()>);

impl<'py> Deref for Borrowed<'_, 'py> {
    type Target = Object<'py>;
    fn deref(&self) -> &Object<'py> {
        &self.0
    }
}

impl<'py> Borrowed<'_, 'py> {
    /// # Safety
    /// `raw` points to an object that lives at least for `'a`.
    pub(super) unsafe fn new(py: Python<'py>, raw: NonNull<ffi::PyObject>) -> Self {
        Self(ManuallyDrop::new(Object { raw, py }), PhantomData)
    }
}

impl<'py> Object<'py> {
    /// Takes the reference a C function returned; null means that it raised.
    ///
    /// # Safety
    /// `raw` is null with an exception set, or a new reference.
    pub(super) unsafe fn owned(py: Python<'py>, raw: *mut ffi::PyObject) -> PyResult<'py, Self> {
        match NonNull::new(raw) {
            Some(raw) => Ok(Self { raw, py }),
            None => Err(Raised::fetch(py)),
        }
    }

    /// Makes a reference of its own out of a borrowed one.
    ///
    /// # Safety
    /// `raw` points to a live object.
    pub(super) unsafe fn borrowed(py: Python<'py>, raw: *mut ffi::PyObject) -> Self {
        // SAFETY: the caller promises a live object, which is never null.
        unsafe {
            ffi::Py_INCREF(raw);
            Self { raw: NonNull::new_unchecked(raw), py }
        }
    }

    /// The bare pointer, valid as long as this handle.
    pub(super) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.raw.as_ptr()
    }

    /// Gives the reference away.
    pub(super) fn into_ptr(self) -> *mut ffi::PyObject {
        ManuallyDrop::new(self).raw.as_ptr()
    }

    /// The proof this handle was made under.
    pub fn py(&self) -> Python<'py> {
        self.py
    }

    /// Whether both are one object.
    pub fn is(&self, other: &Object<'_>) -> bool {
        self.raw == other.raw
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        // SAFETY: only addresses are compared.
        self.as_ptr() == unsafe { ffi::Py_None() }
    }

    /// An attribute.
    ///
    /// # Errors
    /// What the lookup raises.
    pub fn attribute(&self, name: &Object<'py>) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached, both are live.
        unsafe { Object::owned(self.py, ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    /// An attribute by a name that is not kept; for what happens seldom.
    ///
    /// # Errors
    /// What the lookup raises.
    pub fn get(&self, name: &str) -> PyResult<'py, Object<'py>> {
        self.attribute(&self.py.text(name)?)
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// What setting it raises.
    pub fn set(&self, name: &str, value: &Object<'py>) -> PyResult<'py, ()> {
        let name = self.py.text(name)?;
        // SAFETY: attached, all are live.
        self.py.done(unsafe { ffi::PyObject_SetAttr(self.as_ptr(), name.as_ptr(), value.as_ptr()) })
    }

    /// Calls with positional arguments.
    ///
    /// # Errors
    /// What the call raises.
    pub fn call<const N: usize>(&self, arguments: [&Object<'py>; N]) -> PyResult<'py, Object<'py>> {
        let arguments = arguments.map(Object::as_ptr);
        // SAFETY: attached; the array holds N live objects.
        unsafe {
            let called = ffi::PyObject_Vectorcall(self.as_ptr(), arguments.as_ptr(), N, null_mut());
            Object::owned(self.py, called)
        }
    }

    /// Calls a method with positional arguments.
    ///
    /// # Errors
    /// What the lookup or the call raises.
    pub fn call_method<const N: usize>(&self, name: &str, arguments: [&Object<'py>; N]) -> PyResult<'py, Object<'py>> {
        self.get(name)?.call(arguments)
    }

    /// Calls with one positional argument, and a dictionary of named ones.
    ///
    /// # Errors
    /// What the call raises.
    pub fn call_named(&self, argument: &Object<'py>, named: &Object<'py>) -> PyResult<'py, Object<'py>> {
        let arguments = [argument.as_ptr()];
        // SAFETY: attached; one live argument, and a dictionary, whose entries are copied for the call.
        unsafe {
            let called = ffi::PyObject_VectorcallDict(self.as_ptr(), arguments.as_ptr(), 1, named.as_ptr());
            Object::owned(self.py, called)
        }
    }

    /// An iterator over it.
    ///
    /// # Errors
    /// `TypeError` where it is not iterable.
    pub fn iterator(&self) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached and live.
        unsafe { Object::owned(self.py, ffi::PyObject_GetIter(self.as_ptr())) }
    }

    /// The next item of an iterator, `None` at its end.
    ///
    /// # Errors
    /// What the iterator raises.
    pub fn next(&self) -> PyResult<'py, Option<Object<'py>>> {
        // SAFETY: attached and live; only called on what `iterator` answered, which Python has checked to be one.
        let item = unsafe { ffi::PyIter_Next(self.as_ptr()) };
        match NonNull::new(item) {
            Some(raw) => Ok(Some(Self { raw, py: self.py })),
            // SAFETY: attached.
            None if unsafe { ffi::PyErr_Occurred() }.is_null() => Ok(None),
            None => Err(Raised::fetch(self.py)),
        }
    }

    /// The length of a list or tuple.
    ///
    /// # Errors
    /// `TypeError` where it has none.
    pub fn length(&self) -> PyResult<'py, usize> {
        // SAFETY: attached and live.
        let length = unsafe { ffi::PySequence_Size(self.as_ptr()) };
        usize::try_from(length).map_err(|_| Raised::fetch(self.py))
    }

    /// The item at a place of a list or tuple, `None` behind its end.
    ///
    /// # Errors
    /// What the lookup raises.
    pub fn item(&self, at: usize) -> PyResult<'py, Option<Object<'py>>> {
        // SAFETY: attached and live.
        unsafe {
            let length = ffi::PySequence_Size(self.as_ptr());
            if length < 0 {
                return Err(Raised::fetch(self.py));
            }
            if at >= length as usize {
                return Ok(None);
            }
            Object::owned(self.py, ffi::PySequence_GetItem(self.as_ptr(), at as ffi::Py_ssize_t)).map(Some)
        }
    }

    /// The entry of a dictionary, `None` where there is none.
    pub fn entry(&self, key: &Object<'py>) -> Option<Object<'py>> {
        // SAFETY: attached and live; `PyObject_GetItem` answers a new reference, or null with `KeyError` set.
        unsafe {
            let found = ffi::PyObject_GetItem(self.as_ptr(), key.as_ptr());
            if found.is_null() {
                ffi::PyErr_Clear();
            }
            NonNull::new(found).map(|raw| Self { raw, py: self.py })
        }
    }

    /// Sets an entry of a dictionary.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn set_entry(&self, key: &Object<'py>, value: &Object<'py>) -> PyResult<'py, ()> {
        // SAFETY: attached, all are live; a dictionary, or `SystemError` is raised.
        self.py.done(unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// Sets the entries of a dictionary that another mapping has.
    ///
    /// # Errors
    /// What reading the other raises.
    pub fn update(&self, other: &Object<'py>) -> PyResult<'py, ()> {
        // SAFETY: attached, both are live; a dictionary, or `SystemError` is raised.
        self.py.done(unsafe { ffi::PyDict_Update(self.as_ptr(), other.as_ptr()) })
    }

    /// The items of a list as they are now, in a list of its own.
    ///
    /// # Errors
    /// `MemoryError`, `SystemError` where it is no list.
    pub fn copy_list(&self) -> PyResult<'py, Object<'py>> {
        // SAFETY: attached and live.
        unsafe { Object::owned(self.py, ffi::PyList_GetSlice(self.as_ptr(), 0, ffi::Py_ssize_t::MAX)) }
    }

    /// Appends to a list.
    ///
    /// # Errors
    /// `MemoryError`, `SystemError` where it is no list.
    pub fn append(&self, item: &Object<'py>) -> PyResult<'py, ()> {
        // SAFETY: attached, both are live.
        self.py.done(unsafe { ffi::PyList_Append(self.as_ptr(), item.as_ptr()) })
    }

    /// Removes an entry of a dictionary; not being there is fine.
    pub fn remove_entry(&self, key: &Object<'py>) {
        // SAFETY: attached and live; the exception says only that there was no entry.
        unsafe {
            if ffi::PyDict_DelItem(self.as_ptr(), key.as_ptr()) < 0 {
                ffi::PyErr_Clear();
            }
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> String {
        // SAFETY: every object has a type, alive as long as the object.
        let of_type = unsafe { Object::borrowed(self.py, ffi::Py_TYPE(self.as_ptr()).cast()) };
        of_type.get("__name__").ok().and_then(|name| name.to_text().ok()).unwrap_or_else(|| "object".to_owned())
    }
}

/// An owned reference between two scopes, inside a module's state or an instance. It is given back by [`Stored::clear`],
/// never by a drop, because a drop may happen where Python is not attached.
pub struct Stored(AtomicPtr<ffi::PyObject>);

impl Stored {
    /// A place that holds nothing yet.
    pub fn empty() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// Keeps another object; the one before is given back.
    pub fn put(&self, object: Object<'_>) {
        // SAFETY: the object proves that the thread is attached; after the swap nobody else has the old reference.
        unsafe { ffi::Py_XDECREF(self.0.swap(object.into_ptr(), Ordering::AcqRel)) }
    }

    /// Keeps an object.
    pub fn new(object: Object<'_>) -> Self {
        Self(AtomicPtr::new(object.into_ptr()))
    }

    /// The object; `None` after it was cleared, which happens when its interpreter ends.
    ///
    /// The caller is attached to the interpreter that the object belongs to: states and instances belong to one.
    pub fn get<'a, 'py>(&'a self, py: Python<'py>) -> Borrowed<'a, 'py> {
        // SAFETY: attached; the pointer is null or the reference this owns. `None` lives as long as the process.
        unsafe {
            let raw = NonNull::new(self.0.load(Ordering::Acquire)).unwrap_or(NonNull::new_unchecked(ffi::Py_None()));
            Borrowed::new(py, raw)
        }
    }

    /// Whether this and `others` more are all the references there are; never certain without the global lock.
    pub fn is_alone(&self, _py: Python<'_>, others: isize) -> bool {
        // SAFETY: attached; not null is checked, so this is the reference this owns.
        let count = || unsafe { ffi::Py_REFCNT(self.peek()) } as isize;
        cfg!(not(Py_GIL_DISABLED)) && !self.peek().is_null() && count() == 1 + others
    }

    /// Gives the reference back.
    pub fn clear(&self, _py: Python<'_>) {
        // SAFETY: the token proves that the thread is attached; after the swap nobody else has this reference.
        unsafe { ffi::Py_XDECREF(self.0.swap(null_mut(), Ordering::AcqRel)) }
    }

    /// The pointer, for the garbage collector.
    pub(super) fn peek(&self) -> *mut ffi::PyObject {
        self.0.load(Ordering::Acquire)
    }
}
