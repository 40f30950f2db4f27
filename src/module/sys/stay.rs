//! Keeps this module where it is when httpd unloads it, as it does at every reload: its code runs in threads and at exit.

/// On Linux the file itself says so (`-z nodelete`, see `build.rs`).
#[cfg(target_os = "linux")]
pub fn loaded() {}

/// Asks the loader for this library once more, never to be unloaded.
#[cfg(not(target_os = "linux"))]
pub fn loaded() {
    // SAFETY: the address is in this library, and the name that the loader answers lives as long as it is loaded. Nothing is
    // loaded that is not there already.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(loaded as *const libc::c_void, &raw mut found) != 0 {
            libc::dlopen(found.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}
