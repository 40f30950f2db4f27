//! Memory that processes share: a file without a name.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use mod_wsgi_core::board::Words;

/// The file.
#[derive(Debug)]
pub struct Memory(OwnedFd);

impl Memory {
    /// A new one of that size, in bytes, full of zeros.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new(size: u64) -> io::Result<Self> {
        super::super::shared_file::new(size).map(Self)
    }

    /// What other processes map.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Maps a part of it.
    ///
    /// # Errors
    /// What the system answered.
    pub fn map(&self, offset: usize, bytes: usize) -> io::Result<Mapping> {
        Mapping::new(self.file(), offset, bytes)
    }
}

/// A part of the file, mapped.
#[derive(Debug)]
pub struct Mapping {
    begin: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: the memory is only accessed as atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a part of any file.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new(file: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<Self> {
        let protection = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        let shared = rustix::mm::MapFlags::SHARED;
        // SAFETY: a new mapping of a part of the file, at an address the system chooses.
        let begin = unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, shared, file, offset as u64)? };
        Ok(Self { begin: NonNull::new(begin.cast()).ok_or(io::ErrorKind::OutOfMemory)?, bytes })
    }

    /// Its numbers.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        // SAFETY: so many aligned u64 are mapped as long as `self` lives, and are only accessed as atomics.
        unsafe { std::slice::from_raw_parts(self.begin.as_ptr(), self.bytes / 8) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, with this size, and no reference to it is left.
        let unmapped = unsafe { rustix::mm::munmap(self.begin.as_ptr().cast::<c_void>(), self.bytes) };
        debug_assert!(unmapped.is_ok());
    }
}
