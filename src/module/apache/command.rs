//! The table of directives, and what turns httpd's callbacks into safe setters.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::pool::Pool;
use super::request::Pattern;
use super::server::Server;
use super::{bytes, ffi};
use crate::config::directives as set;
use crate::config::mention::{Mention, Position, Said};
use crate::config::{Definitions, DirConfig, ServerConfig};
use crate::guard::guarded;

/// A directive being read.
#[derive(Clone, Copy)]
pub struct Command<'c> {
    raw: NonNull<ffi::cmd_parms>,
    borrow: PhantomData<&'c ()>,
}

impl<'c> Command<'c> {
    /// The pool of the configuration (pconf).
    pub(super) fn pool(self) -> Pool<'c> {
        // SAFETY: httpd gives every directive its pool.
        unsafe { Pool::new((*self.raw.as_ptr()).pool) }
            .unwrap_or_else(|| unreachable!("httpd gives every directive a pool"))
    }

    /// The server the directive stands in.
    #[must_use]
    pub fn server(self) -> Server<'c> {
        // SAFETY: httpd gives every directive its server.
        unsafe { Server::new((*self.raw.as_ptr()).server) }
            .unwrap_or_else(|| unreachable!("httpd gives every directive a server"))
    }

    /// Refuses a directive of the whole server inside of a container.
    ///
    /// # Errors
    /// httpd's own sentence.
    pub fn must_be_global(self) -> Result<(), String> {
        // SAFETY: the directive is live; the answer is null or NUL-terminated.
        let refused =
            unsafe { bytes(ffi::ap_check_cmd_context(self.raw.as_ptr(), ffi::wsgi_shim_global_only() as u32)) };
        refused.map_or(Ok(()), |text| Err(String::from_utf8_lossy(text).into_owned()))
    }

    /// Where it stands.
    #[must_use]
    pub fn position(self) -> Position {
        // SAFETY: the command's record and the directive are live while its setter runs; their texts are null or
        // NUL-terminated.
        let (name, file, line) = unsafe {
            let raw = self.raw.as_ptr();
            let name = (*raw).cmd.as_ref().and_then(|record| bytes(record.name));
            let directive = (*raw).directive.as_ref();
            (name, directive.and_then(|found| bytes(found.filename)), directive.map(|found| found.line_num))
        };
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or_default();
        Position { directive: text(name), file: text(file), line }
    }

    /// Remembers what it says, for `apachectl configtest`; not in an .htaccess file, which is read for each request.
    pub fn mention(self, said: Said) {
        // SAFETY: the directive is live. httpd reads an .htaccess file with one pool for both (`ap_parse_htaccess`), and sets
        // a path inside of containers that are for a part of the server.
        let (is_htaccess, is_for_part) = unsafe {
            let raw = self.raw.as_ptr();
            ((*raw).pool == (*raw).temp_pool, !(*raw).path.is_null())
        };
        if is_htaccess {
            return;
        }
        let (position, server) = (self.position(), self.server().identity());
        self.definitions(|definitions| definitions.mentions.push(Mention { position, server, is_for_part, said }));
    }

    /// Compiles a regular expression.
    #[must_use]
    pub fn pattern(self, text: &str) -> Option<Pattern> {
        Pattern::compile(self.pool(), text)
    }

    /// A path below `ServerRoot`, unless it is absolute.
    #[must_use]
    pub fn server_root_path(self, path: &str) -> Option<Vec<u8>> {
        super::server::server_root_path(self.pool(), path.as_bytes())
    }

    /// Reads the directives inside of this one.
    ///
    /// # Errors
    /// The sentence of the first directive that was refused; httpd names its file and line by itself.
    pub fn read_inner(self) -> Result<(), String> {
        // SAFETY: the directive is live; httpd walks its children with the context it gave to this one.
        let refused = unsafe {
            let raw = self.raw.as_ptr();
            let outer = (*raw).directive;
            let refused = bytes(ffi::ap_walk_config((*outer).first_child, raw, (*raw).context));
            if refused.is_none() {
                (*raw).directive = outer;
            }
            refused
        };
        refused.map_or(Ok(()), |text| Err(String::from_utf8_lossy(text).into_owned()))
    }

    /// What has been defined for the whole of httpd so far.
    pub fn definitions<T>(self, body: impl FnOnce(&mut Definitions) -> T) -> T {
        body(definitions(self.pool()))
    }
}

