//! Opens an open file once more, with a position of its own.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;

/// The file behind a descriptor, if it is an ordinary one. Opening a pipe or a device has effects of its own, so they are not
/// opened.
///
/// # Errors
/// What the system answers; or that it is no ordinary file.
#[cfg(target_os = "linux")]
pub fn file(descriptor: RawFd) -> io::Result<File> {
    let path = format!("/proc/self/fd/{descriptor}");
    if !std::fs::metadata(&path)?.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    File::open(&path)
}

/// The file behind a descriptor, if it is an ordinary one that is still at its path: what the system has below `/dev/fd` shares
/// the position.
///
/// # Errors
/// What the system answers; or that it is no ordinary file, or not to be found any more.
#[cfg(target_os = "macos")]
pub fn file(descriptor: RawFd) -> io::Result<File> {
    use std::os::fd::BorrowedFd;
    use std::os::unix::ffi::OsStrExt;

    if descriptor < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a number that is not open answers an error. Should the application close it meanwhile, and open another file, that
    // one is compared with itself.
    let open = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let known = rustix::fs::fstat(open)?;
    if !rustix::fs::FileType::from_raw_mode(known.st_mode).is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let path = rustix::fs::getpath(open)?;
    let file = File::open(std::ffi::OsStr::from_bytes(path.to_bytes()))?;
    let found = rustix::fs::fstat(&file)?;
    if (known.st_dev, known.st_ino) != (found.st_dev, found.st_ino) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}
