//! The content handler: checks a request, resolves where it runs, and has it run there.

use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mod_wsgi_core::group_name::{self, Facts};
use mod_wsgi_core::os_text::{bytes_of, os_text};
use mod_wsgi_core::script_call::{Answer, Function};
use mod_wsgi_core::trace_context::TraceParent;
use mod_wsgi_core::wire::{Key, LogLevel};

use crate::apache::request::{FileKind, Request};
use crate::apache::{DECLINED, log};
use crate::config::{HandlerScript, MapHead, Routing};
use crate::embedded;
use crate::environ::{self, merge_slashes};
use crate::figures;
use crate::identity;
use crate::metrics;
use crate::seat::Seated;
use crate::startup::Runtime;
use crate::status;
use crate::trace;
use crate::way;

/// What applies to one request, after directives and alias options.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Path of the script to run.
    pub script: Vec<u8>,
    /// Path of the handler script, or empty where the URL's own file is the script.
    pub handler_script: Vec<u8>,
    /// Which process group; empty is embedded mode.
    pub process_group: Vec<u8>,
    /// Which interpreter; empty is the main one.
    pub application_group: Vec<u8>,
    /// The name of the application in the script.
    pub callable: Vec<u8>,
    /// Whether the application sees the `Authorization` header.
    pub pass_authorization: bool,
    /// Whether changes of the script are looked for.
    pub script_reloading: bool,
    /// Whether httpd's error pages replace the application's.
    pub error_override: bool,
    /// Whether the kernel may send files by itself.
    pub enable_sendfile: bool,
    /// Whether embedded applications get httpd's request.
    pub pass_apache_request: bool,
    /// Whether the request leaves the group's inactivity alone.
    pub ignore_activity: bool,
    /// Whether HEAD becomes GET.
    pub map_head: MapHead,
    /// This process.
    pub server_pid: u32,
    /// The trace that the request belongs to, where `WSGITraceContext` is on.
    pub trace: Option<TraceParent>,
    /// Whether the client is told what took how long.
    pub server_timing: bool,
    /// How long the request has waited for a thread of a daemon, once that is known.
    pub queue: Cell<Option<Duration>>,
    /// How many bytes of the request body have been read so far.
    pub received: Cell<u64>,
}

/// A refusal of httpd's kind: the status it answers with.
pub type Status = i32;

const FORBIDDEN: Status = 403;
const NOT_FOUND: Status = 404;
const LENGTH_REQUIRED: Status = 411;
const BAD_REQUEST: Status = 400;
const TOO_LARGE: Status = 413;
/// What a client gets when the fault is on this side.
pub const INTERNAL_ERROR: Status = 500;

/// Answers requests for `wsgi-script`, and for what `WSGIHandlerScript` names.
pub fn hook_handler(r: Request<'_>) -> i32 {
    let Some(name) = r.handler() else { return DECLINED };
    if name == metrics::HANDLER {
        return metrics::answer(r);
    }
    if name == status::HANDLER {
        return status::answer(r);
    }
    let handler = r.dir_config().handlers.iter().find(|handler| handler.name == name);
    if handler.is_none() && name != b"wsgi-script" && name != b"application/x-httpd-wsgi" {
        return DECLINED;
    }
    match serve(r, handler) {
        Ok(status) | Err(status) => status,
    }
}

fn serve(r: Request<'_>, handler: Option<&HandlerScript>) -> Result<i32, Status> {
    // The URL of a handler script need not be a file.
    if handler.is_none() {
        check_script(r)?;
    }
    check_path_info(r)?;
    let has_body = check_body(r)?;
    let mut resolved = resolve(r, handler);
    dispatch(r, &mut resolved)?;
    check_process_group(r, &resolved)?;
    let config = r.server().config();
    let Some(runtime) = &config.runtime else {
        return Err(refuse(r, INTERNAL_ERROR, "WSGI0210: mod_wsgi has not been set up in this process"));
    };
    let begun = Instant::now();
    // Of a request before this one on the same thread.
    drop(log::take_last_error());
    let answered = run(r, runtime, &resolved, has_body);
    if let Some(board) = runtime.board(&resolved.process_group) {
        figures::record(board, r, &resolved, &answered, begun.elapsed());
    }
    answered
}

fn run(r: Request<'_>, runtime: &Runtime, resolved: &Resolved, has_body: bool) -> Result<i32, Status> {
    if !resolved.process_group.is_empty() {
        return crate::daemon::serve(r, runtime, resolved, has_body);
    }
    if r.server().config().restrict_embedded == Some(true) {
        return Err(refuse(
            r,
            INTERNAL_ERROR,
            "WSGI0143: embedded mode is forbidden by WSGIRestrictEmbedded: name a daemon process group with WSGIProcessGroup",
        ));
    }
    let _seated = Seated::take(&runtime.embedded_board, r, resolved.server_pid);
    crate::embedded::serve(r, &runtime.embedded, resolved)
}

