//! What the loader of Unix tells of this library.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The folder this library is in.
pub fn directory() -> Option<Vec<u8>> {
    // SAFETY: the address is in this library; the name that the loader answers lives as long as the library is loaded.
    let name = unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(directory as *const libc::c_void, &mut found) == 0 || found.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(found.dli_fname).to_bytes().to_vec()
    };
    Path::new(OsStr::from_bytes(&name)).parent().map(|folder| folder.as_os_str().as_bytes().to_vec())
}
