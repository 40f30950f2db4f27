//! Loads DLLs. What a DLL needs is looked for in its own folder, the program's and Windows' own, never in `PATH` or where httpd
//! was started.

use std::path::Path;

pub use libloading::os::windows::Library;
use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DEFAULT_DIRS, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR};

/// Loads a Python. Hosts and extension modules name the same file, and so get this one.
///
/// # Safety
/// Its initialisers may run.
pub unsafe fn open_python(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: by the caller's promise.
    unsafe { Library::load_with_flags(path, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS) }
}

/// Loads a host, whose Python is there.
///
/// # Safety
/// Its initialisers may run.
pub unsafe fn open_host(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: by the caller's promise.
    unsafe { open_python(path) }
}

/// What to do where a Python cannot be loaded.
pub fn advice(version: &str) -> String {
    format!("install Python {version} for all users, of the same kind of processor as Apache")
}
