//! Embedded mode: the host for the configured Python runs in this Apache child. It is loaded on first need, after the
//! fork, so the parent never has a Python.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mod_wsgi_core::embedded::outcome;
use mod_wsgi_core::interpreter_options::InterpreterOptions;
use mod_wsgi_core::launch::{Launch, Preload};
use mod_wsgi_core::os_text::bytes_of;
use mod_wsgi_core::script_call::{Answer, Call, Function};
use mod_wsgi_core::wire::{FRAME_HEADER, PairWriter, RELOADING, RequestHeadWriter};

use crate::apache::log;
use crate::apache::request::Request;
use crate::apache::server::{self, MpmQuery, Server};
use crate::config::{Definitions, PlaceScript, PythonConfig, ServerConfig};
use crate::handler::{INTERNAL_ERROR, Resolved, Status, refuse};
use crate::launch::{shared, split_path};
use crate::seat::shown_line;
use crate::sys::board::Board;
use crate::sys::bridge::Bridge;
use crate::sys::library::Library;
pub use crate::sys::library::is_running;
use crate::{environ, python};
use mod_wsgi_core::wire::LogLevel;

/// What embedded mode needs of the configuration.
#[derive(Debug)]
pub struct Settings {
    python: PythonConfig,
    preload: Vec<Preload>,
    interpreter_options: Vec<InterpreterOptions>,
    free_threading: bool,
    server_metrics: bool,
    restricted: bool,
    hosts: Option<PathBuf>,
}

/// The host of this child: a process has one Python at most, whatever happens to configurations.
static HOST: OnceLock<Result<Library, String>> = OnceLock::new();

/// Where embedded requests are counted. It outlives configurations.
static BOARD: Mutex<Option<Arc<Board>>> = Mutex::new(None);

/// Where embedded requests are counted, for all of this httpd. Called in the parent.
///
/// # Errors
/// A sentence, where there is no memory for it.
pub fn board() -> Result<Arc<Board>, String> {
    // It is set in one step, so that a panic leaves nothing half done.
    let mut known = BOARD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(board) = &*known {
        return Ok(Arc::clone(board));
    }
    let board =
        Board::new().map_err(|error| format!("WSGI7052: there is no memory to count embedded requests in: {error}"))?;
    Ok(Arc::clone(known.insert(Arc::new(board))))
}

impl Settings {
    /// Takes what is for embedded mode.
    #[must_use]
    pub fn new(config: &ServerConfig, definitions: &Definitions, hosts: Option<PathBuf>) -> Self {
        let preload = definitions
            .preload
            .iter()
            .filter(|(group, _)| group.is_empty())
            .map(|(_, script)| script.clone())
            .collect();
        let interpreter_options = definitions.interpreters_of(b"");
        let free_threading = definitions.free_threading_of(b"");
        let server_metrics = config.server_metrics.unwrap_or(false);
        let (python, restricted) = (config.python.clone(), config.restrict_embedded == Some(true));
        Self { python, preload, interpreter_options, free_threading, server_metrics, restricted, hosts }
    }

    /// In a new child: loads Python at once where a script is to be there before the first request.
    pub fn child_init(&self, _main: Server<'_>) {
        if !self.preload.is_empty() {
            if let Err(reason) = self.host() {
                log::main_server(LogLevel::Crit, reason.as_bytes());
            }
        }
    }

    fn host(&self) -> Result<&'static Library, &'static str> {
        HOST.get_or_init(|| self.load()).as_ref().map_err(String::as_str)
    }

    /// The Python for this mode, and its host.
    ///
    /// # Errors
    /// A sentence with its number: what is not there, or not supported.
    pub fn find(&self) -> Result<(python::Embedded, PathBuf), String> {
        let found = python::embedded(self.python.home.as_deref())
            .map_err(|reason| format!("WSGI7064: embedded mode: {reason}"))?;
        if !python::is_supported(&found.version) {
            return Err(format!(
                "WSGI7001: embedded mode: Python {} is not supported: mod_wsgi hosts 3.{} to 3.{}; name another with WSGIPythonHome, or use a daemon process group with python-home=",
                found.version,
                mod_wsgi_core::PYTHON_MINORS.start(),
                mod_wsgi_core::PYTHON_MINORS.end()
            ));
        }
        let hosts = self
            .hosts
            .as_deref()
            .ok_or("WSGI7058: the hosts are not found beside mod_wsgi.so; reinstall the package")?;
        let host = hosts.join(python::host_name(&found.version));
        if !host.is_file() {
            return Err(format!(
                "WSGI7001: embedded mode: Python {} is not supported by this installation of mod_wsgi: there is no {}; name another with WSGIPythonHome, or use a daemon process group with python-home=",
                found.version,
                host.display()
            ));
        }
        Ok((found, host))
    }

