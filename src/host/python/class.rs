//! Python types made of Rust values: heap types of one module, each instance holding one value.

use super::guard::c_function;
use super::{Borrowed, Object, PyResult, Python, Raised, Stored};
use pyo3::ffi;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};

/// The stored references of a value, told one by one.
pub trait Fields {
    /// Tells each stored reference.
    fn fields(&self, _visit: &mut Visit<'_>) {}
}

/// Whoever wants to know the stored references: the garbage collector, or the end of their owner.
pub struct Visit<'a>(pub(super) &'a mut dyn FnMut(&Stored));

impl<'a> Visit<'a> {
    /// Tells each to `visitor`.
    pub fn new(visitor: &'a mut dyn FnMut(&Stored)) -> Self {
        Self(visitor)
    }
}

impl Visit<'_> {
    /// Tells one.
    pub fn field(&mut self, stored: &Stored) {
        (self.0)(stored);
    }
}

/// A Rust value that can be an instance of a Python type. Instances may be used from any thread.
pub trait Class: Fields + Sized + Send + Sync + 'static {
    /// The type's name, with its module.
    const NAME: &'static CStr;
    /// Whether [`Fields`] tells any: such instances take part in garbage collection.
    const HAS_FIELDS: bool = false;
    /// Whether Python code may derive from it.
    const IS_BASE: bool = false;
    /// Adds methods and slots.
    fn define(definition: Definition<Self>) -> Definition<Self>;
}

/// An instance as Python allocates it.
#[repr(C)]
struct Instance<C> {
    head: ffi::PyObject,
    value: C,
}

/// # Safety
/// `this` is an instance of the type made from `C`, alive for `'a`.
unsafe fn value<'a, C>(this: *mut ffi::PyObject) -> &'a C {
    // SAFETY: promised by the caller; the value was written before anybody could see the instance.
    unsafe { &(*this.cast::<Instance<C>>()).value }
}

/// The positional arguments of a call.
#[derive(Clone, Copy)]
pub struct Args<'a, 'py> {
    items: &'a [*mut ffi::PyObject],
    py: Python<'py>,
}

impl<'a, 'py> Args<'a, 'py> {
    /// # Safety
    /// The vector call protocol: there are `count` live arguments at `items`, which may be null where there are none.
    pub(super) unsafe fn new(py: Python<'py>, items: *mut *mut ffi::PyObject, count: ffi::Py_ssize_t) -> Self {
        // SAFETY: promised by the caller.
        let items = if count == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(items, count as usize) } };
        Self { items, py }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// One of them.
    pub fn get(&self, at: usize) -> Option<Borrowed<'a, 'py>> {
        let raw = NonNull::new(*self.items.get(at)?)?;
        // SAFETY: the caller of the function keeps its arguments alive during the call.
        Some(unsafe { Borrowed::new(self.py, raw) })
    }
}

/// The value of a function item, which has no size and so no content.
pub(super) fn conjure<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0) };
    // SAFETY: F has no size, is Copy, and a value of it was handed to `Definition`, so the type has one.
    unsafe { std::mem::zeroed() }
}

