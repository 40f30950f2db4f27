//! A part of a file in memory, with every page of it in place.

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

/// A part of a file in memory, read only. Somebody who shortens the file takes pages away, and who reads those is killed.
#[derive(Debug)]
pub struct MappedFile {
    begin: NonNull<c_void>,
    length: usize,
    /// Where the part begins in the first page.
    skipped: usize,
}

/// Maps all pages at once, which costs less than a fault for every few of them.
#[cfg(target_os = "linux")]
const FLAGS: MapFlags = MapFlags::SHARED.union(MapFlags::POPULATE);
/// Pages are mapped as they are read.
#[cfg(not(target_os = "linux"))]
const FLAGS: MapFlags = MapFlags::SHARED;

impl MappedFile {
    /// Maps a part of a file that is not empty.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new(file: impl AsFd, offset: u64, length: usize) -> rustix::io::Result<Self> {
        // Less than a page.
        let skipped = (offset % rustix::param::page_size() as u64) as usize;
        let (length, offset) = (length + skipped, offset - skipped as u64);
        // SAFETY: a new mapping at an address that the system chooses.
        let begin = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, ProtFlags::READ, FLAGS, file, offset)? };
        Ok(Self { begin: NonNull::new(begin).ok_or(rustix::io::Errno::NOMEM)?, length, skipped })
    }

    /// Where it is, and how long. Bytes of a file that others may write are not a slice of Rust's.
    #[must_use]
    pub fn place(&self) -> (*const u8, usize) {
        // SAFETY: the mapping is longer than what is skipped.
        (unsafe { self.begin.as_ptr().cast::<u8>().add(self.skipped) }, self.length - self.skipped)
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, with this length; who was given the place does not use it any more.
        let unmapped = unsafe { rustix::mm::munmap(self.begin.as_ptr(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_part_is_there_wherever_it_begins() {
        let path = std::env::temp_dir().join(format!("mod_wsgi-mapped-{}", std::process::id()));
        let content: Vec<u8> = (0..10_000_u32).map(|number| (number % 251) as u8).collect();
        std::fs::File::create(&path).unwrap().write_all(&content).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for (offset, length) in [(0, 10_000), (1, 9_999), (4096, 5904), (5000, 1)] {
            let mapped = MappedFile::new(&file, offset as u64, length).unwrap();
            let (begin, mapped_length) = mapped.place();
            // SAFETY: the mapping is there, and nobody writes the file.
            let seen = unsafe { std::slice::from_raw_parts(begin, mapped_length) };
            assert_eq!(seen, &content[offset..offset + length]);
        }
    }
}
