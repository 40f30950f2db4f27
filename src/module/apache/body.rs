//! The request body, read through httpd's input filters.

use std::cell::Cell;
use std::mem::MaybeUninit;

use super::ffi;
use super::request::Request;

/// How a read of the body ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes were appended, and more may come.
    More,
    /// The end has come; bytes may have been appended before it.
    Last,
    /// Nothing is there yet.
    NotYet,
    /// The body cannot be read any further: why, for an `OSError`.
    Failed(String),
}

/// The body of one request. One brigade is used for all reads: a pool gives nothing back, and a body may be of gigabytes.
pub struct Body<'r> {
    request: Request<'r>,
    /// Null until the first read.
    brigade: *mut ffi::apr_bucket_brigade,
    received: &'r Cell<u64>,
    /// Why it could not be read any further. The filters need not say it again: behind a trailer that is none, they take what
    /// comes next on the connection for more of the body. Test: `behind_what_is_malformed_no_request_is_answered`.
    failed: Option<String>,
}

impl<'r> Body<'r> {
    /// The body of a request; nothing is read yet. What is read adds its bytes to `received`.
    #[must_use]
    pub fn new(request: Request<'r>, received: &'r Cell<u64>) -> Self {
        Self { request, brigade: std::ptr::null_mut(), received, failed: None }
    }

    /// Nothing more can be read, if there is a reason: another one has met it, who read the begin of this body.
    pub fn end(&mut self, failed: Option<String>) {
        self.failed = failed;
    }

    /// Reads up to `limit` bytes and appends them to `out`; waits for the first ones if `wait`.
    pub fn read(&mut self, out: &mut Vec<u8>, limit: usize, wait: bool) -> Piece {
        let limit = limit.min(1 << 20);
        out.reserve(limit);
        let length = out.len();
        let (read, piece) = self.read_into(out.spare_capacity_mut().get_mut(..limit).unwrap_or_default(), wait);
        // SAFETY: `read_into` has written the first `read` bytes behind the length.
        unsafe { out.set_len(length + read) };
        piece
    }

    /// Reads into `room`, which is not empty; waits for the first bytes if `wait`. How many bytes of it were written, too.
    /// Once it has failed, it fails, and no request follows on the connection.
    pub fn read_into(&mut self, room: &mut [MaybeUninit<u8>], wait: bool) -> (usize, Piece) {
        if let Some(reason) = &self.failed {
            return (0, Piece::Failed(reason.clone()));
        }
        let (read, piece) = self.read_filters(room, wait);
        if let Piece::Failed(reason) = &piece {
            self.failed = Some(reason.clone());
            self.request.close_connection();
        }
        (read, piece)
    }

    fn read_filters(&mut self, room: &mut [MaybeUninit<u8>], wait: bool) -> (usize, Piece) {
        let mode = if wait { ffi::APR_BLOCK_READ } else { ffi::APR_NONBLOCK_READ };
        let r = self.request;
        // SAFETY: the request is live and this thread serves it; the brigade lives in its pool and is emptied below. httpd
        // reads no more than it was asked for (util_filter.h, AP_MODE_READBYTES), and a slice's length fits an i64.
        unsafe {
            if self.brigade.is_null() {
                self.brigade = ffi::apr_brigade_create(r.pool().raw(), (*r.connection()).bucket_alloc);
            }
            let filters = (*r.raw()).input_filters;
            let status = ffi::ap_get_brigade(filters, self.brigade, ffi::AP_MODE_READBYTES, mode, room.len() as i64);
            let answer = if status != 0 {
                (0, if !wait && status == libc::EAGAIN { Piece::NotYet } else { Piece::Failed(reason(status)) })
            } else {
                self.take(room, wait)
            };
            ffi::apr_brigade_cleanup(self.brigade.cast());
            self.received.set(self.received.get() + answer.0 as u64);
            answer
        }
    }

    /// Moves what the brigade holds into `room`.
    ///
    /// # Safety
    /// The brigade is live, and holds no more bytes than there is room for.
    unsafe fn take(&self, room: &mut [MaybeUninit<u8>], wait: bool) -> (usize, Piece) {
        let mut length = room.len() as ffi::apr_size_t;
        // SAFETY: by the caller's promise; APR is told how much room there is, and answers how much it took.
        let (last, status) = unsafe {
            let last = ffi::wsgi_shim_has_eos(self.brigade) != 0;
            (last, ffi::apr_brigade_flatten(self.brigade, room.as_mut_ptr().cast(), &raw mut length))
        };
        let length = length as usize;
        match (status, last, length) {
            (0, true, _) => (length, Piece::Last),
            (0, false, 0) if !wait => (0, Piece::NotYet),
            (0, false, _) => (length, Piece::More),
            (status, ..) => (0, Piece::Failed(reason(status))),
        }
    }
}

/// The text of an APR status.
fn reason(status: i32) -> String {
    let mut text = [0_u8; 200];
    // SAFETY: there is room for 200 bytes, and APR ends the text with NUL.
    let text = unsafe {
        ffi::apr_strerror(status, text.as_mut_ptr().cast(), 200);
        std::ffi::CStr::from_bytes_until_nul(&text).unwrap_or_default()
    };
    text.to_string_lossy().into_owned()
}
