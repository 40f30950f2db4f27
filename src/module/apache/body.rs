//! The request body, read through httpd's input filters.

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

/// Reads up to `limit` bytes of the body and appends them to `out`; waits for the first ones if `wait`.
pub fn read(r: Request<'_>, out: &mut Vec<u8>, limit: usize, wait: bool) -> Piece {
    let mode = if wait { ffi::APR_BLOCK_READ } else { ffi::APR_NONBLOCK_READ };
    let limit = limit.min(1 << 20);
    // SAFETY: the request is live and this thread serves it; the brigade lives in its pool and is emptied below. The
    // spare room of `out` is at least `limit` bytes, and httpd reads no more than it was asked for (util_filter.h,
    // AP_MODE_READBYTES).
    unsafe {
        let brigade = ffi::apr_brigade_create(r.pool().raw(), (*r.connection()).bucket_alloc);
        let filters = (*r.raw()).input_filters;
        let status = ffi::ap_get_brigade(filters, brigade, ffi::AP_MODE_READBYTES, mode, limit as i64);
        let answer = if status != 0 {
            if !wait && (status == libc::EAGAIN) { Piece::NotYet } else { Piece::Failed(reason(status)) }
        } else {
            let last = ffi::wsgi_shim_has_eos(brigade) != 0;
            let mut length: ffi::apr_size_t = limit as ffi::apr_size_t;
            out.reserve(limit);
            let room = out.as_mut_ptr().add(out.len()).cast();
            let status = ffi::apr_brigade_flatten(brigade, room, &raw mut length);
            if status != 0 {
                Piece::Failed(reason(status))
            } else {
                out.set_len(out.len() + length as usize);
                match (last, length) {
                    (true, _) => Piece::Last,
                    (false, 0) if !wait => Piece::NotYet,
                    (false, _) => Piece::More,
                }
            }
        };
        ffi::apr_brigade_destroy(brigade);
        answer
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
