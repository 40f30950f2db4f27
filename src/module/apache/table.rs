//! APR tables: ordered names and values, names compared without regard to case.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::{bytes, ffi};

/// A borrowed table of a request.
#[derive(Clone, Copy)]
pub struct Table<'r> {
    raw: *mut ffi::apr_table_t,
    borrow: PhantomData<&'r ()>,
}

impl<'r> Table<'r> {
    /// Wraps a table of a request.
    ///
    /// # Safety
    /// `raw` is a table that lives for `'r`.
    pub(super) unsafe fn new(raw: *mut ffi::apr_table_t) -> Self {
        Self { raw, borrow: PhantomData }
    }

    pub(super) fn raw(self) -> *mut ffi::apr_table_t {
        self.raw
    }

    /// The first value of that name.
    #[must_use]
    pub fn get(self, name: &CStr) -> Option<&'r [u8]> {
        // SAFETY: the table lives for 'r; its values are NUL-terminated and live in the same pool.
        unsafe { bytes(ffi::apr_table_get(self.raw, name.as_ptr())) }
    }

    /// All entries in order; a value that is null is empty.
    pub fn iter(self) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
        // SAFETY: the table lives for 'r, and apr_table_elts answers its own array.
        let array = unsafe { &*ffi::apr_table_elts(self.raw) };
        let entries: &'r [ffi::apr_table_entry_t] = if array.nelts == 0 {
            &[]
        } else {
            // SAFETY: `elts` holds `nelts` table entries (apr_tables.h); nobody changes the table while we read it.
            unsafe { std::slice::from_raw_parts(array.elts.cast(), array.nelts as usize) }
        };
        // SAFETY: keys and values are null or NUL-terminated and live as long as the table.
        entries.iter().filter_map(|entry| unsafe { Some((bytes(entry.key)?, bytes(entry.val).unwrap_or_default())) })
    }
}
