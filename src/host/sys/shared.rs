//! Memory that this process shares with one of Apache's.

use mod_wsgi_core::wire::{Ledger, WINDOW_BEGIN, WINDOW_ROOM, WINDOW_SIZE};
use rustix::io::Result;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{NonNull, copy_nonoverlapping, null_mut};
use std::sync::atomic::AtomicU64;

/// As much as is passed on as a window.
pub struct Shared {
    file: OwnedFd,
    begin: NonNull<u8>,
}

// SAFETY: the memory belongs to this value; what others do to it is seen as an atomic, or not looked at.
unsafe impl Send for Shared {}

/// A file in memory of which nobody can take anything away: Apache need not fear to look at it.
#[cfg(target_os = "linux")]
fn sealed() -> Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A file that nobody can execute, where the kernel knows that (6.3); it may insist on it.
    let file = memfd_create("mod_wsgi response", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("mod_wsgi response", flags))?;
    ftruncate(&file, WINDOW_SIZE.into())?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Elsewhere such files are not known.
#[cfg(not(target_os = "linux"))]
fn sealed() -> Result<OwnedFd> {
    Err(rustix::io::Errno::NOSYS)
}

impl Shared {
    /// New memory, full of zeros.
    ///
    /// # Errors
    /// What the system answers: `ENOSYS` where it has no such memory.
    pub fn new() -> Result<Self> {
        use rustix::mm::{MapFlags, ProtFlags, mmap};

        let file = sealed()?;
        // SAFETY: a new mapping at an address that the system chooses.
        let begin = unsafe {
            mmap(null_mut(), WINDOW_SIZE as usize, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)?
        };
        Ok(Self { file, begin: NonNull::new(begin.cast()).ok_or(rustix::io::Errno::NOMEM)? })
    }

    /// What Apache maps.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// What both sides tell each other.
    pub fn ledger(&self) -> Option<Ledger<'_>> {
        // SAFETY: so many words are mapped as long as `self` lives, aligned, and only accessed as atomics.
        Ledger::new(unsafe { std::slice::from_raw_parts(self.begin.cast::<AtomicU64>().as_ptr(), Ledger::WORDS) })
    }

    /// Copies a piece to a place in the room. Whoever calls it knows that nobody needs what was there.
    ///
    /// # Panics
    /// Where the place is not inside of the room.
    pub fn copy_to(&self, at: u32, piece: &[u8]) {
        assert!(at as usize + piece.len() <= WINDOW_ROOM as usize);
        // SAFETY: the place is inside of the mapping, and nobody has a reference to it.
        unsafe {
            let place = self.begin.as_ptr().add((WINDOW_BEGIN + at) as usize);
            copy_nonoverlapping(piece.as_ptr(), place, piece.len());
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this size, and no reference to it is left.
        crate::ignore(unsafe { rustix::mm::munmap(self.begin.as_ptr().cast(), WINDOW_SIZE as usize) });
    }
}
