//! Bytes that are passed on without a look at them.

use std::marker::PhantomData;

/// Bytes that live for `'d`. Another process may change them meanwhile, so they are no slice: Rust does not look at them.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'d> {
    begin: *const u8,
    length: usize,
    borrow: PhantomData<&'d [u8]>,
}

impl Bytes<'_> {
    /// Bytes at an address.
    ///
    /// # Safety
    /// So many bytes can be read there for as long as the value lives, whatever they are.
    pub(super) unsafe fn at(begin: *const u8, length: usize) -> Self {
        Self { begin, length, borrow: PhantomData }
    }

    /// Where they begin.
    #[must_use]
    pub fn as_ptr(self) -> *const u8 {
        self.begin
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The first `most` of them, or all.
    #[must_use]
    pub fn first(self, most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { length: self.length.min(most), ..self }
    }

    /// Appends them, as they are at this moment.
    pub fn append_to(self, out: &mut Vec<u8>) {
        out.reserve(self.length);
        // SAFETY: they can be read by the promise of whoever made this; there is room for them behind what `out` holds, which
        // is a vector's own memory.
        unsafe {
            std::ptr::copy_nonoverlapping(self.begin, out.as_mut_ptr().add(out.len()), self.length);
            out.set_len(out.len() + self.length);
        }
    }
}

impl Default for Bytes<'_> {
    fn default() -> Self {
        Self::from(&b""[..])
    }
}

impl<'d> From<&'d [u8]> for Bytes<'d> {
    fn from(bytes: &'d [u8]) -> Self {
        Self { begin: bytes.as_ptr(), length: bytes.len(), borrow: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cut_and_copied() {
        let mut out = b"a".to_vec();
        let bytes = Bytes::from(&b"bcd"[..]);
        bytes.first(2).append_to(&mut out);
        bytes.first(u64::MAX).append_to(&mut out);
        bytes.first(0).append_to(&mut out);
        assert_eq!(out, b"abcbcd");
        assert!(bytes.first(0).is_empty() && bytes.len() == 3);
    }
}