/// A method.
pub trait Method<C>: for<'a, 'py> Fn(Python<'py>, &'a C, Args<'a, 'py>) -> PyResult<'py, Object<'py>> + Copy {}
impl<C, F> Method<C> for F where
    F: for<'a, 'py> Fn(Python<'py>, &'a C, Args<'a, 'py>) -> PyResult<'py, Object<'py>> + Copy
{
}
/// A read-only attribute.
pub trait Getter<C>: for<'a, 'py> Fn(Python<'py>, &'a C) -> PyResult<'py, Object<'py>> + Copy {}
impl<C, F> Getter<C> for F where F: for<'a, 'py> Fn(Python<'py>, &'a C) -> PyResult<'py, Object<'py>> + Copy {}
/// `__next__`.
pub trait Next<C>: for<'a, 'py> Fn(Python<'py>, &'a C) -> PyResult<'py, Option<Object<'py>>> + Copy {}
impl<C, F> Next<C> for F where F: for<'a, 'py> Fn(Python<'py>, &'a C) -> PyResult<'py, Option<Object<'py>>> + Copy {}
/// `__new__`: from the positional arguments and, where there are any, a dictionary of named ones.
pub trait New<C>:
    for<'a, 'py> Fn(Python<'py>, &'a Object<'py>, Option<&'a Object<'py>>) -> PyResult<'py, C> + Copy
{
}
impl<C, F> New<C> for F where
    F: for<'a, 'py> Fn(Python<'py>, &'a Object<'py>, Option<&'a Object<'py>>) -> PyResult<'py, C> + Copy
{
}

c_function! {
    object fn method_entry<C: Class, F: Method<C>>(
        this: *mut ffi::PyObject, items: *mut *mut ffi::PyObject, count: ffi::Py_ssize_t
    ) -> *mut ffi::PyObject = |py| {
        conjure::<F>()(py, value::<C>(this), Args::new(py, items, count))
    }
}

c_function! {
    object fn getter_entry<C: Class, F: Getter<C>>(this: *mut ffi::PyObject, _closure: *mut c_void)
        -> *mut ffi::PyObject = |py| conjure::<F>()(py, value::<C>(this))
}

c_function! {
    optional fn next_entry<C: Class, F: Next<C>>(this: *mut ffi::PyObject) -> *mut ffi::PyObject
        = |py| conjure::<F>()(py, value::<C>(this))
}

c_function! {
    object fn new_entry<C: Class, F: New<C>>(
        of_type: *mut ffi::PyTypeObject, arguments: *mut ffi::PyObject, named: *mut ffi::PyObject
    ) -> *mut ffi::PyObject = |py| {
        let arguments = Object::borrowed(py, arguments);
        let named = NonNull::new(named).map(|named| Object::borrowed(py, named.as_ptr()));
        let value = conjure::<F>()(py, &arguments, named.as_ref())?;
        allocate(py, of_type, value)
    }
}

c_function! {
    plain fn dealloc_entry<C: Class>(this: *mut ffi::PyObject) -> () = |py| {
        let of_type = ffi::Py_TYPE(this);
        if C::HAS_FIELDS {
            ffi::PyObject_GC_UnTrack(this.cast());
            value::<C>(this).fields(&mut Visit(&mut |stored| stored.clear(py)));
        }
        std::ptr::drop_in_place(&raw mut (*this.cast::<Instance<C>>()).value);
        if let Some(free) = (*of_type).tp_free {
            free(this.cast());
        }
        ffi::Py_DECREF(of_type.cast());
    }
}

c_function! {
    plain fn clear_entry<C: Class>(this: *mut ffi::PyObject) -> c_int = |py| {
        value::<C>(this).fields(&mut Visit(&mut |stored| stored.clear(py)));
        0
    }
}

c_function! {
    plain fn traverse_entry<C: Class>(this: *mut ffi::PyObject, visit: ffi::visitproc, argument: *mut c_void)
        -> c_int = |_py| {
        let mut answer = visit(ffi::Py_TYPE(this).cast(), argument);
        value::<C>(this).fields(&mut Visit(&mut |stored| {
            let field = stored.peek();
            if answer == 0 && !field.is_null() {
                answer = visit(field, argument);
            }
        }));
        answer
    }
}

/// A type in the making.
pub struct Definition<C> {
    slots: Vec<ffi::PyType_Slot>,
    methods: Vec<ffi::PyMethodDef>,
    getters: Vec<ffi::PyGetSetDef>,
    instantiable: bool,
    class: PhantomData<C>,
}

impl<C: Class> Definition<C> {
    /// Makes the type, as a type of `module`.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn make<'py>(module: &Object<'py>) -> PyResult<'py, Object<'py>> {
        let empty = Self { slots: vec![], methods: vec![], getters: vec![], instantiable: false, class: PhantomData };
        C::define(empty).build(module)
    }

    fn slot(mut self, slot: c_int, function: *mut c_void) -> Self {
        self.slots.push(ffi::PyType_Slot { slot, pfunc: function });
        self
    }

    /// Adds a method.
    pub fn method<F: Method<C>>(mut self, name: &'static CStr, _method: F) -> Self {
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: method_entry::<C, F> },
            ml_flags: ffi::METH_FASTCALL,
            ml_doc: null(),
        });
        self
    }

    /// Adds a read-only attribute.
    pub fn getter<F: Getter<C>>(mut self, name: &'static CStr, _getter: F) -> Self {
        self.getters.push(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(getter_entry::<C, F>),
            set: None,
            doc: null(),
            closure: null_mut(),
        });
        self
    }

    /// Makes instances iterators over themselves.
    pub fn iterator<F: Next<C>>(self, _next: F) -> Self {
        let itself: unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject = ffi::PyObject_SelfIter;
        self.slot(ffi::Py_tp_iter, itself as *mut c_void).slot(ffi::Py_tp_iternext, next_entry::<C, F> as *mut c_void)
    }

    /// Lets Python code make instances.
    pub fn constructor<F: New<C>>(mut self, _new: F) -> Self {
        self.instantiable = true;
        self.slot(ffi::Py_tp_new, new_entry::<C, F> as *mut c_void)
    }

    fn build<'py>(mut self, module: &Object<'py>) -> PyResult<'py, Object<'py>> {
        let mut flags = ffi::Py_TPFLAGS_DEFAULT;
        if C::IS_BASE {
            flags |= ffi::Py_TPFLAGS_BASETYPE;
        }
        if !self.instantiable {
            flags |= ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        }
        self = self.slot(ffi::Py_tp_dealloc, dealloc_entry::<C> as *mut c_void);
        if C::HAS_FIELDS {
            flags |= ffi::Py_TPFLAGS_HAVE_GC;
            self = self
                .slot(ffi::Py_tp_traverse, traverse_entry::<C> as *mut c_void)
                .slot(ffi::Py_tp_clear, clear_entry::<C> as *mut c_void);
        }
        // Python refers to these two tables as long as the type lives, so they are never freed: one for each class and
        // interpreter.
        if !self.methods.is_empty() {
            self.methods.push(ffi::PyMethodDef::zeroed());
            let table = Box::leak(std::mem::take(&mut self.methods).into_boxed_slice()).as_mut_ptr();
            self = self.slot(ffi::Py_tp_methods, table.cast());
        }
        if !self.getters.is_empty() {
            self.getters.push(ffi::PyGetSetDef::default());
            let table = Box::leak(std::mem::take(&mut self.getters).into_boxed_slice()).as_mut_ptr();
            self = self.slot(ffi::Py_tp_getset, table.cast());
        }
        self = self.slot(0, null_mut());
        let mut spec = ffi::PyType_Spec {
            name: C::NAME.as_ptr(),
            basicsize: size_of::<Instance<C>>() as c_int,
            itemsize: 0,
            flags: flags as c_uint,
            slots: self.slots.as_mut_ptr(),
        };
        // SAFETY: attached; name and tables are static, slots are copied; each function fits its slot.
        unsafe {
            let made = ffi::PyType_FromModuleAndSpec(module.as_ptr(), &mut spec, null_mut());
            Object::owned(module.py(), made)
        }
    }
}

