//! The module record, and where this module's configuration is kept in httpd's.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::ptr::NonNull;

use super::command::COMMANDS;
use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::{ffi, hooks};
use crate::config::{DirConfig, ServerConfig};

/// The module record as httpd wants it: it fills in index, name and handle when it loads the module.
#[repr(transparent)]
pub struct ModuleRecord(UnsafeCell<ffi::module>);

// SAFETY: httpd writes to the record only while it loads modules, in one thread; afterwards everybody reads.
unsafe impl Sync for ModuleRecord {}

/// The symbol `LoadModule wsgi_module` asks for.
#[unsafe(no_mangle)]
pub static wsgi_module: ModuleRecord = ModuleRecord(UnsafeCell::new(ffi::module {
    version: ffi::MODULE_MAGIC_NUMBER_MAJOR as i32,
    minor_version: ffi::MODULE_MAGIC_NUMBER_MINOR as i32,
    module_index: -1,
    // Configurations ask for it: <IfModule mod_wsgi.c>.
    name: c"mod_wsgi.c".as_ptr(),
    dynamic_load_handle: std::ptr::null_mut(),
    next: std::ptr::null_mut(),
    magic: ffi::MODULE_MAGIC_COOKIE as std::ffi::c_ulong,
    rewrite_args: None,
    // Per <Directory> and the like, while the configuration is read, and per .htaccess at requests.
    create_dir_config: Some(create_dir_config),
    merge_dir_config: Some(merge_dir_config),
    // Per server, while the configuration is read.
    create_server_config: Some(create_server_config),
    merge_server_config: Some(merge_server_config),
    cmds: COMMANDS.as_ptr(),
    // Once per load of the module: at start, and at every restart.
    register_hooks: Some(hooks::register),
    flags: 0,
}));

static EMPTY_SERVER: ServerConfig = ServerConfig::EMPTY;
static EMPTY_PLACE: DirConfig = DirConfig::EMPTY;

/// The name `apachectl -L` and logs show is the file's; this is the number httpd gave the module.
pub(super) fn index() -> i32 {
    // SAFETY: written once by httpd before any hook runs.
    unsafe { (*wsgi_module.0.get()).module_index }
}

/// This module's part of a configuration vector.
///
/// # Safety
/// The part was made by the function of the record that makes a `T`, and lives for `'a`.
unsafe fn part<'a, T>(vector: *const ffi::ap_conf_vector_t) -> Option<&'a T> {
    // SAFETY: the vector is httpd's; see the caller's promise for what it points to.
    unsafe { ffi::wsgi_shim_get_config(vector, wsgi_module.0.get()).cast::<T>().as_ref() }
}

impl<'s> Server<'s> {
    /// This module's configuration of the server.
    #[must_use]
    pub fn config(self) -> &'s ServerConfig {
        // SAFETY: httpd made it with create_server_config or merge_server_config, in a pool as old as the record.
        unsafe { part((*self.raw()).module_config) }.unwrap_or(&EMPTY_SERVER)
    }

    /// This module's configuration of what stands outside of all containers of the server.
    #[must_use]
    pub fn default_place(self) -> Option<&'s DirConfig> {
        // SAFETY: httpd made it with create_dir_config or merge_dir_config, in a pool as old as the record.
        unsafe { part((*self.raw()).lookup_defaults) }
    }

    /// This module's configuration, to be changed while the configuration is read or in `post_config`.
    ///
    /// # Safety
    /// Nobody else holds a reference to it: httpd is in one thread, and the caller is a directive or `post_config`.
    pub(super) unsafe fn config_mut(self) -> Option<&'s mut ServerConfig> {
        // SAFETY: as for `config`, and by the caller's promise.
        unsafe {
            let part = ffi::wsgi_shim_get_config((*self.raw()).module_config, wsgi_module.0.get());
            part.cast::<ServerConfig>().as_mut()
        }
    }
}

impl<'r> Request<'r> {
    /// This module's configuration for the request's place.
    #[must_use]
    pub fn dir_config(self) -> &'r DirConfig {
        // SAFETY: httpd made it with create_dir_config or merge_dir_config, in a pool at least as old as the request.
        unsafe { part((*self.raw()).per_dir_config) }.unwrap_or(&EMPTY_PLACE)
    }
}

fn kept<T>(p: *mut ffi::apr_pool_t, value: impl FnOnce() -> T) -> *mut c_void {
    crate::guard::guarded("a configuration record", std::ptr::null_mut, || {
        // SAFETY: httpd calls with the pool that the record is to live in.
        unsafe { Pool::new(p) }.map_or(std::ptr::null_mut(), |pool| pool.keep(value()).as_ptr().cast())
    })
}

fn merged<T>(
    p: *mut ffi::apr_pool_t,
    base: *mut c_void,
    child: *mut c_void,
    merge: impl FnOnce(&T, &T) -> T,
) -> *mut c_void {
    let (Some(base), Some(child)) = (NonNull::new(base.cast::<T>()), NonNull::new(child.cast::<T>())) else {
        return if child.is_null() { base } else { child };
    };
    // SAFETY: httpd calls with two records made by this module's functions for the same kind; none changes meanwhile.
    kept(p, || unsafe { merge(base.as_ref(), child.as_ref()) })
}

unsafe extern "C" fn create_dir_config(p: *mut ffi::apr_pool_t, _directory: *mut c_char) -> *mut c_void {
    kept(p, DirConfig::default)
}

unsafe extern "C" fn merge_dir_config(p: *mut ffi::apr_pool_t, base: *mut c_void, new: *mut c_void) -> *mut c_void {
    merged(p, base, new, DirConfig::merge)
}

unsafe extern "C" fn create_server_config(p: *mut ffi::apr_pool_t, _server: *mut ffi::server_rec) -> *mut c_void {
    kept(p, ServerConfig::default)
}

unsafe extern "C" fn merge_server_config(p: *mut ffi::apr_pool_t, base: *mut c_void, new: *mut c_void) -> *mut c_void {
    merged(p, base, new, ServerConfig::merge)
}
