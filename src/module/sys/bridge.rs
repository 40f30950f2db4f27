//! What a host may ask of httpd during a request in embedded mode, as C functions.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

use mod_wsgi_core::embedded::{Exchange, fate};
use mod_wsgi_core::wire::LogRecord;

use crate::apache::body::{Body, Piece};
use crate::apache::brigade::Gone;
use crate::apache::log;
use crate::apache::request::Request;
use crate::guard::guarded;
use crate::response::Response;

/// The module's side of a request that a host runs.
pub struct Bridge<'r> {
    request: Request<'r>,
    response: Response<'r>,
    /// What httpd is told, once the last piece of the response has come.
    completed: Option<i32>,
    body: Body<'r>,
    body_state: BodyState,
    read_error: String,
    sendfile: bool,
    passes_request: bool,
    answer: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyState {
    Open,
    Ended,
    Failed,
}

impl<'r> Bridge<'r> {
    /// The bridge of a request; `received` is as for [`Body::new`].
    pub fn new(
        request: Request<'r>,
        received: &'r Cell<u64>,
        sendfile: bool,
        passes_request: bool,
        server_timing: bool,
    ) -> Self {
        Self {
            request,
            response: Response::new(request, false).timed(server_timing),
            completed: None,
            body: Body::new(request, received),
            body_state: BodyState::Open,
            read_error: String::new(),
            sendfile,
            passes_request,
            answer: None,
        }
    }

    /// What a script's function answered, if the host got that far.
    pub fn take_answer(&mut self) -> Option<Vec<u8>> {
        self.answer.take()
    }

    #[cfg(unix)]
    fn file(&mut self, descriptor: i32, offset: u64, length: u64) -> Result<(), Gone> {
        use crate::apache::file::FileAccess;
        use std::os::fd::BorrowedFd;

        // SAFETY: the host's descriptor is open during this call; the duplicate is ours.
        let duplicate = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned().map_err(|_| Gone)?;
        let access = FileAccess { sendfile: self.sendfile, map: self.request.allows_mmap() };
        self.response.file(duplicate, offset, length, access)
    }

    /// The functions and their context; valid as long as `self` is not moved.
    pub(super) fn exchange(&mut self) -> Exchange {
        let request_rec = if self.passes_request { self.request.as_raw() } else { std::ptr::null_mut() };
        Exchange {
            context: std::ptr::from_mut(self).cast(),
            read,
            read_error,
            head,
            data,
            #[cfg(unix)]
            file,
            log: write_log,
            answer,
            is_https,
            ssl_variable,
            request_rec,
        }
    }

    /// The response, once the host is done; and what httpd is told, if that is complete with its last piece.
    pub fn into_response(self) -> (Response<'r>, Option<i32>) {
        (self.response, self.completed)
    }

    fn data(&mut self, data: &[u8], fate: i32) -> Result<(), Gone> {
        if fate == fate::LAST {
            self.completed = Some(self.response.complete(&mut [data.into()]));
            return Ok(());
        }
        self.response.data(data, fate == fate::NOW)
    }

    fn read(&mut self, out: &mut [MaybeUninit<u8>]) -> isize {
        if self.body_state == BodyState::Failed {
            return -1;
        }
        let mut filled = 0;
        while self.body_state == BodyState::Open && filled == 0 && !out.is_empty() {
            let (read, piece) = self.body.read_into(out, true);
            filled = read;
            match piece {
                Piece::More | Piece::NotYet => {}
                Piece::Last => self.body_state = BodyState::Ended,
                Piece::Failed(reason) => {
                    self.body_state = BodyState::Failed;
                    self.read_error = reason;
                    return -1;
                }
            }
        }
        // No longer than the room, whose length fits (it is a slice's).
        filled as isize
    }
}

/// The bridge behind a context.
///
/// # Safety
/// `context` is what [`Bridge::exchange`] gave, during a call into the host, on its thread.
unsafe fn bridge<'b>(context: *mut c_void) -> &'b mut Bridge<'b> {
    // SAFETY: by the caller's promise; the host makes one call at a time.
    unsafe { &mut *context.cast() }
}

/// Readable bytes of the host's.
///
/// # Safety
/// `length` bytes can be read at `data`.
unsafe fn slice<'d>(data: *const u8, length: usize) -> &'d [u8] {
    // SAFETY: by the caller's promise; an empty slice needs no address.
    if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, length) } }
}

unsafe extern "C" fn read(context: *mut c_void, buffer: *mut u8, length: usize) -> isize {
    guarded(
        "reading a body",
        || -1,
        || {
            if length == 0 {
                return 0;
            }
            // SAFETY: the host gives its context, and room for `length` bytes.
            unsafe { bridge(context).read(std::slice::from_raw_parts_mut(buffer.cast(), length)) }
        },
    )
}

unsafe extern "C" fn read_error(context: *mut c_void, length: *mut usize) -> *const u8 {
    // SAFETY: the host gives its context, and room for a number.
    unsafe {
        let text = &bridge(context).read_error;
        *length = text.len();
        text.as_ptr()
    }
}

unsafe extern "C" fn head(context: *mut c_void, head: *const u8, length: usize) -> i32 {
    guarded(
        "a response head",
        || -1,
        || {
            // SAFETY: the host gives its context and readable bytes.
            unsafe { bridge(context).response.set_head(slice(head, length)) }.map_or(-1, |()| 0)
        },
    )
}

unsafe extern "C" fn data(context: *mut c_void, data: *const u8, length: usize, fate: i32) -> i32 {
    guarded(
        "response data",
        || -1,
        || {
            // SAFETY: the host gives its context and readable bytes.
            unsafe { bridge(context).data(slice(data, length), fate) }.map_or(-1, |()| 0)
        },
    )
}

unsafe extern "C" fn write_log(context: *mut c_void, record: *const u8, length: usize) {
    guarded(
        "a log record",
        || (),
        || {
            // SAFETY: the host gives its context and readable bytes.
            let (request, record) = unsafe { (bridge(context).request, slice(record, length)) };
            // The host is of this build, so its records are understood.
            if let Ok(record) = LogRecord::decode(record) {
                log::request_record(request, &record);
            }
        },
    );
}

#[cfg(unix)]
unsafe extern "C" fn file(context: *mut c_void, descriptor: i32, offset: u64, length: u64) -> i32 {
    guarded(
        "a response file",
        || -1,
        || {
            // SAFETY: the host gives its context.
            unsafe { bridge(context).file(descriptor, offset, length) }.map_or(-1, |()| 0)
        },
    )
}

unsafe extern "C" fn answer(context: *mut c_void, answer: *const u8, length: usize) {
    guarded(
        "the answer of a script",
        || (),
        || {
            // SAFETY: the host gives its context and readable bytes.
            unsafe { bridge(context).answer = Some(slice(answer, length).to_vec()) };
        },
    );
}

unsafe extern "C" fn is_https(context: *mut c_void) -> i32 {
    // SAFETY: the host gives its context.
    guarded("a question about the connection", || 0, || i32::from(unsafe { bridge(context).request.is_https() }))
}

unsafe extern "C" fn ssl_variable(
    context: *mut c_void,
    name: *const u8,
    name_length: usize,
    length: *mut usize,
) -> *const u8 {
    guarded("a question to mod_ssl", std::ptr::null, || {
        // SAFETY: the host gives its context, readable bytes, and room for a number.
        unsafe {
            let found = bridge(context).request.ssl_variable(slice(name, name_length));
            found.map_or(std::ptr::null(), |value| {
                *length = value.len();
                value.as_ptr()
            })
        }
    })
}