/// Logs why a request is refused.
pub fn refuse(r: Request<'_>, status: Status, text: &str) -> Status {
    log_with_script(r, LogLevel::Error, text);
    status
}

/// Logs a line that names the script.
pub fn log_with_script(r: Request<'_>, level: LogLevel, text: &str) {
    let script = String::from_utf8_lossy(r.filename().unwrap_or_default());
    log::request(r, level, format!("[script {script}] {text}").as_bytes());
}

fn check_script(r: Request<'_>) -> Result<(), Status> {
    let is_alias = r.notes().get(c"alias-forced-type").is_some();
    if !is_alias && !r.may_execute() {
        return Err(refuse(
            r,
            FORBIDDEN,
            "WSGI0134: Options ExecCGI is off in this folder: allow it, or map the script with WSGIScriptAlias",
        ));
    }
    match r.file_kind() {
        FileKind::None => Err(refuse(r, NOT_FOUND, &without_script(r))),
        FileKind::Directory => Err(refuse(r, FORBIDDEN, "WSGI0136: the script is a folder")),
        FileKind::File => Ok(()),
    }
}

/// The line about a script that is not there: where it was to run, who has looked, and where the way to it ends.
fn without_script(r: Request<'_>) -> String {
    static WHO: OnceLock<String> = OnceLock::new();
    let resolved = resolve(r, None);
    let path = os_text(&resolved.script);
    let path = Path::new(&path);
    let answer = std::fs::symlink_metadata(path).map_or_else(|error| error.to_string(), |_| "it is no file".into());
    let cause = way::obstacle(path).map(|found| found.explained(path)).unwrap_or_default();
    // httpd takes what comes behind the first part that is missing for path info.
    let rest = r.path_info().filter(|rest| !rest.is_empty());
    let rest = rest.map(|rest| format!(" (behind it comes '{}')", String::from_utf8_lossy(rest))).unwrap_or_default();
    let (process, group) =
        (String::from_utf8_lossy(&resolved.process_group), String::from_utf8_lossy(&resolved.application_group));
    let mode = if process.is_empty() { "embedded mode".into() } else { format!("process group '{process}'") };
    format!(
        "WSGI0135: the script '{}'{rest} for {mode}, application group '{group}', is not found by {}, who Apache's children are: {answer}{cause}",
        path.display(),
        // Looked up once: who asks for what is not there asks often, and a directory server may have to answer.
        WHO.get_or_init(|| identity::apache().describe())
    )
}

fn check_path_info(r: Request<'_>) -> Result<(), Status> {
    let path_info = r.path_info().unwrap_or_default();
    if r.rejects_path_info() && !path_info.is_empty() {
        return Err(refuse(r, NOT_FOUND, "WSGI0137: AcceptPathInfo is off, and the URL goes on behind the script"));
    }
    Ok(())
}

/// Checks what the request says of its body; whether it has one.
fn check_body(r: Request<'_>) -> Result<bool, Status> {
    let headers = r.headers_in();
    if headers.get(c"Transfer-Encoding").is_some_and(|coding| !coding.is_empty()) {
        if r.dir_config().chunked_request != Some(true) {
            return Err(refuse(
                r,
                LENGTH_REQUIRED,
                "WSGI0139: a body of unknown length came; WSGIChunkedRequest On takes it",
            ));
        }
        return Ok(true);
    }
    let Some(length) = headers.get(c"Content-Length") else { return Ok(false) };
    let Ok(length) = mod_wsgi_core::response_rules::content_length(length) else {
        return Err(refuse(r, BAD_REQUEST, "WSGI0141: Content-Length is not a number"));
    };
    if r.body_limit() > 0 && length > r.body_limit() {
        return Err(refuse(r, TOO_LARGE, "WSGI7067: the body is longer than LimitRequestBody allows"));
    }
    Ok(length > 0)
}

/// What a request is, for `%{…}` tokens.
pub struct RequestFacts<'r> {
    request: Request<'r>,
    case_sensitive: bool,
}

impl<'r> RequestFacts<'r> {
    /// The facts of a request.
    #[must_use]
    pub fn of(request: Request<'r>) -> Self {
        Self { request, case_sensitive: request.server().config().python.is_case_sensitive() }
    }

    fn with_port(&self, name: &[u8]) -> Vec<u8> {
        match self.request.server_port() {
            80 | 443 => name.to_vec(),
            port => [name, format!(":{port}").as_bytes()].concat(),
        }
    }
}

