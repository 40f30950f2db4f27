//! The C interface to `mod_wsgi.so` in embedded mode, see [`mod_wsgi_core::embedded`].

use crate::application::exchange::Gone;
use crate::embedded;
use crate::python::caught;
use mod_wsgi_core::embedded::{ABI, Exchange, Host, Server, outcome};
use mod_wsgi_core::wire::{FilePart, LogRecord};
use std::ffi::{c_char, c_void};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// The table, which holds pointers to what never changes.
struct Table(Host);
// SAFETY: see the type.
unsafe impl Sync for Table {}

static HOST: Table = Table(Host {
    abi: ABI,
    version: mod_wsgi_core::BUILD_FOR_C.as_ptr().cast::<c_char>(),
    start: start_host,
    handle: handle_request,
    call: call_script,
    stop: stop_host,
});

/// The table for `mod_wsgi.so`.
pub fn host() -> *const Host {
    &raw const HOST.0
}

/// # Safety
/// `start` and `length` are a slice that lives for `'a`, or `length` is 0.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: promised by the caller.
    if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, length) } }
}

unsafe extern "C" fn start_host(launch: *const u8, length: usize, server: *const Server) -> i32 {
    // SAFETY: the module passes an encoded launch block and its table, both alive during the call.
    let (launch, server) = unsafe { (bytes(launch, length), *server) };
    SERVER.get_or_init(|| server);
    let log = move |record: LogRecord<'_>| {
        let mut payload = Vec::with_capacity(record.text.len() + record.file.len() + 16);
        record.write_payload(&mut payload);
        // SAFETY: the module's log function takes any record, from any thread, as long as the process lives.
        unsafe { (server.log)(payload.as_ptr(), payload.len()) }
    };
    i32::from(caught("the start of Python", || embedded::start(launch, Box::new(log))) != Some(true))
}

/// What may be asked of Apache at any time; empty in a daemon process.
static SERVER: OnceLock<Server> = OnceLock::new();

unsafe extern "C" fn take_bytes(context: *mut c_void, start: *const u8, length: usize) {
    // SAFETY: the context is the vector that `scoreboard` passes, and the bytes are valid during the call.
    unsafe { (*context.cast::<Vec<u8>>()).extend_from_slice(bytes(start, length)) };
}

/// httpd's scoreboard, an encoded [`mod_wsgi_core::scoreboard::Scoreboard`]; `None` where there is none, or this process
/// is not one of httpd's.
pub fn scoreboard() -> Option<Vec<u8>> {
    let server = SERVER.get()?;
    let mut taken = Vec::new();
    // SAFETY: the module's function calls `take_bytes` before it returns, with this context.
    unsafe { (server.scoreboard)(take_bytes, (&raw mut taken).cast()) };
    Some(taken).filter(|taken| !taken.is_empty())
}

unsafe extern "C" fn handle_request(exchange: *const Exchange, head: *const u8, length: usize) -> i32 {
    // SAFETY: the module passes the payload of a request frame, alive during the call.
    let head = unsafe { bytes(head, length) };
    caught("a request", || embedded::handle(Apache(exchange), head)).unwrap_or(500)
}

unsafe extern "C" fn call_script(exchange: *const Exchange, call: *const u8, length: usize) -> i32 {
    // SAFETY: the module passes an encoded call, alive during this one.
    let call = unsafe { bytes(call, length) };
    i32::from(caught("a call of a script", || embedded::call(Apache(exchange), call)) != Some(true))
}

unsafe extern "C" fn stop_host() {
    // What a panic says has been logged, and there is nobody to tell.
    caught("the end of Python", embedded::stop).unwrap_or_default();
}

#[allow(clippy::assertions_on_constants, reason = "a status for the client must not be taken for another outcome")]
const _: () = assert!(outcome::COMPLETE < 400 && outcome::TRUNCATED < 400 && outcome::CLIENT_GONE < 400);

/// Apache, for the duration of one request.
pub struct Apache(*const Exchange);

// SAFETY: its functions are called by one thread at a time, and only while the request runs: the request gives it back
// before `handle_request` returns.
unsafe impl Send for Apache {}

impl Apache {
    fn exchange(&self) -> &Exchange {
        // SAFETY: the module keeps it alive while the request runs.
        unsafe { &*self.0 }
    }

