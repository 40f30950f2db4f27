//! The C interface between `mod_wsgi.so` and a host it has loaded into an Apache child (embedded mode).
//!
//! The host exports one function, [`ENTRY`], of type [`Entry`]. Requests and responses cross as the bytes of the
//! [wire](crate::wire), so that both modes share one encoding. No panic crosses: each side catches its own.

use std::ffi::{c_char, c_void};

/// The symbol a host exports, with its terminating NUL.
pub const ENTRY: &[u8] = b"mod_wsgi_host_embedded\0";

/// Type of the function named by [`ENTRY`]: answers a table that lives as long as the process.
pub type Entry = unsafe extern "C" fn() -> *const Host;

/// The number of this interface; checked before anything else in [`Host`] is looked at.
pub const ABI: u32 = 4;

/// What a host can do. All functions may be called from any thread that does not hold Python.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// [`ABI`].
    pub abi: u32,
    /// [`BUILD`](crate::BUILD) of the host, NUL-terminated.
    pub version: *const c_char,
    /// Starts Python in this process, once: `launch` is an encoded [`crate::launch::Launch`]. The host copies `server`. The
    /// calling thread becomes Python's main thread. Answers 0, or something else after it has logged why not.
    pub start: unsafe extern "C" fn(launch: *const u8, length: usize, server: *const Server) -> i32,
    /// Runs one request on the calling thread. `head` is the payload of a request frame. Answers one of [`outcome`].
    pub handle: unsafe extern "C" fn(exchange: *const Exchange, head: *const u8, length: usize) -> i32,
    /// Calls a function of an access, authentication, group or dispatch script on the calling thread: `call` is an encoded
    /// [`crate::script_call::Call`]. Before it returns it gives an encoded [`crate::script_call::Answer`] to
    /// [`Exchange::answer`], once. 0, or something else when it could not.
    pub call: unsafe extern "C" fn(exchange: *const Exchange, call: *const u8, length: usize) -> i32,
    /// Ends Python in this process. No request may run any more.
    pub stop: unsafe extern "C" fn(),
}

/// What the host may ask of Apache at any time, from any thread.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Writes one line to the server's log: the payload of a log frame.
    pub log: unsafe extern "C" fn(record: *const u8, length: usize),
    /// Reads httpd's scoreboard: gives an encoded [`crate::scoreboard::Scoreboard`] to `take`, or nothing where there is none.
    pub scoreboard: unsafe extern "C" fn(take: TakeBytes, context: *mut c_void),
}

/// Takes bytes that are valid during the call; `context` is the host's.
pub type TakeBytes = unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, length: usize);

/// How a request ended, as [`Host::handle`] answers it.
pub mod outcome {
    /// A complete response was given.
    pub const COMPLETE: i32 = 0;
    /// The response was begun and cannot be completed.
    pub const TRUNCATED: i32 = 1;
    /// The client is gone.
    pub const CLIENT_GONE: i32 = 2;
    // 400 to 599: no response was begun, and this status is for the client.
}

/// What becomes of a piece of the response body.
pub mod fate {
    /// It may wait for what comes after it.
    pub const WAITS: i32 = 0;
    /// It is sent on its way now.
    pub const NOW: i32 = 1;
    /// It is the last, so that httpd can count a body that is there as a whole. Then [`Host::handle`](super::Host::handle)
    /// answers that the response is complete.
    pub const LAST: i32 = 2;
}

/// What the host may ask of Apache while a request runs; each function gets `context` first. Called on the request's
/// thread only, and never while Python is attached.
#[repr(C)]
#[derive(Debug)]
pub struct Exchange {
    /// Belongs to the module.
    pub context: *mut c_void,
    /// Reads a piece of the request body into `buffer`: its length, 0 at the end, or -1 after which `read_error` tells why.
    pub read: unsafe extern "C" fn(context: *mut c_void, buffer: *mut u8, length: usize) -> isize,
    /// The text of the last failed `read`, valid until the next call.
    pub read_error: unsafe extern "C" fn(context: *mut c_void, length: *mut usize) -> *const u8,
    /// Takes status and headers: the payload of a head frame. 0, or -1 when it was not understood.
    pub head: unsafe extern "C" fn(context: *mut c_void, head: *const u8, length: usize) -> i32,
    /// Takes a piece of the response body; `fate` is one of [`fate`]. 0, or -1 when the client is gone.
    pub data: unsafe extern "C" fn(context: *mut c_void, data: *const u8, length: usize, fate: i32) -> i32,
    /// Takes a file for the rest of the response body: `length` bytes from `offset` on of an open descriptor, which httpd
    /// duplicates before this returns. 0, or -1 when the client is gone. Windows has no descriptors that the two could share.
    #[cfg(unix)]
    pub file: unsafe extern "C" fn(context: *mut c_void, descriptor: i32, offset: u64, length: u64) -> i32,
    /// Writes one line to the log of the request's virtual host: the payload of a log frame.
    pub log: unsafe extern "C" fn(context: *mut c_void, record: *const u8, length: usize),
    /// Takes the answer of a script's function; only within [`Host::call`].
    pub answer: unsafe extern "C" fn(context: *mut c_void, answer: *const u8, length: usize),
    /// Whether mod_ssl encrypts the connection: 0 or 1; only within [`Host::call`].
    pub is_https: unsafe extern "C" fn(context: *mut c_void) -> i32,
    /// The value of a variable of mod_ssl's, or null; valid until the request ends; only within [`Host::call`].
    pub ssl_variable: unsafe extern "C" fn(
        context: *mut c_void,
        name: *const u8,
        name_length: usize,
        length: *mut usize,
    ) -> *const u8,
    /// httpd's `request_rec`, for `apache.request_rec`; null unless `WSGIPassApacheRequest` is on.
    pub request_rec: *mut c_void,
}
