//! Runs one request: finds the application, calls it, passes its response on.
//!
//! Source: PEP 3333, "The Server/Gateway Side".

use super::environ::{self, Incoming};
use super::events;
use super::exchange::Exchange;
use super::failure;
use super::interpreters::{Interpreter, Interpreters};
use super::metrics::{self, Bracket};
use super::observe::Observer;
use super::output::Stream;
use super::progress::Progress;
use super::request::{self, Failure, Request};
use super::script::{self, Missing, Wanted};
use super::send_file;
use super::telemetry::slow;
use crate::ignore;
use crate::python::{Exception, Object, PyResult, Python, Raised, Waits, caught};
use crate::sys::{clock, fork, process};
use mod_wsgi_core::wire::{LogLevel, LogRecord, RELOADING, RequestHead};
use std::sync::Arc;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of the response is queued or sent.
    Complete,
    /// The response was begun and cannot be completed.
    Truncated,
    /// The client is gone.
    Gone,
    /// Nothing was sent or queued, and the client gets this status.
    Failed(u16),
    /// Nothing was run: the script has changed, and this process has to be replaced. When it was changed, see [`script::keep`].
    Changed(Option<i64>),
}

/// Runs a request on this thread, which is detached. `daemon_start` is when a daemon got it, in microseconds since the
/// epoch, and `progress` where others see how it stands. The exchange is given back, unless the request was given up or a
/// fault of ours has lost it.
pub fn run(
    interpreters: &'static Interpreters,
    exchange: Box<dyn Exchange>,
    head: &RequestHead<'_>,
    daemon_start: u64,
    progress: Option<&'static Progress>,
) -> (Outcome, Option<Box<dyn Exchange>>) {
    let mut exchange = exchange;
    let facts = match environ::check(head) {
        Ok(facts) => facts,
        Err(error) => {
            let text = format!("WSGI7008: the environ of a request cannot be read: {error}");
            exchange.log(LogRecord::new(LogLevel::Crit, text.as_bytes()));
            return (Outcome::Failed(500), Some(exchange));
        }
    };
    let known = interpreters.known(head.application_group);
    // Making an interpreter takes its time, and who waits for a lock of its own keeps nobody else out of theirs.
    if let Some(progress) = progress.filter(|_| known.is_none_or(|known| !known.shares_lock())) {
        progress.step_in();
    }
    let interpreter = match known.map_or_else(|| interpreters.get(head.application_group), Ok) {
        Ok(interpreter) => interpreter,
        Err(why) => {
            let group = String::from_utf8_lossy(head.application_group);
            let text = format!("WSGI0087: the interpreter for application group '{group}' cannot be made: {why}");
            exchange.log(LogRecord::new(LogLevel::Error, text.as_bytes()));
            return (Outcome::Failed(500), Some(exchange));
        }
    };
    let _bracket = Bracket::open();
    if metrics::is_armed() {
        Waits::begin();
    }
    let _watched = slow::watch(head, daemon_start);
    let changed = (head.settings & RELOADING != 0).then(|| script::changed(head.script));
    let socket = exchange.socket();
    let request = Request::begin(interpreter, head.script.to_vec(), head.log_level, exchange, progress);
    if let Some(progress) = progress {
        progress.begin(&request, head, daemon_start, socket);
        progress.line_up();
    }
    let thread = metrics::this_thread().number;
    let incoming = Incoming { head, facts, daemon_start, application_start: 0, thread };
    let outcome = on_this_thread(&request, |py| {
        if let Some(progress) = progress {
            progress.step_in();
        }
        if let Err(raised) = request.enter(py, facts.request_id) {
            failure::log_exception(py, interpreter, Some(&request), &request.script, &raised);
        }
        let outcome = in_python(py, interpreter, &request, incoming, changed);
        request.leave(py);
        outcome
    });
    if let Some(progress) = progress {
        progress.step_out();
    }
    Waits::end();
    let outcome = outcome.unwrap_or_else(|| request.after_panic());
    let expired = progress.is_some_and(Progress::is_expired);
    let outcome = if expired && matches!(outcome, Outcome::Failed(_)) { Outcome::Failed(504) } else { outcome };
    (outcome, request.end())
}