    /// Appends a piece of the request body, as long as there is room; nothing is appended at its end.
    ///
    /// # Errors
    /// Apache's words.
    pub fn read(&mut self, into: &mut Vec<u8>) -> Result<(), String> {
        let apache = self.exchange();
        let room = into.spare_capacity_mut();
        let most = room.len();
        // SAFETY: the function writes at most that many bytes.
        let length = unsafe { (apache.read)(apache.context, room.as_mut_ptr().cast(), most) };
        let Ok(length) = usize::try_from(length) else { return Err(self.read_error()) };
        // SAFETY: the function has written what it answers, within the room.
        unsafe { into.set_len(into.len() + length.min(most)) };
        Ok(())
    }

    fn read_error(&self) -> String {
        let apache = self.exchange();
        let mut length = 0;
        // SAFETY: the text is valid until the next call, and copied before.
        let text = unsafe {
            let start = (apache.read_error)(apache.context, &mut length);
            bytes(start, if start.is_null() { 0 } else { length })
        };
        String::from_utf8_lossy(text).into_owned()
    }

    /// Gives status and headers, the payload of a head frame.
    ///
    /// # Errors
    /// [`Gone`] where Apache does not take them.
    pub fn head(&mut self, payload: &[u8]) -> Result<(), Gone> {
        let apache = self.exchange();
        // SAFETY: the slice is alive during the call.
        let answer = unsafe { (apache.head)(apache.context, payload.as_ptr(), payload.len()) };
        if answer == 0 { Ok(()) } else { Err(Gone) }
    }

    /// Gives a piece of the response body; `fate` is one of [`mod_wsgi_core::embedded::fate`].
    ///
    /// # Errors
    /// [`Gone`].
    pub fn data(&mut self, piece: &[u8], fate: i32) -> Result<(), Gone> {
        let apache = self.exchange();
        // SAFETY: the slice is alive during the call.
        let answer = unsafe { (apache.data)(apache.context, piece.as_ptr(), piece.len(), fate) };
        if answer == 0 { Ok(()) } else { Err(Gone) }
    }

    /// Gives a part of a file as the rest of the response body.
    ///
    /// # Errors
    /// [`Gone`].
    #[cfg(unix)]
    pub fn file(&mut self, file: BorrowedFd<'_>, part: FilePart) -> Result<(), Gone> {
        use std::os::fd::AsRawFd;

        let apache = self.exchange();
        // SAFETY: the file is open during the call, and Apache duplicates it.
        let answer = unsafe { (apache.file)(apache.context, file.as_raw_fd(), part.offset, part.length) };
        if answer == 0 { Ok(()) } else { Err(Gone) }
    }

    /// Gives the answer of a script's function, an encoded [`mod_wsgi_core::script_call::Answer`].
    pub fn answer(&mut self, answer: &[u8]) {
        let apache = self.exchange();
        // SAFETY: the slice is alive during the call.
        unsafe { (apache.answer)(apache.context, answer.as_ptr(), answer.len()) };
    }

    /// Whether mod_ssl encrypts the connection.
    pub fn is_https(&mut self) -> bool {
        let apache = self.exchange();
        // SAFETY: a plain question; the module keeps its context alive while the request runs.
        unsafe { (apache.is_https)(apache.context) != 0 }
    }

    /// A variable of mod_ssl.
    pub fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let apache = self.exchange();
        let mut length = 0;
        // SAFETY: the name is alive during the call; the value is valid until the request ends, and copied at once.
        unsafe {
            let value = (apache.ssl_variable)(apache.context, name.as_ptr(), name.len(), &mut length);
            (!value.is_null()).then(|| bytes(value, length).to_vec())
        }
    }

    /// httpd's `request_rec`, where the request is to have it.
    pub fn request_rec(&self) -> Option<NonNull<c_void>> {
        NonNull::new(self.exchange().request_rec)
    }

    /// Writes a record to the request's log.
    pub fn log(&mut self, record: LogRecord<'_>) {
        let apache = self.exchange();
        let mut payload = Vec::with_capacity(record.text.len() + record.file.len() + 16);
        record.write_payload(&mut payload);
        // SAFETY: the slice is alive during the call.
        unsafe { (apache.log)(apache.context, payload.as_ptr(), payload.len()) };
    }
}
