//! A file in memory without a name, which processes share by its descriptor.

use std::os::fd::OwnedFd;

/// A new one of that size, in bytes, full of zeros. No program inherits it unless it is meant to.
#[cfg(target_os = "linux")]
pub fn new(size: u64) -> std::io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("mod_wsgi board", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, size)?;
    Ok(file)
}

/// A new one of that size, in bytes, full of zeros. No program inherits it unless it is meant to.
///
/// Here it has a name at first, which is taken away at once.
#[cfg(not(target_os = "linux"))]
pub fn new(size: u64) -> std::io::Result<OwnedFd> {
    use rustix::fs::Mode;
    use rustix::shm::{OFlags, open, unlink};
    use std::sync::atomic::{AtomicU32, Ordering};

    static COUNT: AtomicU32 = AtomicU32::new(0);

    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // macOS takes 31 bytes. A name that is taken was left by a process of this number that ended in between.
    let name = format!("/mod_wsgi.{}.{number}", std::process::id());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    let opened = open(&name, flags, Mode::RUSR | Mode::WUSR).or_else(|error| {
        unlink(&name).map_err(|_| error)?;
        open(&name, flags, Mode::RUSR | Mode::WUSR)
    });
    let file = opened?;
    unlink(&name)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, size)?;
    Ok(file)
}
