//! Files in the response body. Windows' applications read theirs themselves.

use std::os::fd::{AsRawFd, OwnedFd};

use super::brigade::{Gone, Output};
use super::ffi;
#[cfg(doc)]
use super::request::Request;
use crate::sys::mapped_file::MappedFile;

/// How httpd may get at a file that it sends.
#[derive(Debug, Clone, Copy)]
pub struct FileAccess {
    /// The kernel may send it by itself.
    pub sendfile: bool,
    /// It may be mapped, which spares a copy. A mapped file that somebody shortens meanwhile kills the process that looks at it,
    /// so this is for files of applications that are in the process anyway, and where [`Request::body_goes_unseen`].
    pub map: bool,
}

/// The longest part of a file that is mapped as a whole, in bytes; of longer ones APR maps a part at a time.
const MOST_MAPPED: u64 = 16 * 1024 * 1024;
/// How much of a file that is not mapped is read at a time, in bytes.
const READ_SIZE: ffi::apr_size_t = 64 * 1024;

impl Output<'_> {
    /// Adds a part of an open file; it goes out with what comes next. Together with the end of the response httpd sees the
    /// whole of it, and can answer requests for ranges.
    ///
    /// # Errors
    /// [`Gone`]; also where APR cannot take the file.
    pub fn file(&mut self, file: OwnedFd, offset: u64, length: u64, access: FileAccess) -> Result<(), Gone> {
        let pool = self.request.pool();
        if access.map && !access.sendfile && length <= MOST_MAPPED {
            // The length fits.
            if let Ok(mapped) = MappedFile::new(&file, offset, length as usize) {
                let (begin, length) = mapped.place();
                // The request's pool unmaps it, which httpd keeps until the response is out.
                pool.keep(mapped);
                // SAFETY: the place stays as it is as long as the request's pool; httpd only reads.
                unsafe {
                    let bucket = ffi::apr_bucket_immortal_create(begin.cast(), length as _, self.allocator);
                    ffi::wsgi_shim_insert_tail(self.brigade, bucket);
                }
                return Ok(());
            }
        }
        // The request's pool closes it. httpd keeps that pool until the response is out, and APR is told to leave the
        // descriptor alone.
        let descriptor = pool.keep(file);
        let sendfile = if access.sendfile { ffi::APR_FOPEN_SENDFILE_ENABLED } else { 0 };
        let flags = ffi::APR_FOPEN_READ | ffi::APR_FOPEN_NOCLEANUP | sendfile;
        let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return Err(Gone) };
        // SAFETY: the descriptor is open and lives in the request's pool, as do the file and the bucket.
        unsafe {
            let mut raw = descriptor.as_ref().as_raw_fd();
            let mut opened = std::ptr::null_mut();
            if ffi::apr_os_file_put(&raw mut opened, &raw mut raw, flags as i32, pool.raw()) != 0 {
                return Err(Gone);
            }
            let bucket = ffi::apr_brigade_insert_file(self.brigade, opened, offset, length, pool.raw());
            if bucket.is_null() {
                return Err(Gone);
            }
            if !access.map {
                ffi::wsgi_shim_no_mmap(self.brigade);
                // Where it cannot keep that in mind, it reads in pieces of 8000 bytes.
                ffi::apr_bucket_file_set_buf_size(bucket, READ_SIZE);
            }
        }
        Ok(())
    }
}