/// Runs `work` for a request on this thread, which is detached; `None` after a panic.
pub fn on_this_thread<R>(request: &Arc<Request>, work: impl for<'py> FnOnce(Python<'py>) -> R) -> Option<R> {
    // A filter of Apache's may start another request within one.
    let before = request::set_current(Some(Arc::clone(request)));
    let answer = caught("a request", || request.interpreter.attach(work));
    drop(request::set_current(before));
    // The application may have forked, and its child come back here: the request and its connection are the parent's.
    fork::end_child(1);
    answer
}

impl Request {
    fn after_panic(&self) -> Outcome {
        let look = |py: Python<'_>| {
            self.leave(py);
            self.with(py, |inner| inner.response.committed)
        };
        match self.interpreter.attach(look) {
            true => Outcome::Truncated,
            false => Outcome::Failed(500),
        }
    }
}

fn in_python(
    py: Python<'_>,
    interpreter: &'static Interpreter,
    request: &Arc<Request>,
    incoming: Incoming<'_>,
    changed: Option<Option<i64>>,
) -> Outcome {
    let head = incoming.head;
    if request.progress.is_some_and(Progress::take_interrupt) {
        py.clear_interrupt();
    }
    let wanted = Wanted { path: head.script, changed, resource: Some(head.script), request: Some(request), kept: None };
    let module = match script::find(py, interpreter, wanted) {
        Ok(module) => module,
        Err(Missing::Failed) => return Outcome::Failed(500),
        Err(Missing::Changed) => return Outcome::Changed(changed.flatten()),
    };
    let Some(callable) = callable(py, interpreter, head, &module) else {
        let text = py.detach(|| without_callable(interpreter, head));
        request.log(py, LogLevel::Error, &text);
        return Outcome::Failed(if interpreter.launch.process_group.is_empty() { 404 } else { 500 });
    };
    let incoming = Incoming { application_start: clock::microseconds(), ..incoming };
    slow::note_call(incoming.application_start);
    let mut observer = Observer::new(py, request);
    let served = serve(py, request, &callable, &incoming, &mut observer);
    let (outcome, status) = conclude(py, request, served);
    // What cannot be told for want of memory is not told.
    ignore(observer.finish(py, request, &incoming, status));
    outcome
}

/// The line about a script without its callable object. Called detached.
fn without_callable(interpreter: &Interpreter, head: &RequestHead<'_>) -> String {
    let (name, path) = (String::from_utf8_lossy(head.callable), String::from_utf8_lossy(head.script));
    let cure = match &*name {
        "handle_request" => "define it: a handler script answers with it",
        _ => "define it there, or name another with WSGICallableObject or callable-object=",
    };
    let (place, user) = (interpreter.description(), process::user());
    format!("WSGI0089: the script '{path}' has no '{name}', its callable object, in {place}, user {user}: {cure}")
}

/// The application in its script, if it is there.
fn callable<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    head: &RequestHead<'_>,
    module: &Object<'py>,
) -> Option<Object<'py>> {
    if head.callable == b"application" {
        return module.attribute(&interpreter.state().names.application.get(py)).ok();
    }
    py.latin1(head.callable).and_then(|name| module.attribute(&name)).ok()
}

/// What became of a request, and the status for the client where it is not the application's; what went wrong is logged.
fn conclude(py: Python<'_>, request: &Request, served: Result<(), Stop<'_>>) -> (Outcome, Option<u16>) {
    let committed = request.with(py, |inner| inner.response.committed);
    let failed = |status| if committed { Outcome::Truncated } else { Outcome::Failed(status) };
    match served {
        Ok(()) => (Outcome::Complete, None),
        Err(Stop::Gone) => (Outcome::Gone, None),
        Err(Stop::Short) => (Outcome::Truncated, None),
        Err(Stop::Raised(raised)) if raised.is_a(&request.interpreter.state().types.request_timeout.get(py)) => {
            let outcome = if committed { "the response is cut off" } else { "the client gets 504" };
            request.log(py, LogLevel::Info, &format!("WSGI7025: RequestTimeout has ended the request; {outcome}"));
            (failed(504), (!committed).then_some(504))
        }
        Err(Stop::Raised(raised)) => {
            report(py, request, &raised);
            (failed(500), None)
        }
    }
}