/// # Safety
/// `of_type` is the type made from `C`, or derived from it.
unsafe fn allocate<'py, C: Class>(
    py: Python<'py>,
    of_type: *mut ffi::PyTypeObject,
    value: C,
) -> PyResult<'py, Object<'py>> {
    // SAFETY: attached; a fresh instance has room for an Instance<C>, and a zeroed one holds no reference to tell the
    // garbage collector about, which runs only in calls of ours: there is none between allocation and write.
    unsafe {
        let this = match (*of_type).tp_alloc {
            Some(allocate) => allocate(of_type, 0),
            None => null_mut(),
        };
        if this.is_null() {
            return Err(Raised::fetch(py));
        }
        (&raw mut (*this.cast::<Instance<C>>()).value).write(value);
        Object::owned(py, this)
    }
}

/// The value of an instance; `None` where it is of another type. `of_type` is what [`Definition::make`] answered for the
/// same class in this interpreter.
pub fn value_of<'a, C: Class>(of_type: &Object<'_>, object: &'a Object<'_>) -> Option<&'a C> {
    // SAFETY: the caller keeps the type beside the class in one place, and an instance of just that type holds the class.
    unsafe { (ffi::Py_TYPE(object.as_ptr()).cast() == of_type.as_ptr()).then(|| value::<C>(object.as_ptr())) }
}

/// As [`value_of`], also of an instance of a derived type.
pub fn base_value_of<'a, C: Class>(of_type: &Object<'_>, object: &'a Object<'_>) -> Option<&'a C> {
    // SAFETY: as in `value_of`; the constructor of the class makes the instances of derived types too, which begin as its
    // own do.
    unsafe {
        let is_instance = ffi::PyObject_TypeCheck(object.as_ptr(), of_type.as_ptr().cast()) != 0;
        is_instance.then(|| value::<C>(object.as_ptr()))
    }
}

/// Makes an instance. `of_type` is what [`Definition::make`] answered for the same class in this interpreter.
///
/// # Errors
/// `MemoryError`.
pub fn new_instance<'py, C: Class>(of_type: &Object<'py>, value: C) -> PyResult<'py, Object<'py>> {
    // SAFETY: the caller keeps the type beside the class in one place, the module's state.
    unsafe { allocate(of_type.py(), of_type.as_ptr().cast(), value) }
}
