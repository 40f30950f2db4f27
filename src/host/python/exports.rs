//! The two symbols this library exports.

use super::guard::c_function;
use super::{Interpreter, module};
use pyo3::ffi;
use std::ptr::null;
use std::sync::OnceLock;

#[cfg(unix)]
c_function! {
    /// `mod_wsgi_host.serve()`: makes the process a daemon process, answers its exit status.
    object fn serve(_module: *mut ffi::PyObject, _arguments: *mut ffi::PyObject) -> *mut ffi::PyObject = |py| {
        let main = Interpreter::main(py);
        let status = py.detach(|| crate::daemon::serve(main));
        py.int(status.into())
    }
}

/// The address of the module definition.
struct Address(*mut ffi::PyModuleDef);
// SAFETY: CPython alone changes what it points to, under its own rules.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// The extension module `mod_wsgi_host`, called by CPython's import.
#[unsafe(no_mangle)]
pub extern "C" fn PyInit_mod_wsgi_host() -> *mut ffi::PyObject {
    static DEFINITION: OnceLock<Address> = OnceLock::new();
    let definition = DEFINITION.get_or_init(|| {
        // Without daemon processes there is nothing to call.
        let methods = vec![
            #[cfg(unix)]
            ffi::PyMethodDef {
                ml_name: c"serve".as_ptr(),
                ml_meth: ffi::PyMethodDefPointer { PyCFunction: serve },
                ml_flags: ffi::METH_NOARGS,
                ml_doc: null(),
            },
            ffi::PyMethodDef::zeroed(),
        ];
        Address(Box::into_raw(Box::new(ffi::PyModuleDef {
            m_base: ffi::PyModuleDef_HEAD_INIT,
            m_name: c"mod_wsgi_host".as_ptr(),
            m_doc: null(),
            m_size: 0,
            m_methods: Box::leak(methods.into_boxed_slice()).as_mut_ptr(),
            m_slots: module::slots(),
            m_traverse: None,
            m_clear: None,
            m_free: None,
        })))
    });
    // SAFETY: CPython calls this attached; the definition lives as long as the process.
    unsafe { ffi::PyModuleDef_Init(definition.0) }
}

/// What embedded mode asks for, see [`mod_wsgi_core::embedded::Entry`].
#[unsafe(no_mangle)]
pub extern "C" fn mod_wsgi_host_embedded() -> *const mod_wsgi_core::embedded::Host {
    crate::sys::apache::host()
}