    fn load(&self) -> Result<Library, String> {
        let (found, host) = self.find()?;
        let library = Library::open(&found, &host)?;
        let launch = server::with_main(|main| self.launch(main, &found));
        library.start(&launch.ok_or("WSGI0210: httpd has no configuration to run Python for")?)?;
        Ok(library)
    }

    fn launch(&self, main: Server<'_>, found: &python::Embedded) -> Launch {
        let bytes = |path: &PathBuf| bytes_of(path.as_os_str()).into_owned();
        let processes = server::mpm_answer(MpmQuery::Processes);
        Launch {
            processes,
            threads: server::mpm_answer(MpmQuery::Threads),
            multiprocess: processes > 1,
            python_path: split_path(self.python.path.as_deref()),
            python_eggs: self.python.eggs.clone().map(String::into_bytes),
            python_home: found.home.as_ref().map(bytes),
            python_program: found.program.as_ref().map(bytes),
            python_optimize: self.python.optimize.unwrap_or(0),
            python_warnings: self.python.warnings.iter().map(|filter| filter.clone().into_bytes()).collect(),
            dont_write_bytecode: self.python.dont_write_bytecode.unwrap_or(false),
            hash_seed: self.python.hash_seed.flatten(),
            preload: self.preload.clone(),
            interpreter_options: self.interpreter_options.clone(),
            free_threading: self.free_threading,
            server_metrics: self.server_metrics,
            restrict_embedded: self.restricted,
            ..shared(main, &self.python)
        }
    }
}

/// Calls a function of an access, authentication, group or dispatch script in this process; `environ` writes the entries.
pub fn call(
    r: Request<'_>,
    script: &PlaceScript,
    function: Function,
    application_group: &[u8],
    arguments: &[&[u8]],
    environ: impl FnOnce(&mut PairWriter<'_>),
) -> Answer {
    let Some(runtime) = &r.server().config().runtime else { return Answer::Failed };
    let host = match runtime.embedded.host() {
        Ok(host) => host,
        Err(reason) => {
            refuse(r, INTERNAL_ERROR, reason);
            return Answer::Failed;
        }
    };
    let config = r.dir_config();
    let reloading = config.script_reloading.unwrap_or(true);
    let call = Call::write(function, reloading, &script.script, application_group, arguments, environ);
    // Figures are those of applications.
    let received = Cell::default();
    let mut bridge = Bridge::new(r, &received, false, config.pass_apache_request.unwrap_or(false), false);
    host.call(&mut bridge, &call);
    let answer = bridge.take_answer();
    answer.and_then(|answer| Answer::decode(&answer).ok()).unwrap_or(Answer::Failed)
}

/// Runs a request in this process.
pub fn serve(r: Request<'_>, settings: &Settings, resolved: &Resolved) -> Result<i32, Status> {
    let host = settings.host().map_err(|reason| refuse(r, INTERNAL_ERROR, reason))?;
    let mut bytes = Vec::with_capacity(4096);
    let head = RequestHeadWriter {
        settings: if resolved.script_reloading { RELOADING } else { 0 },
        log_level: log::level_of_request(r),
        request_start: r.time(),
        read_at: 0,
        queue_start: 0,
        script: &resolved.script,
        callable: &resolved.callable,
        application_group: &resolved.application_group,
        request_line: shown_line(r),
    };
    head.write(&mut bytes, false, |out| environ::write(r, resolved, out));
    let (sendfile, passes_request) = (resolved.enable_sendfile, resolved.pass_apache_request);
    let mut bridge = Bridge::new(r, &resolved.received, sendfile, passes_request, resolved.server_timing);
    // A frame header stands before the payload.
    let ended = host.handle(&mut bridge, bytes.get(FRAME_HEADER..).unwrap_or_default());
    let (mut response, completed) = bridge.into_response();
    Ok(match (ended, completed) {
        (outcome::COMPLETE, Some(status)) => status,
        (outcome::COMPLETE, None) if response.has_head() => response.complete(&mut []),
        (outcome::CLIENT_GONE, _) => crate::apache::OK,
        (outcome::COMPLETE | outcome::TRUNCATED, _) => response.fail(INTERNAL_ERROR),
        (status, _) => response.fail(status),
    })
}
