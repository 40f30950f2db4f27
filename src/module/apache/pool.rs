//! APR pools: memory that lives until the pool is cleared.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::ffi;

/// A borrowed pool; which one is said by whoever hands it out.
#[derive(Clone, Copy)]
pub struct Pool<'p> {
    raw: NonNull<ffi::apr_pool_t>,
    borrow: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// Wraps a pool of httpd's.
    ///
    /// # Safety
    /// `raw` lives for `'p`.
    pub(super) unsafe fn new(raw: *mut ffi::apr_pool_t) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, borrow: PhantomData })
    }

    pub(super) fn raw(self) -> *mut ffi::apr_pool_t {
        self.raw.as_ptr()
    }

    /// A NUL-terminated copy that lives as long as the pool. What follows a NUL in `text` is lost.
    pub(super) fn text(self, text: &[u8]) -> *mut c_char {
        // SAFETY: APR copies `len` readable bytes and ends the copy with NUL; it aborts the process when memory is out.
        unsafe { ffi::apr_pstrmemdup(self.raw(), text.as_ptr().cast(), text.len()) }
    }

    /// Gives a value to the pool, which drops it when it is cleared.
    pub(super) fn keep<T>(self, value: T) -> NonNull<T> {
        let kept = NonNull::from(Box::leak(Box::new(value)));
        // SAFETY: `kept` came from a Box of T and is given up here; APR calls the cleanup exactly once.
        unsafe {
            ffi::apr_pool_cleanup_register(
                self.raw(),
                kept.as_ptr().cast(),
                Some(drop_kept::<T>),
                Some(ffi::apr_pool_cleanup_null),
            );
        }
        kept
    }

    /// Has `function` called before this pool and its children go, in this process only.
    pub(super) fn before_end(self, function: unsafe extern "C" fn(*mut c_void) -> ffi::apr_status_t) {
        // SAFETY: the function ignores its argument and is part of this library, which is never unloaded (-z nodelete).
        unsafe { ffi::apr_pool_pre_cleanup_register(self.raw(), std::ptr::null(), Some(function)) };
    }

    /// What [`Pool::set_data`] put under `key`.
    ///
    /// # Safety
    /// What was put there is a `T`, and lives for `'p`.
    pub(super) unsafe fn data<T>(self, key: &'static std::ffi::CStr) -> Option<NonNull<T>> {
        let mut found: *mut c_void = std::ptr::null_mut();
        // SAFETY: both pointers are valid for the call.
        unsafe { ffi::apr_pool_userdata_get(&raw mut found, key.as_ptr(), self.raw()) };
        NonNull::new(found.cast())
    }

    /// Puts a pointer under `key`.
    pub(super) fn set_data<T>(self, key: &'static std::ffi::CStr, value: NonNull<T>) {
        // SAFETY: APR stores the pointer and copies the key.
        unsafe { ffi::apr_pool_userdata_set(value.as_ptr().cast(), key.as_ptr(), None, self.raw()) };
    }

    /// A child of this pool, which nothing but [`destroy`] ends before this one.
    pub(super) fn child(self) -> *mut ffi::apr_pool_t {
        let mut child = std::ptr::null_mut();
        // SAFETY: `self` is a live pool; APR aborts the process when memory is out.
        unsafe { ffi::apr_pool_create_ex(&raw mut child, self.raw(), None, std::ptr::null_mut()) };
        child
    }
}

/// Ends a pool made by [`Pool::child`].
///
/// # Safety
/// `pool` was made so and is not used any more.
pub(super) unsafe fn destroy(pool: *mut ffi::apr_pool_t) {
    // SAFETY: by the caller's promise.
    unsafe { ffi::apr_pool_destroy(pool) };
}

unsafe extern "C" fn drop_kept<T>(kept: *mut c_void) -> ffi::apr_status_t {
    crate::guard::guarded(
        "a pool cleanup",
        || (),
        || {
            // SAFETY: `keep` leaked a Box of T under this pointer, and APR calls a cleanup once.
            drop(unsafe { Box::from_raw(kept.cast::<T>()) });
        },
    );
    0
}
