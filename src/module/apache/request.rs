//! Requests: what is read of them, and what a response sets on them.

#![allow(unused_unsafe, reason = "field! is unsafe by itself, and stands inside of unsafe blocks too")]

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::pool::Pool;
use super::server::Server;
use super::table::Table;
use super::{bytes, ffi};

/// A borrowed request.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    raw: NonNull<ffi::request_rec>,
    borrow: PhantomData<&'r ()>,
}

macro_rules! field {
    ($request:expr, $($field:ident).+) => {
        // SAFETY: a Request is made from a record that lives for 'r, and so do the records it points to; fields are
        // read through the raw pointer.
        unsafe { field!(@ (*$request.raw.as_ptr()), $($field).+) }
    };
    (@ $record:expr, $field:ident) => { $record.$field };
    (@ $record:expr, $field:ident . $($more:ident).+) => { field!(@ (*$record.$field), $($more).+) };
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $($field:ident).+;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self) -> Option<&'r [u8]> {
            // SAFETY: httpd's texts are null or NUL-terminated, in a pool at least as old as the request.
            unsafe { bytes(field!(self, $($field).+)) }
        }
    )*};
}

impl<'r> Request<'r> {
    /// Wraps a request.
    ///
    /// # Safety
    /// `raw` lives for `'r`.
    pub(super) unsafe fn new(raw: *mut ffi::request_rec) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, borrow: PhantomData })
    }

    pub(super) fn raw(self) -> *mut ffi::request_rec {
        self.raw.as_ptr()
    }

    pub(super) fn connection(self) -> *mut ffi::conn_rec {
        field!(self, connection)
    }

    texts! {
        /// The path of the URL, decoded.
        uri = uri;
        /// What of the path follows the file.
        path_info = path_info;
        /// The file the URL was mapped to.
        filename = filename;
        /// The query string.
        args = args;
        /// The method.
        method = method;
        /// The protocol of the request line.
        protocol = protocol;
        /// The request line.
        request_line = the_request;
        /// The handler that is to answer.
        handler = handler;
        /// Who the client is, after authentication.
        user = user;
        /// How the client was authenticated.
        auth_type = ap_auth_type;
        /// The host the request is for.
        hostname = hostname;
        /// The client's address, as mod_remoteip may have set it.
        client_ip = useragent_ip;
        /// The address the connection came in at.
        local_ip = connection.local_ip;
        /// The administrator's address.
        server_admin = server.server_admin;
        /// The id in the error log, if it has one already.
        log_id = log_id;
        /// The connection's id in the error log, if it has one already.
        connection_log_id = connection.log_id;
    }

    /// The client's host name, if httpd has looked it up already.
    #[must_use]
    pub fn known_remote_host(self) -> Option<&'r [u8]> {
        // SAFETY: null or NUL-terminated, in the connection's pool.
        unsafe { bytes(field!(self, connection.remote_host)) }.filter(|host| !host.is_empty())
    }

    /// Whether `Satisfy Any` lets an authenticated user in whom an access check has refused.
    #[must_use]
    pub fn satisfies_any_with_authentication(self) -> bool {
        // SAFETY: the request is live.
        unsafe {
            ffi::ap_satisfies(self.raw()) == ffi::SATISFY_ANY as i32 && ffi::ap_some_auth_required(self.raw()) != 0
        }
    }

    /// Sets who the client is.
    pub fn set_user(self, name: &[u8]) {
        // SAFETY: the request is live and this thread serves it; the text lives in its pool.
        unsafe { (*self.raw()).user = self.pool().text(name) };
    }

    /// What `ServerSignature` puts below error pages.
    #[must_use]
    pub fn server_signature(self) -> &'r [u8] {
        // SAFETY: the request is live; the text is NUL-terminated in its pool.
        unsafe { bytes(ffi::ap_psignature(c"".as_ptr(), self.raw())) }.unwrap_or_default()
    }

    /// The server the request is for.
    #[must_use]
    pub fn server(self) -> Server<'r> {
        // SAFETY: a request always has a server, which lives as long as the configuration.
        unsafe { Server::new(field!(self, server)) }
            .unwrap_or_else(|| unreachable!("httpd gives every request a server"))
    }

    pub(super) fn pool(self) -> Pool<'r> {
        // SAFETY: a request lives in its pool (r->pool).
        unsafe { Pool::new(field!(self, pool)) }.unwrap_or_else(|| unreachable!("httpd gives every request a pool"))
    }

    /// The request headers.
    #[must_use]
    pub fn headers_in(self) -> Table<'r> {
        // SAFETY: a request has this table from its start to its end.
        unsafe { Table::new(field!(self, headers_in)) }
    }

    /// Variables of SetEnv and its like.
    #[must_use]
    pub fn variables(self) -> Table<'r> {
        // SAFETY: a request has this table from its start to its end.
        unsafe { Table::new(field!(self, subprocess_env)) }
    }

    /// Notes between modules.
    #[must_use]
    pub fn notes(self) -> Table<'r> {
        // SAFETY: a request has this table from its start to its end.
        unsafe { Table::new(field!(self, notes)) }
    }

    /// The request this one was redirected from, inside of httpd.
    #[must_use]
    pub fn previous(self) -> Option<Request<'r>> {
        // SAFETY: null, or a request that lives at least as long.
        unsafe { Request::new(field!(self, prev)) }
    }

    /// When the request was read, in microseconds since the epoch.
    #[must_use]
    pub fn time(self) -> u64 {
        u64::try_from(field!(self, request_time)).unwrap_or_default()
    }

    /// Bytes of the response body that have gone through httpd's filters so far.
    #[must_use]
    pub fn bytes_sent(self) -> u64 {
        u64::try_from(field!(self, bytes_sent)).unwrap_or_default()
    }

    /// Status of the response.
    #[must_use]
    pub fn status(self) -> u16 {
        u16::try_from(field!(self, status)).unwrap_or_default()
    }

    /// Whether only the head of the response is wanted.
    #[must_use]
    pub fn head_only(self) -> bool {
        field!(self, header_only) != 0
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    #[must_use]
    pub fn expects_continue(self) -> bool {
        // SAFETY: a bit field of the live record.
        unsafe { (*self.raw()).expecting_100 != 0 }
    }

    /// Whether the URL's file is there, as httpd found when it mapped the URL.
    #[must_use]
    pub fn file_kind(self) -> FileKind {
        match field!(self, finfo).filetype {
            ffi::APR_NOFILE => FileKind::None,
            ffi::APR_DIR => FileKind::Directory,
            _ => FileKind::File,
        }
    }

    /// `AcceptPathInfo Off`.
    #[must_use]
    pub fn rejects_path_info(self) -> bool {
        field!(self, used_path_info) == ffi::AP_REQ_REJECT_PATH_INFO as i32
    }

    /// `Options ExecCGI`.
    #[must_use]
    pub fn may_execute(self) -> bool {
        // SAFETY: the request is live.
        unsafe { ffi::ap_allow_options(self.raw()) & ffi::OPT_EXECCGI as i32 != 0 }
    }

    /// Whether the first output filter changes the body or its headers, so that it wants a body for HEAD too.
    #[must_use]
    pub fn has_content_filter(self) -> bool {
        let filter = field!(self, output_filters);
        // SAFETY: a request's filter chain is never empty, and each filter has its record.
        unsafe { filter.as_ref().is_some_and(|filter| (*filter.frec).ftype < ffi::AP_FTYPE_PROTOCOL) }
    }

    /// `LimitRequestBody` in bytes; 0 is none.
    #[must_use]
    pub fn body_limit(self) -> u64 {
        // SAFETY: the request is live.
        u64::try_from(unsafe { ffi::ap_get_limit_req_body(self.raw()) }).unwrap_or_default()
    }

    /// Whether the client is gone.
    #[must_use]
    pub fn is_aborted(self) -> bool {
        // SAFETY: a bit field of the live connection.
        unsafe { (*self.connection()).aborted != 0 }
    }

    /// Closes the connection once this response is out.
    pub fn close_connection(self) {
        // SAFETY: the connection is live, and this thread serves it.
        unsafe { (*self.connection()).keepalive = ffi::AP_CONN_CLOSE };
    }

    /// The server's name for URLs.
    #[must_use]
    pub fn server_name(self) -> &'r [u8] {
        // SAFETY: the request is live; the text is NUL-terminated in its pool.
        let name = unsafe { bytes(ffi::ap_get_server_name_for_url(self.raw())) }.unwrap_or_default();
        if !name.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | b'"')) {
            return name;
        }
        // SAFETY: as above; the escaped copy is in the request's pool.
        unsafe { bytes(ffi::ap_escape_html2(self.pool().raw(), self.pool().text(name), 0)) }.unwrap_or_default()
    }

    /// The server's port.
    #[must_use]
    pub fn server_port(self) -> u16 {
        // SAFETY: the request is live.
        unsafe { ffi::ap_get_server_port(self.raw()) }
    }

    /// The port of the client's end of the connection.
    #[must_use]
    pub fn client_port(self) -> u16 {
        // SAFETY: a connection has its client's address.
        unsafe { field!(self, connection.client_addr).as_ref() }.map_or(0, |address| address.port)
    }

    /// The port the connection came in at.
    #[must_use]
    pub fn local_port(self) -> u16 {
        // SAFETY: a connection has its local address.
        unsafe { field!(self, connection.local_addr).as_ref() }.map_or(0, |address| address.port)
    }

    /// `https` or `http`, as the connection is.
    #[must_use]
    pub fn scheme(self) -> &'r [u8] {
        // SAFETY: the request is live; the text is static.
        unsafe { bytes(ffi::ap_run_http_scheme(self.raw())) }.unwrap_or(b"http")
    }

    /// `DocumentRoot`.
    #[must_use]
    pub fn document_root(self) -> &'r [u8] {
        // SAFETY: the request is live; the text is NUL-terminated in the configuration's pool.
        unsafe { bytes(ffi::ap_document_root(self.raw())) }.unwrap_or_default()
    }

    /// Prefix and document root that mod_alias and its like have mapped.
    #[must_use]
    pub fn context(self) -> (&'r [u8], &'r [u8]) {
        // SAFETY: the request is live; the texts are NUL-terminated.
        unsafe {
            let prefix = bytes(ffi::ap_context_prefix(self.raw())).unwrap_or_default();
            (prefix, bytes(ffi::ap_context_document_root(self.raw())).unwrap_or_default())
        }
    }

    /// The server's banner, as `ServerTokens` wants it.
    #[must_use]
    pub fn banner(self) -> &'static [u8] {
        // SAFETY: a text that lives as long as the configuration, which lives as long as requests do; copied at once.
        unsafe { bytes(ffi::ap_get_server_banner()) }.unwrap_or_default()
    }

    /// A time in microseconds since the epoch, as a clock here shows it.
    #[must_use]
    pub fn local_time(self, time: u64) -> String {
        let time = i64::try_from(time).unwrap_or_default();
        // SAFETY: the format is NUL-terminated; the text is in the request's pool.
        let text = unsafe { bytes(ffi::ap_ht_time(self.pool().raw(), time, c"%Y-%m-%d %H:%M:%S".as_ptr(), 0)) };
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    }

    /// `EnableMMAP` is not off.
    #[must_use]
    pub fn allows_mmap(self) -> bool {
        // SAFETY: the request is live.
        unsafe { ffi::wsgi_shim_allows_mmap(self.raw()) != 0 }
    }

    /// `CGIPassAuth On`: applications may see credentials.
    #[must_use]
    pub fn passes_credentials(self) -> bool {
        // SAFETY: the request is live.
        unsafe { ffi::wsgi_shim_passes_credentials(self.raw()) != 0 }
    }

    /// `CGIVar REQUEST_URI current-uri`: it is the URL after internal redirects.
    #[must_use]
    pub fn request_uri_is_current(self) -> bool {
        // SAFETY: the request is live.
        unsafe { ffi::wsgi_shim_request_uri_is_current(self.raw()) != 0 }
    }

    /// Whether mod_ssl encrypts the connection.
    #[must_use]
    pub fn is_https(self) -> bool {
        // SAFETY: the connection is live.
        unsafe { ffi::wsgi_shim_is_https(self.connection()) != 0 }
    }

    /// The value of a variable of mod_ssl's.
    #[must_use]
    pub fn ssl_variable(self, name: &[u8]) -> Option<&'r [u8]> {
        // SAFETY: the request is live; the value is null or NUL-terminated, in its pool or the configuration's.
        unsafe { bytes(ffi::wsgi_shim_ssl_variable(self.raw(), self.pool().text(name))) }
    }

    /// The record itself, for `apache.request_rec`.
    #[must_use]
    pub fn as_raw(self) -> *mut std::ffi::c_void {
        self.raw().cast()
    }

    /// The id of the request in the error log, made if it has none.
    #[must_use]
    pub fn make_log_id(self) -> Option<&'r [u8]> {
        if self.log_id().is_none() {
            // SAFETY: request and connection are live; httpd writes the id, in the request's pool.
            unsafe { ffi::ap_run_generate_log_id(self.connection(), self.raw(), &raw mut (*self.raw()).log_id) };
        }
        self.log_id()
    }

    /// How much of the URL stands before the path info, as httpd's CGI code finds it.
    #[must_use]
    pub fn script_name_length(self, path_info: &[u8]) -> usize {
        let (Some(uri), Ok(path_info)) = (self.uri(), CString::new(path_info)) else { return 0 };
        let uri = self.pool().text(uri);
        // SAFETY: both are NUL-terminated; the function reads only.
        usize::try_from(unsafe { ffi::ap_find_path_info(uri, path_info.as_ptr()) }).unwrap_or_default()
    }

    /// Maps the request to a file and a handler, as `ScriptAlias` does.
    pub fn map_to(self, filename: &[u8], handler: &'static CStr) {
        let pool = self.pool();
        // SAFETY: the request is live and this thread serves it; the texts live in its pool or for ever.
        unsafe {
            (*self.raw()).filename = pool.text(filename);
            (*self.raw()).handler = handler.as_ptr();
            ffi::apr_table_setn(self.notes().raw(), c"alias-forced-type".as_ptr(), handler.as_ptr());
        }
    }

    /// Leaves a note.
    pub fn set_note(self, name: &'static CStr, value: &[u8]) {
        // SAFETY: name and value live at least as long as the request.
        unsafe { ffi::apr_table_setn(self.notes().raw(), name.as_ptr(), self.pool().text(value)) };
    }

    /// Sets the status of the response.
    pub fn set_status(self, status: u16, line: &[u8]) {
        // SAFETY: the request is live and this thread serves it; the line lives in its pool.
        unsafe {
            (*self.raw()).status = i32::from(status);
            (*self.raw()).status_line = self.pool().text(line);
        }
    }

    /// Takes back what [`Request::set_status`] set, so that httpd's own error page is what the client gets.
    pub fn clear_response(self) {
        // SAFETY: the request is live and this thread serves it; no header has been sent.
        unsafe {
            (*self.raw()).status = ffi::HTTP_OK as i32;
            (*self.raw()).status_line = std::ptr::null();
            ffi::apr_table_clear((*self.raw()).headers_out);
        }
    }

    /// Sets the type of the response.
    pub fn set_content_type(self, value: &[u8]) {
        // SAFETY: the request is live; the text lives in its pool.
        unsafe { ffi::ap_set_content_type(self.raw(), self.pool().text(value)) };
    }

    /// Sets the length of the response body in bytes.
    pub fn set_content_length(self, length: u64) {
        // SAFETY: the request is live.
        unsafe { ffi::ap_set_content_length(self.raw(), i64::try_from(length).unwrap_or(i64::MAX)) };
    }

    /// Adds a header to the response; one that httpd sends with its error pages too, if `always`.
    pub fn add_header(self, name: &[u8], value: &[u8], always: bool) {
        let pool = self.pool();
        let table = if always { field!(self, err_headers_out) } else { field!(self, headers_out) };
        // SAFETY: the table lives as long as the request, and so do the copies.
        unsafe { ffi::apr_table_addn(table, pool.text(name), pool.text(value)) };
    }

    /// Matches the path of the URL against a pattern; where it does, the target with its `$N` filled in, and how many
    /// bytes of the path the match reaches to.
    #[must_use]
    pub fn match_pattern(self, pattern: Pattern, target: &[u8]) -> Option<(Vec<u8>, usize)> {
        const GROUPS: usize = ffi::AP_MAX_REG_MATCH as usize;
        let uri = self.pool().text(self.uri()?);
        // SAFETY: all-zero offsets are valid values.
        let mut offsets: [ffi::ap_regmatch_t; GROUPS] = unsafe { std::mem::zeroed() };
        // SAFETY: the pattern was compiled by httpd and lives as long as the configuration; there is room for GROUPS.
        unsafe {
            if ffi::ap_regexec(pattern.0, uri, GROUPS, offsets.as_mut_ptr(), 0) != 0 {
                return None;
            }
            let target = self.pool().text(target);
            let filled = ffi::ap_pregsub(self.pool().raw(), target, uri, GROUPS, offsets.as_mut_ptr());
            let end = usize::try_from(offsets[0].rm_eo).unwrap_or_default();
            Some((bytes(filled)?.to_vec(), end))
        }
    }
}

/// What the URL's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing is there.
    None,
    /// A directory.
    Directory,
    /// A file, or something like one.
    File,
}

/// A compiled regular expression of httpd's, in the configuration's pool.
#[derive(Debug, Clone, Copy)]
pub struct Pattern(*const ffi::ap_regex_t);

// SAFETY: httpd compiles it once; matching only reads.
unsafe impl Send for Pattern {}
// SAFETY: as above.
unsafe impl Sync for Pattern {}

impl Pattern {
    /// Compiles a pattern; `None` where it is not one.
    pub(super) fn compile(pool: Pool<'_>, text: &str) -> Option<Self> {
        let text = CString::new(text).ok()?;
        // SAFETY: the text is NUL-terminated; the result is null or lives in the pool.
        let compiled = unsafe { ffi::ap_pregcomp(pool.raw(), text.as_ptr(), ffi::AP_REG_EXTENDED as i32) };
        (!compiled.is_null()).then_some(Self(compiled))
    }
}
