//! Modules with a state of their own in each interpreter.

use super::class::{Args, Fields, Visit, conjure};
use super::guard::c_function;
use super::{Exception, Object, PyResult, Python};
use crate::ignore;
use pyo3::ffi;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{null, null_mut};

/// The state of a module: what it keeps between calls, in this interpreter.
pub trait ModuleState: Fields + Send + Sync + Sized + 'static {
    /// The module's name.
    const NAME: &'static CStr;
}

/// What the module object reserves: a pointer to the state, null until it is made.
type Place<S> = *mut S;

/// # Safety
/// `module` was made by [`create_module`] for `S`, and lives for `'a`.
unsafe fn state<'a, S>(module: *mut ffi::PyObject) -> Option<&'a S> {
    // SAFETY: promised; the place is zeroed by Python until `create_module` sets it.
    unsafe {
        let place = ffi::PyModule_GetState(module).cast::<Place<S>>();
        if place.is_null() { None } else { (*place).as_ref() }
    }
}

c_function! {
    plain fn traverse_entry<S: ModuleState>(module: *mut ffi::PyObject, visit: ffi::visitproc, argument: *mut c_void)
        -> c_int = |_py| {
        let mut answer = 0;
        if let Some(state) = state::<S>(module) {
            state.fields(&mut Visit(&mut |stored| {
                let field = stored.peek();
                if answer == 0 && !field.is_null() {
                    answer = visit(field, argument);
                }
            }));
        }
        answer
    }
}

c_function! {
    plain fn clear_entry<S: ModuleState>(module: *mut ffi::PyObject) -> c_int = |py| {
        if let Some(state) = state::<S>(module) {
            state.fields(&mut Visit(&mut |stored| stored.clear(py)));
        }
        0
    }
}

/// The slots that say which interpreters may have the module: all, also without the global lock.
pub(super) fn slots() -> *mut ffi::PyModuleDef_Slot {
    let slots = vec![
        #[cfg(Py_3_12)]
        ffi::PyModuleDef_Slot {
            slot: ffi::Py_mod_multiple_interpreters,
            value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
        },
        #[cfg(Py_3_13)]
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_gil, value: ffi::Py_MOD_GIL_NOT_USED },
        ffi::PyModuleDef_Slot::default(),
    ];
    Box::leak(slots.into_boxed_slice()).as_mut_ptr()
}

/// Makes the module in this interpreter and lets `fill` make its state; it is not put into `sys.modules`.
///
/// # Errors
/// What `fill` raises, `MemoryError`.
pub fn create_module<'py, S: ModuleState>(
    py: Python<'py>,
    fill: impl FnOnce(&Object<'py>) -> PyResult<'py, S>,
) -> PyResult<'py, Object<'py>> {
    // Python refers to the definition as long as the module lives, so it is never freed: one for each interpreter.
    let definition = Box::leak(Box::new(ffi::PyModuleDef {
        m_base: ffi::PyModuleDef_HEAD_INIT,
        m_name: S::NAME.as_ptr(),
        m_doc: null(),
        m_size: size_of::<Place<S>>() as ffi::Py_ssize_t,
        m_methods: null_mut(),
        m_slots: slots(),
        m_traverse: Some(traverse_entry::<S>),
        m_clear: Some(clear_entry::<S>),
        m_free: None,
    }));
    let spec = py.import("types")?.get("SimpleNamespace")?.call([])?;
    spec.set("name", &py.text(&S::NAME.to_string_lossy())?)?;
    spec.set("loader", &py.none())?;
    // SAFETY: attached; the definition lives as long as the process. The state is leaked too: who still runs while the
    // interpreter ends finds cleared references there instead of freed memory.
    unsafe {
        ffi::PyModuleDef_Init(definition);
        let module = Object::owned(py, ffi::PyModule_FromDefAndSpec(definition, spec.as_ptr()))?;
        py.done(ffi::PyModule_ExecDef(module.as_ptr(), definition))?;
        let state = Box::into_raw(Box::new(fill(&module)?));
        ffi::PyModule_GetState(module.as_ptr()).cast::<Place<S>>().write(state);
        for name in ["__loader__", "__package__", "__spec__"] {
            ignore(module.set(name, &py.none()));
        }
        Ok(module)
    }
}

/// A function of a module.
pub trait Function<S: 'static>:
    for<'a, 'py> Fn(Python<'py>, &'static S, Args<'a, 'py>) -> PyResult<'py, Object<'py>> + Copy
{
}
impl<S: 'static, F> Function<S> for F where
    F: for<'a, 'py> Fn(Python<'py>, &'static S, Args<'a, 'py>) -> PyResult<'py, Object<'py>> + Copy
{
}

c_function! {
    object fn function_entry<S: ModuleState, F: Function<S>>(
        module: *mut ffi::PyObject, items: *mut *mut ffi::PyObject, count: ffi::Py_ssize_t
    ) -> *mut ffi::PyObject = |py| match state::<S>(module) {
        Some(state) => conjure::<F>()(py, state, Args::new(py, items, count)),
        None => py.raise(Exception::Runtime, "the module has no state"),
    }
}

/// Makes a function of a module that [`create_module`] made for `S`; it is not put into the module. Like those of the C
/// module it says neither which module it is of, nor what it takes.
///
/// # Errors
/// `MemoryError`.
pub fn function<'py, S: ModuleState, F: Function<S>>(
    module: &Object<'py>,
    name: &'static CStr,
    _function: F,
) -> PyResult<'py, Object<'py>> {
    // Python refers to the definition as long as the function lives, so it is never freed: one for each interpreter.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: function_entry::<S, F> },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: null(),
    }));
    // SAFETY: attached; the definition lives as long as the process, and the function keeps the module alive.
    unsafe { Object::owned(module.py(), ffi::PyCFunction_NewEx(definition, module.as_ptr(), null_mut())) }
}

/// The state of a module that [`create_module`] made for `S`.
pub fn state_of<S: ModuleState>(module: &Object<'_>) -> Option<&'static S> {
    // SAFETY: only `create_module` makes modules with this definition, and it never frees a state.
    unsafe { state::<S>(module.as_ptr()) }
}