/// What the configuration whose pool this is has defined for the whole of httpd.
///
/// The reference must not be held while another one is asked for; httpd reads its configuration in one thread, and both
/// callers use it up at once.
pub(crate) fn definitions<'p>(pconf: Pool<'p>) -> &'p mut Definitions {
    const KEY: &CStr = c"mod_wsgi_definitions";
    // SAFETY: under this key there is nothing but what is put there two lines below, in the same pool.
    let found = unsafe { pconf.data::<Definitions>(KEY) };
    let mut kept = found.unwrap_or_else(|| {
        let kept = pconf.keep(Definitions::default());
        pconf.set_data(KEY, kept);
        kept
    });
    // SAFETY: lives as long as the pool; see above for exclusiveness.
    unsafe { kept.as_mut() }
}

/// Calls a setter with its argument as text; its refusal becomes the sentence httpd prints behind file and line.
fn call(
    command: *mut ffi::cmd_parms,
    argument: *const c_char,
    setter: impl FnOnce(Command<'_>, &str) -> Result<(), String>,
) -> *const c_char {
    let Some(raw) = NonNull::new(command) else { return c"mod_wsgi: httpd called without a directive".as_ptr() };
    let command = Command { raw, borrow: PhantomData };
    let refused = guarded(
        "a directive",
        || Err("WSGI7050: mod_wsgi failed while it read this directive".to_owned()),
        || {
            // SAFETY: httpd gives NUL-terminated text.
            let argument = unsafe { bytes(argument) }.unwrap_or_default();
            let argument = std::str::from_utf8(argument).map_err(|_| "the argument is not UTF-8".to_owned())?;
            setter(command, argument)
        },
    );
    match refused {
        Ok(()) => std::ptr::null(),
        Err(reason) => {
            // SAFETY: the command's record is live while its setter runs.
            let name = unsafe { (*raw.as_ptr()).cmd.as_ref().and_then(|record| bytes(record.name)) };
            let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
            let said = if reason.contains(&name) { reason } else { format!("{name}: {reason}") };
            command.pool().text(said.as_bytes())
        }
    }
}

macro_rules! server_setter {
    ($function:path) => {{
        unsafe extern "C" fn setter(c: *mut ffi::cmd_parms, _place: *mut c_void, text: *const c_char) -> *const c_char {
            call(c, text, |command, text| {
                // SAFETY: httpd reads its configuration in one thread and holds no reference to our part.
                let config: Option<&mut ServerConfig> = unsafe { command.server().config_mut() };
                config.map_or(Err("this server has no configuration".to_owned()), |config| {
                    $function(command, config, text)
                })
            })
        }
        setter
    }};
}

macro_rules! place_setter {
    ($function:path) => {{
        unsafe extern "C" fn setter(c: *mut ffi::cmd_parms, place: *mut c_void, text: *const c_char) -> *const c_char {
            call(c, text, |command, text| {
                // SAFETY: httpd hands out the record that create_dir_config made for this place, and nobody else has it.
                let config = unsafe { place.cast::<DirConfig>().as_mut() };
                config.map_or(Err("this place has no configuration".to_owned()), |config| $function(command, config, text))
            })
        }
        setter
    }};
}

type Setter = unsafe extern "C" fn(*mut ffi::cmd_parms, *mut c_void, *const c_char) -> *const c_char;

/// Where a directive may stand.
const SERVER: c_int = ffi::RSRC_CONF as c_int;
const PLACE: c_int = (ffi::RSRC_CONF | ffi::ACCESS_CONF) as c_int;
const HTACCESS: c_int = ffi::OR_FILEINFO as c_int;
const AUTH_PLACE: c_int = ffi::OR_AUTHCFG as c_int;

const fn one(name: &'static CStr, setter: Setter, place: c_int, help: &'static CStr) -> ffi::command_rec {
    record(name, ffi::cmd_func { take1: Some(setter) }, ffi::TAKE1, place, help)
}

const fn raw(name: &'static CStr, setter: Setter, place: c_int, help: &'static CStr) -> ffi::command_rec {
    record(name, ffi::cmd_func { raw_args: Some(setter) }, ffi::RAW_ARGS, place, help)
}

const fn record(
    name: &'static CStr,
    func: ffi::cmd_func,
    args_how: ffi::cmd_how,
    place: c_int,
    help: &'static CStr,
) -> ffi::command_rec {
    ffi::command_rec {
        name: name.as_ptr(),
        func,
        cmd_data: std::ptr::null_mut(),
        req_override: place,
        args_how,
        errmsg: help.as_ptr(),
    }
}

const END: ffi::command_rec = ffi::command_rec {
    name: std::ptr::null(),
    func: ffi::cmd_func { no_args: None },
    cmd_data: std::ptr::null_mut(),
    req_override: 0,
    args_how: ffi::RAW_ARGS,
    errmsg: std::ptr::null(),
};

/// The table, in a form that a static may have.
pub(super) struct Commands<const N: usize>([ffi::command_rec; N]);

// SAFETY: httpd only reads the table; its texts and functions are static.
unsafe impl<const N: usize> Sync for Commands<N> {}

impl<const N: usize> Commands<N> {
    pub(super) const fn as_ptr(&self) -> *const ffi::command_rec {
        self.0.as_ptr()
    }
}

/// Every directive: name, setter, where it may stand, and what `apachectl -L` says of it.
pub(super) static COMMANDS: Commands<53> = Commands([
    raw(c"WSGIScriptAlias", server_setter!(set::script_alias), SERVER, c"URL path and the script or folder of scripts it stands for, then process-group=, application-group=, callable-object=, pass-authorization="),
    raw(c"WSGIScriptAliasMatch", server_setter!(set::script_alias_match), SERVER, c"Regular expression for URL paths and the script it stands for, then the options of WSGIScriptAlias"),
    raw(c"WSGIDaemonProcess", server_setter!(set::daemon_process), SERVER, c"Name of a group of daemon processes, then options name=value"),
    raw(c"WSGIImportScript", server_setter!(set::import_script), SERVER, c"Script to load when a process starts, with process-group= and application-group="),
    one(c"WSGISocketPrefix", server_setter!(set::socket_prefix), SERVER, c"Path that the daemon sockets' names begin with"),
    one(c"WSGISocketRotation", server_setter!(set::socket_rotation), SERVER, c"On or Off; no meaning here: sockets live as long as their group, over reloads"),
    one(c"WSGIAcceptMutex", server_setter!(set::accept_mutex), SERVER, c"Name of a lock method; no meaning here: there is no accept lock"),
    one(c"WSGILazyInitialization", server_setter!(set::lazy_initialization), SERVER, c"On or Off; no meaning here: Apache's parent process never has Python"),
    one(c"WSGIVerboseDebugging", server_setter!(set::verbose_debugging), SERVER, c"On or Off; no meaning: use LogLevel wsgi:debug"),
    one(c"WSGIPythonHome", server_setter!(set::python_home), SERVER, c"Virtual environment or prefix of the Python to use"),
    one(c"WSGIPythonPath", server_setter!(set::python_path), SERVER, c"Folders to add to sys.path in embedded mode, joined by colons"),
    one(c"WSGIPythonEggs", server_setter!(set::python_eggs), SERVER, c"PYTHON_EGG_CACHE in embedded mode"),
    one(c"WSGIPythonOptimize", server_setter!(set::python_optimize), SERVER, c"Python's optimisation level: 0, 1 or 2"),
    one(c"WSGIPythonWarnings", server_setter!(set::python_warnings), SERVER, c"A warning filter, as python -W takes it; may be given again"),
    one(c"WSGIPythonHashSeed", server_setter!(set::python_hash_seed), SERVER, c"Seed of string hashes: random, or 0 to 4294967295"),
    one(c"WSGIDontWriteBytecode", server_setter!(set::dont_write_bytecode), SERVER, c"On to write no .pyc files"),
    one(c"WSGISwitchInterval", server_setter!(set::switch_interval), SERVER, c"Seconds between thread switches of Python"),
    one(c"WSGIDestroyInterpreter", server_setter!(set::destroy_interpreter), SERVER, c"Off to leave interpreters alone when a process ends"),
    one(c"WSGIRestrictEmbedded", server_setter!(set::restrict_embedded), SERVER, c"On to refuse embedded mode"),
    one(c"WSGIServerMetrics", server_setter!(set::server_metrics), SERVER, c"On to let embedded applications see the scoreboard with mod_wsgi.server_metrics()"),
    raw(c"WSGITelemetryService", server_setter!(set::telemetry_service), SERVER, c"The socket of mod_wsgi-telemetry as unix:/path, then interval=seconds"),
    one(c"WSGISlowRequests", server_setter!(set::slow_requests), SERVER, c"Seconds from which on a request is reported to WSGITelemetryService by itself"),
    raw(c"WSGITelemetryOptions", server_setter!(set::telemetry_options), SERVER, c"None, All, or flags such as +CaptureUserAgent for WSGITelemetryService"),
    one(c"WSGIRestrictStdin", server_setter!(set::restrict_stdin), SERVER, c"On to refuse the use of sys.stdin"),
    one(c"WSGIRestrictStdout", server_setter!(set::restrict_stdout), SERVER, c"On to refuse the use of sys.stdout"),
    one(c"WSGIRestrictSignal", server_setter!(set::restrict_signal), SERVER, c"Off to let applications install signal handlers"),
    one(c"WSGICaseSensitivity", server_setter!(set::case_sensitivity), SERVER, c"Off where file names differ in more than case"),
    raw(c"WSGIRestrictProcess", place_setter!(set::restrict_process), PLACE, c"The process groups that may be used here"),
    one(c"WSGIProcessGroup", place_setter!(set::process_group), PLACE, c"The process group that applications here run in"),
    one(c"WSGIApplicationGroup", place_setter!(set::application_group), PLACE, c"The interpreter that applications here run in"),
    one(c"WSGICallableObject", place_setter!(set::callable_object), HTACCESS, c"Name of the application in a script"),
    one(c"WSGIPassAuthorization", place_setter!(set::pass_authorization), HTACCESS, c"On to give applications the Authorization header"),
    one(c"WSGIScriptReloading", place_setter!(set::script_reloading), HTACCESS, c"Off to ignore changes of scripts"),
    one(c"WSGIErrorOverride", place_setter!(set::error_override), HTACCESS, c"On to put Apache's error pages in place of a daemon's"),
    one(c"WSGIChunkedRequest", place_setter!(set::chunked_request), HTACCESS, c"On to take request bodies of unknown length"),
    one(c"WSGIMapHEADToGET", place_setter!(set::map_head_to_get), HTACCESS, c"On, Off or Auto: whether applications see HEAD as GET"),
    raw(c"WSGITrustedProxyHeaders", place_setter!(set::trusted_proxy_headers), HTACCESS, c"Headers of a proxy in front that are believed"),
    raw(c"WSGITrustedProxies", place_setter!(set::trusted_proxies), HTACCESS, c"Addresses and networks of proxies in front; without it every peer is one"),
    raw(c"WSGIHandlerScript", place_setter!(set::handler_script), PLACE, c"Name of a handler and the script that answers for it, then process-group=, application-group=, pass-authorization="),
    one(c"WSGIEnableSendfile", place_setter!(set::enable_sendfile), HTACCESS, c"On to let the kernel send files of wsgi.file_wrapper"),
    one(c"WSGIPassApacheRequest", place_setter!(set::pass_apache_request), PLACE, c"On to give embedded applications apache.request_rec"),
    raw(c"WSGIAccessScript", place_setter!(set::access_script), AUTH_PLACE, c"Script whose allow_access() decides who gets in, and application-group="),
    raw(c"WSGIAuthUserScript", place_setter!(set::auth_user_script), AUTH_PLACE, c"Script whose check_password() or get_realm_hash() knows users, and application-group="),
    raw(c"WSGIAuthGroupScript", place_setter!(set::auth_group_script), AUTH_PLACE, c"Script whose groups_for_user() knows groups, and application-group="),
    raw(c"WSGIDispatchScript", place_setter!(set::dispatch_script), PLACE, c"Script that chooses process group, application group and callable, and application-group="),
    raw(c"<WSGIInterpreterOptions", server_setter!(set::interpreter_options), SERVER, c"Options for the interpreters of process-group= and application-group="),
    one(c"WSGIPerInterpreterGIL", server_setter!(set::per_interpreter_gil), SERVER, c"On to give every sub-interpreter a lock of its own, from Python 3.12 on"),
    one(c"WSGIFreeThreading", server_setter!(set::free_threading), SERVER, c"On to run a free-threaded Python without its lock"),
    one(c"WSGIIgnoreActivity", place_setter!(set::ignore_activity), HTACCESS, c"On to have requests here not count as activity for inactivity-timeout"),
    one(c"WSGIGroupAuthoritative", place_setter!(set::group_authoritative), AUTH_PLACE, c"On or Off; no meaning since Apache 2.4"),
    one(c"WSGITraceContext", place_setter!(set::trace_context), HTACCESS, c"On, Accept or Off: whether a request's traceparent is taken, and one made where there is none"),
    one(c"WSGIServerTiming", place_setter!(set::server_timing), HTACCESS, c"On to tell clients with Server-Timing what took how long"),
    END,
]);
