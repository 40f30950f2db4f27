//! Memory of this process, where no other one is to see it.

use std::io;
use std::sync::atomic::AtomicU64;

use mod_wsgi_core::board::Words;

/// Where parts come from.
#[derive(Debug)]
pub struct Memory(());

impl Memory {
    /// One for as many bytes.
    ///
    /// # Errors
    /// None.
    pub fn new(_size: u64) -> io::Result<Self> {
        Ok(Self(()))
    }

    /// A part of it, full of zeros. Each is asked for once, so that it need not be found again.
    ///
    /// # Errors
    /// None: without memory the process ends.
    pub fn map(&self, _offset: usize, bytes: usize) -> io::Result<Mapping> {
        Ok(Mapping((0..bytes / 8).map(|_| AtomicU64::new(0)).collect()))
    }
}

/// A part of the memory.
#[derive(Debug)]
pub struct Mapping(Box<[AtomicU64]>);

impl Mapping {
    /// Its numbers.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        &self.0
    }
}
