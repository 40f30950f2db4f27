//! Embedded mode: Python in an Apache child, requests on Apache's threads.

use crate::application::events::{self, ProcessEvent};
use crate::application::exchange::{Exchange, Gone};
use crate::application::interpreters::Interpreters;
use crate::application::{self, Outcome, preload, run, telemetry};
use crate::log::{self, ServerLog};
use crate::python::{Interpreter, initialize};
use crate::sys::apache::Apache;
use crate::sys::fork;
use mod_wsgi_core::embedded::{fate, outcome};
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::script_call::Call;
use mod_wsgi_core::wire::{FilePart, LogLevel, LogRecord, RequestHead};
use std::any::Any;
use std::ffi::c_void;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

/// The interpreters of this process, and the thread that is Python's main one.
static STARTED: OnceLock<(&'static Interpreters, ThreadId)> = OnceLock::new();

/// How many threads are in Python now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Counts this thread among those in Python, until the answer is dropped.
fn count_running() -> impl Drop {
    struct Running;
    impl Drop for Running {
        fn drop(&mut self) {
            RUNNING.fetch_sub(1, Ordering::AcqRel);
        }
    }
    RUNNING.fetch_add(1, Ordering::AcqRel);
    Running
}

/// Starts Python; `false` where that fails, which has been logged.
pub fn start(launch: &[u8], server_log: ServerLog) -> bool {
    log::use_server(server_log);
    fork::watch();
    let started = Launch::decode(launch).map_err(|error| error.to_string()).and_then(|launch| {
        log::set_level(launch.log_level);
        let main = initialize(&launch, Interpreter::main)?;
        Interpreters::start(launch, main)
    });
    match started {
        Ok(interpreters) => {
            // What fails is logged, and tried again by requests.
            crate::ignore(preload(interpreters, None));
            telemetry::start(interpreters);
            STARTED.set((interpreters, thread::current().id())).is_ok()
        }
        Err(why) => {
            log::write(LogLevel::Crit, &format!("WSGI0036: Python cannot be started in this process: {why}"));
            false
        }
    }
}

/// Runs a request; answers an outcome as [`mod_wsgi_core::embedded::outcome`] has them.
pub fn handle(apache: Apache, head: &[u8]) -> i32 {
    let direct = Direct::new(apache);
    let Some((interpreters, _)) = STARTED.get() else { return 500 };
    let head = match RequestHead::decode(head) {
        Ok(head) => head,
        Err(error) => {
            log::write(LogLevel::Crit, &format!("WSGI7008: the head of a request cannot be read: {error}"));
            return 500;
        }
    };
    let running = count_running();
    let (ended, exchange) = run(interpreters, direct, &head, 0, None);
    drop(running);
    let delivered = match exchange.map(|exchange| exchange.into_any().downcast::<Direct>()) {
        Some(Ok(mut direct)) => direct.deliver(b"", if ended == Outcome::Complete { fate::LAST } else { fate::WAITS }),
        _ => Ok(()),
    };
    match (ended, delivered) {
        (Outcome::Failed(status), _) => status.into(),
        (Outcome::Gone, _) | (_, Err(Gone)) => outcome::CLIENT_GONE,
        (Outcome::Complete, Ok(())) => outcome::COMPLETE,
        (Outcome::Truncated, Ok(())) => outcome::TRUNCATED,
        // Only daemon processes are replaced.
        (Outcome::Changed(_), Ok(())) => 500,
    }
}

/// Calls a function of a script and gives its answer to Apache; `false` where there is none.
pub fn call(apache: Apache, call: &[u8]) -> bool {
    let direct = Direct::new(apache);
    let Some((interpreters, _)) = STARTED.get() else { return false };
    let call = match Call::decode(call) {
        Ok(call) => call,
        Err(error) => {
            log::write(LogLevel::Crit, &format!("WSGI7008: the call of a script cannot be read: {error}"));
            return false;
        }
    };
    let running = count_running();
    let (answer, exchange) = application::call(interpreters, direct, &call);
    drop(running);
    match exchange.map(|exchange| exchange.into_any().downcast::<Direct>()) {
        Some(Ok(mut direct)) => {
            direct.apache.answer(&answer.encode());
            true
        }
        _ => false,
    }
}

/// Ends Python: all of it on the thread that started it; on another one, or while Apache still has requests in Python, only
/// the exit functions run.
pub fn stop() {
    let Some((interpreters, main_thread)) = STARTED.get() else { return };
    // Before callbacks, which may take their time, or for ever.
    telemetry::stopping("");
    let is_out = telemetry::stopped();
    events::announce(interpreters, ProcessEvent::Stopping(""));
    if !interpreters.launch().destroy_interpreters {
        return;
    }
    let can_end = thread::current().id() == *main_thread && RUNNING.load(Ordering::Acquire) == 0 && is_out;
    if can_end && interpreters.end_subs() {
        interpreters.main_python().finalize();
    } else {
        interpreters.run_exit_functions(false);
    }
}

/// Room for the request body in bytes: a form of 64 KB, and the read behind it that finds the end.
const ROOM: usize = 72 * 1024;

/// Room for what httpd reads from the client at once, in bytes.
const LEAST_ROOM: usize = 8 * 1024;

/// Carries a request within this process.
struct Direct {
    apache: Apache,
    /// Status and headers, queued.
    head: Vec<u8>,
    /// Response data, queued.
    out: Vec<u8>,
    gone: bool,
}

impl Direct {
    fn new(apache: Apache) -> Box<Self> {
        Box::new(Self { apache, head: Vec::new(), out: Vec::new(), gone: false })
    }

    /// Gives what is queued, and then `piece`; `fate` is that of the last of it.
    fn deliver(&mut self, piece: &[u8], fate: i32) -> Result<(), Gone> {
        if self.gone {
            return Err(Gone);
        }
        let mut give = || {
            if !self.head.is_empty() {
                self.apache.head(&std::mem::take(&mut self.head))?;
            }
            if !self.out.is_empty() {
                let fate = if piece.is_empty() { fate } else { fate::WAITS };
                self.apache.data(&std::mem::take(&mut self.out), fate)?;
            }
            if piece.is_empty() { Ok(()) } else { self.apache.data(piece, fate) }
        };
        let given = give();
        self.gone = given.is_err();
        given
    }
}

impl Exchange for Direct {
    fn read(&mut self, most: usize, into: &mut Vec<u8>) -> Result<bool, String> {
        let start = into.len();
        if into.capacity() - start < LEAST_ROOM {
            into.reserve(most.min(ROOM));
        }
        self.apache.read(into)?;
        Ok(into.len() == start)
    }

    fn head(&mut self, payload: &[u8]) {
        self.head = payload.to_vec();
    }

    fn queue(&mut self, piece: &[u8]) {
        self.out.extend_from_slice(piece);
    }

    fn send(&mut self, piece: &[u8]) -> Result<(), Gone> {
        self.deliver(piece, fate::NOW)
    }

    #[cfg(unix)]
    fn file(&mut self, file: BorrowedFd<'_>, part: FilePart) -> Result<(), Gone> {
        self.deliver(b"", fate::WAITS)?;
        let given = self.apache.file(file, part);
        self.gone = given.is_err();
        given
    }

    fn is_https(&mut self) -> bool {
        self.apache.is_https()
    }

    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.apache.ssl_variable(name)
    }

    fn request_rec(&self) -> Option<NonNull<c_void>> {
        self.apache.request_rec()
    }

    fn log(&mut self, record: LogRecord<'_>) {
        self.apache.log(record);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