/// Logs what the application has raised, and tells it to whoever wants to hear.
fn report(py: Python<'_>, request: &Request, raised: &Raised<'_>) {
    failure::log_exception(py, request.interpreter, Some(request), &request.script, raised);
    ignore(events::request_exception(py, request, raised));
}

/// Why a response is not complete.
pub enum Stop<'py> {
    /// The client does not want the rest.
    Gone,
    /// There is less data than was announced, which has been logged.
    Short,
    /// An exception.
    Raised(Raised<'py>),
}

impl<'py> From<Raised<'py>> for Stop<'py> {
    fn from(raised: Raised<'py>) -> Self {
        Self::Raised(raised)
    }
}

fn serve<'py>(
    py: Python<'py>,
    request: &Arc<Request>,
    callable: &Object<'py>,
    incoming: &Incoming<'_>,
    observer: &mut Observer,
) -> Result<(), Stop<'py>> {
    let state = request.interpreter.state();
    let errors = state.streams.take(py, state, request)?;
    let served = call(py, request, callable, &errors, incoming, observer);
    state.streams.give_back(py, state, errors);
    served
}

fn call<'py>(
    py: Python<'py>,
    request: &Arc<Request>,
    callable: &Object<'py>,
    errors: &Stream,
    incoming: &Incoming<'_>,
    observer: &mut Observer,
) -> Result<(), Stop<'py>> {
    let state = request.interpreter.state();
    let environ = environ::build(py, state, request, errors, incoming)?;
    let callable = observer.start(py, request, incoming, &environ, callable)?;
    let adapter = state.types.adapter_object(py, request)?;
    let start_response = adapter.attribute(&state.names.start_response.get(py))?;
    if !request.call(py) {
        return Err(Stop::Gone);
    }
    let result = callable.call([&environ, &start_response])?;
    let sent = match send_file::send(py, request, &result, incoming.head) {
        Some(sent) => sent,
        None => send(py, request, &result),
    };
    let closed = close(py, request, &result);
    sent?;
    closed
}

/// Sends the items of a result.
fn send<'py>(py: Python<'py>, request: &Request, result: &Object<'py>) -> Result<(), Stop<'py>> {
    if result.is_plain_list() || result.is_plain_tuple() {
        // Nothing more can happen between the items, so they go out together.
        let mut at = 0;
        while let Some(item) = result.item(at)? {
            at += 1;
            send_item(py, request, &item, false)?;
        }
    } else {
        let items = result.iterator()?;
        while let Some(item) = items.next()? {
            send_item(py, request, &item, true)?;
        }
    }
    stop_at(py, request.send_piece(py, b"", false))
}

fn send_item<'py>(py: Python<'py>, request: &Request, item: &Object<'py>, now: bool) -> Result<(), Stop<'py>> {
    let data = item.expect_bytes("response iterable must yield bytes")?;
    if data.is_empty() {
        return Ok(());
    }
    stop_at(py, request.send_piece(py, data, now))
}

/// What a failure to send means for the response.
///
/// # Errors
/// As `sent`.
pub fn stop_at<'py, R>(py: Python<'py>, sent: Result<R, Failure>) -> Result<R, Stop<'py>> {
    match sent {
        Ok(answer) => Ok(answer),
        Err(Failure::Gone) => Err(Stop::Gone),
        Err(failure) => failure.raise(py).map_err(Stop::Raised),
    }
}

/// Calls `close()` of a result, if it has one. Its failure is logged, and changes nothing about the response.
fn close<'py>(py: Python<'py>, request: &Request, result: &Object<'py>) -> Result<(), Stop<'py>> {
    if result.is_plain_list() || result.is_plain_tuple() {
        return Ok(());
    }
    let state = request.interpreter.state();
    let failed: PyResult<'py, ()> = match result.attribute(&state.names.close.get(py)) {
        Ok(close) => close.call([]).map(drop),
        Err(raised) if raised.is(Exception::Attribute) => Ok(()),
        Err(raised) => {
            request.log(py, LogLevel::Error, "WSGI0194: looking up close() of the response failed");
            Err(raised)
        }
    };
    if let Err(raised) = failed.or_else(|raised| {
        // What it was to interrupt has ended.
        if raised.is_a(&state.types.request_timeout.get(py)) { Ok(()) } else { Err(raised) }
    }) {
        report(py, request, &raised);
    }
    Ok(())
}