impl Facts for RequestFacts<'_> {
    fn server(&self) -> Vec<u8> {
        self.with_port(self.request.server().server_name().unwrap_or_default())
    }

    fn host(&self) -> Vec<u8> {
        let host = self.request.hostname().filter(|host| !host.is_empty());
        self.with_port(host.or_else(|| self.request.server().server_name()).unwrap_or_default())
    }

    fn script_name(&self) -> Vec<u8> {
        let uri = self.request.uri().unwrap_or_default();
        let path_info = self.request.path_info().unwrap_or_default();
        let name = merge_slashes(uri.get(..self.request.script_name_length(path_info)).unwrap_or(uri));
        if self.case_sensitive { name } else { name.to_ascii_lowercase() }
    }

    fn env(&self, name: &[u8]) -> Option<Vec<u8>> {
        let key = std::ffi::CString::new(name).ok()?;
        let found = self.request.notes().get(&key).or_else(|| self.request.variables().get(&key));
        found.map(<[u8]>::to_vec).or_else(|| std::env::var_os(os_text(name)).map(|value| bytes_of(&value).into_owned()))
    }
}

fn resolve(r: Request<'_>, handler: Option<&HandlerScript>) -> Resolved {
    let config = r.dir_config();
    let facts = RequestFacts::of(r);
    let routing = match handler {
        Some(handler) => Routing::merge(&config.routing, &handler.routing),
        None => Routing::merge(&config.routing, &alias_routing(r)),
    };
    let callable = match handler {
        Some(_) => b"handle_request".to_vec(),
        None => routing.callable.map_or_else(|| b"application".to_vec(), |name| group_name::callable(&name, &facts)),
    };
    let handler_script = handler.map(|handler| handler.script.clone()).unwrap_or_default();
    let script = if handler.is_some() { handler_script.clone() } else { r.filename().unwrap_or_default().to_vec() };
    Resolved {
        script,
        handler_script,
        process_group: routing.process_group.map(|value| group_name::expand(&value, &facts)).unwrap_or_default(),
        application_group: group_name::expand(routing.application_group.as_deref().unwrap_or(b"%{RESOURCE}"), &facts),
        callable,
        pass_authorization: routing.pass_authorization.unwrap_or(false),
        script_reloading: config.script_reloading.unwrap_or(true),
        error_override: config.error_override.unwrap_or(false),
        enable_sendfile: config.enable_sendfile.unwrap_or(false),
        pass_apache_request: config.pass_apache_request.unwrap_or(false),
        ignore_activity: config.ignore_activity.unwrap_or(false),
        map_head: config.map_head.unwrap_or(MapHead::Auto),
        server_pid: std::process::id(),
        trace: trace::of(r),
        server_timing: config.server_timing.unwrap_or(false),
        queue: Cell::default(),
        received: Cell::default(),
    }
}

/// The options of the alias that has mapped the request.
fn alias_routing(r: Request<'_>) -> Routing {
    let note = |name| r.notes().get(name).map(<[u8]>::to_vec);
    Routing {
        process_group: note(c"mod_wsgi.process_group"),
        application_group: note(c"mod_wsgi.application_group"),
        callable: note(c"mod_wsgi.callable_object"),
        pass_authorization: note(c"mod_wsgi.pass_authorization").map(|note| note == b"1"),
    }
}

/// Has the dispatch script of the place, if there is one, choose where the application runs.
fn dispatch(r: Request<'_>, resolved: &mut Resolved) -> Result<(), Status> {
    let Some(script) = &r.dir_config().dispatch_script else { return Ok(()) };
    let facts = RequestFacts::of(r);
    let group = script.application_group.as_deref().map(|value| group_name::expand_for_script(value, &facts));
    let group = group.unwrap_or_default();
    let answer = embedded::call(r, script, Function::Dispatch, &group, &[], |out| {
        environ::write(r, resolved, out);
        out.known(Key::MOD_WSGI_PROCESS_GROUP, b"");
        out.known(Key::MOD_WSGI_APPLICATION_GROUP, &group);
    });
    match answer {
        Answer::Routing([process, application, callable]) => {
            if let Some(value) = process {
                resolved.process_group = group_name::expand(&value, &facts);
            }
            if let Some(value) = application {
                resolved.application_group = group_name::expand(&value, &facts);
            }
            if let Some(value) = callable {
                resolved.callable = group_name::callable(&value, &facts);
            }
            Ok(())
        }
        // The fault is logged, and the request goes where it would go without the script, as with the C module.
        Answer::NotLoaded => Ok(()),
        _ => Err(INTERNAL_ERROR),
    }
}

fn check_process_group(r: Request<'_>, resolved: &Resolved) -> Result<(), Status> {
    let allowed = &r.dir_config().restrict_process;
    match allowed {
        Some(allowed) if !allowed.contains(&resolved.process_group.to_ascii_lowercase()) => {
            let name = String::from_utf8_lossy(&resolved.process_group);
            let text = format!("WSGI0149: WSGIRestrictProcess does not allow the process group '{name}' here");
            Err(refuse(r, INTERNAL_ERROR, &text))
        }
        _ => Ok(()),
    }
}
