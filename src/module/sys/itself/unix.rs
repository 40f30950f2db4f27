//! What the loader of Unix tells of a library, and how it is told to keep one.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::path::PathBuf;

use mod_wsgi_core::os_text::os_text;

/// The file this library was loaded from, behind all links.
#[must_use]
pub fn path() -> Option<PathBuf> {
    let mut found = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: an address inside this library; the record is filled in where the answer is not 0, with a name that lives
    // as long as the library is loaded.
    let name = unsafe {
        if libc::dladdr(path as *const libc::c_void, found.as_mut_ptr()) == 0 || found.assume_init().dli_fname.is_null()
        {
            return None;
        }
        CStr::from_ptr(found.assume_init().dli_fname).to_bytes()
    };
    let own = PathBuf::from(os_text(name).into_owned());
    Some(std::fs::canonicalize(&own).unwrap_or(own))
}

/// On Linux the file itself says that it stays (`-z nodelete`, see `build.rs`).
#[cfg(target_os = "linux")]
pub fn stay() {}

/// Asks the loader for this library once more, never to be unloaded.
#[cfg(not(target_os = "linux"))]
pub fn stay() {
    // SAFETY: the address is in this library, and the name that the loader answers lives as long as it is loaded. Nothing is
    // loaded that is not there already.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(stay as *const libc::c_void, &raw mut found) != 0 {
            libc::dlopen(found.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}
