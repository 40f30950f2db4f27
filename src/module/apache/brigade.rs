//! The response body, passed down httpd's output filters.

use std::marker::PhantomData;

use super::ffi;
use super::request::Request;
use crate::sys::bytes::Bytes;

/// The client is gone, or a filter has ended the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// What comes behind pieces of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More of them, so that filters may keep these for a while.
    More,
    /// Nothing for a while: they are to go out right now.
    Flush,
    /// The end of the response.
    End,
}

/// The way a response body goes out. One brigade is used again for every piece.
pub struct Output<'r> {
    pub(super) request: Request<'r>,
    pub(super) brigade: *mut ffi::apr_bucket_brigade,
    pub(super) allocator: *mut ffi::apr_bucket_alloc_t,
    borrow: PhantomData<&'r ()>,
}

impl<'r> Output<'r> {
    /// The output of a request.
    #[must_use]
    pub fn new(request: Request<'r>) -> Self {
        // SAFETY: the request is live and this thread serves it; the brigade lives in its pool.
        let (brigade, allocator) = unsafe {
            let allocator = (*request.connection()).bucket_alloc;
            (ffi::apr_brigade_create(request.pool().raw(), allocator), allocator)
        };
        Self { request, brigade, allocator, borrow: PhantomData }
    }

    /// Adds a piece.
    ///
    /// # Safety
    /// It stays where it is until the next call of `pass` has returned, which sends or copies it.
    unsafe fn add(&mut self, piece: Bytes<'_>) {
        // SAFETY: by the caller's promise; filters that keep a transient bucket copy it first (apr_buckets.h).
        unsafe {
            let bucket = ffi::apr_bucket_transient_create(piece.as_ptr().cast(), piece.len() as _, self.allocator);
            ffi::wsgi_shim_insert_tail(self.brigade, bucket);
        }
    }

    fn pass(&mut self) -> Result<(), Gone> {
        // SAFETY: the request is live and this thread serves it.
        let status = unsafe { ffi::ap_pass_brigade((*self.request.raw()).output_filters, self.brigade) };
        // SAFETY: the brigade is ours; filters may have left something in it.
        unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        if status != 0 || self.request.is_aborted() { Err(Gone) } else { Ok(()) }
    }

    fn flush_bucket(&mut self) {
        // SAFETY: allocator and brigade are live.
        unsafe { ffi::wsgi_shim_insert_tail(self.brigade, ffi::apr_bucket_flush_create(self.allocator)) };
    }

    fn end_bucket(&mut self) {
        // SAFETY: allocator and brigade are live.
        unsafe { ffi::wsgi_shim_insert_tail(self.brigade, ffi::apr_bucket_eos_create(self.allocator)) };
    }

    /// Sends pieces together.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn send(&mut self, pieces: &[Bytes<'_>], then: Then) -> Result<(), Gone> {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            // SAFETY: the pieces are borrowed until after `pass`.
            unsafe { self.add(*piece) };
        }
        match then {
            Then::More => {}
            Then::Flush => self.flush_bucket(),
            Then::End => self.end_bucket(),
        }
        self.pass()
    }

    /// Sends what filters have kept.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn flush(&mut self) -> Result<(), Gone> {
        self.flush_bucket();
        self.pass()
    }

    /// Ends a response that cannot be completed so that the client sees it: no last chunk, and the connection closed.
    pub fn truncate(&mut self) {
        // What there is goes out first, with the head: a head that meets the error would become an error page.
        self.flush().ok();
        self.request.close_connection();
        // SAFETY: allocator, pool and brigade are live; httpd's chunk filter leaves out the last chunk when it meets an
        // error bucket of 502 (mod_proxy ends broken responses the same way).
        unsafe {
            let pool = self.request.pool().raw();
            let status = ffi::HTTP_BAD_GATEWAY as i32;
            let bucket = ffi::ap_bucket_error_create(status, std::ptr::null(), pool, self.allocator);
            ffi::wsgi_shim_insert_tail(self.brigade, bucket);
        }
        self.end_bucket();
        // The client is to see a broken response either way, so it does not matter whether it is still there.
        self.pass().ok();
    }
}
