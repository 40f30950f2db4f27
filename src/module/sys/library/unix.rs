//! Loads libraries as Unix does.

use std::path::Path;

pub use libloading::os::unix::Library;
use libloading::os::unix::{RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

/// Loads a Python, whose symbols hosts and extension modules are to find.
///
/// # Safety
/// Its initialisers may run.
pub unsafe fn open_python(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: by the caller's promise.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }
}

/// Loads a host.
///
/// # Safety
/// Its initialisers may run.
pub unsafe fn open_host(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: by the caller's promise.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
}

/// What to do where a Python cannot be loaded.
pub fn advice(version: &str) -> String {
    format!(
        "install it (Debian: libpython{version}, Fedora: python3-libs), or use a daemon process group, which needs none"
    )
}
