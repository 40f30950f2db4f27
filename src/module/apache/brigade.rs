//! The response body, passed down httpd's output filters.

use std::marker::PhantomData;

use super::ffi;
use super::request::Request;

/// The client is gone, or a filter has ended the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

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

    /// Adds a piece; it must stay as it is until the next [`Output::pass`], which sends or copies it.
    ///
    /// # Safety
    /// `data` lives, unchanged, until the next call of `pass` has returned.
    unsafe fn add(&mut self, data: &[u8]) {
        // SAFETY: by the caller's promise; filters that keep a transient bucket copy it first (apr_buckets.h).
        unsafe {
            let bucket = ffi::apr_bucket_transient_create(data.as_ptr().cast(), data.len() as _, self.allocator);
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

    /// Sends a piece; right now, if `flush`.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn data(&mut self, data: &[u8], flush: bool) -> Result<(), Gone> {
        if !data.is_empty() {
            // SAFETY: `data` is borrowed until after `pass`.
            unsafe { self.add(data) };
        }
        if flush {
            self.flush_bucket();
        }
        self.pass()
    }

    /// Sends several pieces together.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn pieces(&mut self, pieces: &[&[u8]]) -> Result<(), Gone> {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            // SAFETY: the pieces are borrowed until after `pass`.
            unsafe { self.add(piece) };
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

    /// Ends the response, with a last piece.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn end(&mut self, data: &[u8]) -> Result<(), Gone> {
        if !data.is_empty() {
            // SAFETY: `data` is borrowed until after `pass`.
            unsafe { self.add(data) };
        }
        self.end_bucket();
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
