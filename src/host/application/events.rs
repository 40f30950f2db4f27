//! Events: what happens to requests and to the process, told to callbacks that applications have subscribed.
//!
//! Names, payloads and order are those of mod_wsgi 6.1.1. Where nobody listens to requests, each event costs a look at a list.

use super::entries::Entries;
use super::environ::Incoming;
use super::failure;
use super::interpreters::{Interpreter, Interpreters};
use super::metrics::Phase;
use super::observe::Figures;
use super::request::Request;
use super::state::State;
use crate::ignore;
use crate::python::{Object, PyResult, Python, Raised, Stored};
use crate::sys::usage::Cpu;

/// The callbacks of a list; `None` where there are none.
fn callbacks<'py>(py: Python<'py>, state: &State, list: &Stored) -> Option<Object<'py>> {
    let list = state.values.namespace.get(py).entry(&list.get(py))?;
    let is_used = list.is_list() && list.length().is_ok_and(|length| length > 0);
    is_used.then_some(list)
}

/// Whether anybody wants to hear about requests.
pub fn are_wanted(py: Python<'_>, state: &State) -> bool {
    callbacks(py, state, &state.names.event_callbacks).is_some()
}

/// What every event of a request carries.
fn of<'py>(py: Python<'py>, request: &Request) -> PyResult<'py, Entries<'py>> {
    let payload = Entries::new(py)?;
    if let Some(id) = request.id(py) {
        payload.put("request_id", &id)?;
    }
    if let Some(data) = request.data(py) {
        payload.put("request_data", &data)?;
    }
    Ok(payload)
}

/// What the start and the end of a request carry.
fn put_origin<'py>(payload: &Entries<'py>, incoming: &Incoming<'_>) -> PyResult<'py, ()> {
    payload.int("thread_id", incoming.thread.into())?;
    payload.int("server_pid", incoming.facts.server_pid.into())?;
    payload.time("request_start", incoming.head.request_start)?;
    payload.time("queue_start", incoming.head.queue_start)?;
    payload.time("daemon_start", incoming.daemon_start)
}

/// Calls the callbacks of a list. What one answers, if it is a dictionary, the next ones get too; what one raises is logged,
/// and changes nothing else.
fn publish<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    request: Option<&Request>,
    list: &Stored,
    name: &str,
    payload: &Entries<'py>,
) -> PyResult<'py, ()> {
    let Some(callbacks) = callbacks(py, interpreter.state(), list) else { return Ok(()) };
    let (name_object, callbacks) = (py.interned(name)?, callbacks.copy_list()?.iterator()?);
    while let Some(callback) = callbacks.next()? {
        let merged = match callback.call_named(&name_object, payload.object()) {
            Ok(answer) if answer.is_dict() => payload.object().update(&answer),
            Ok(_) => Ok(()),
            Err(raised) => Err(raised),
        };
        if let Err(raised) = merged {
            failure::log_callback(py, interpreter, request, name, &raised);
        }
    }
    Ok(())
}

/// What happens to the process.
#[derive(Debug, Clone, Copy)]
pub enum ProcessEvent {
    /// A signal for applications has come: its name and number.
    Signal(&'static str, i32),
    /// The process ends: why.
    Stopping(&'static str),
}

impl ProcessEvent {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signal(..) => "process_signal",
            Self::Stopping(_) => "process_stopping",
        }
    }

    fn publish<'py>(self, py: Python<'py>, interpreter: &Interpreter) -> PyResult<'py, ()> {
        let (payload, names) = (Entries::new(py)?, &interpreter.state().names);
        let list = match self {
            Self::Signal(name, number) => {
                payload.put("signame", &py.text(name)?)?;
                payload.put("signum", &py.int(number.into())?)?;
                &names.signal_callbacks
            }
            Self::Stopping(reason) => {
                payload.put("shutdown_reason", &py.text(reason)?)?;
                &names.shutdown_callbacks
            }
        };
        for list in [&names.event_callbacks, list] {
            publish(py, interpreter, None, list, self.name(), &payload)?;
        }
        Ok(())
    }
}

/// Tells an event to the applications of every interpreter. Called detached.
pub fn announce(interpreters: &'static Interpreters, event: ProcessEvent) {
    for interpreter in interpreters.all() {
        // What cannot be told for want of memory is not told.
        ignore(interpreter.attach(|py| event.publish(py, interpreter).map_err(|raised| raised.text())));
    }
}

fn publish_request<'py>(py: Python<'py>, request: &Request, name: &str, payload: &Entries<'py>) -> PyResult<'py, ()> {
    let list = &request.interpreter.state().names.event_callbacks;
    publish(py, request.interpreter, Some(request), list, name, payload)
}

/// `request_started`; answers the application to call, which callbacks may have replaced.
///
/// # Errors
/// `MemoryError`.
pub fn request_started<'py>(
    py: Python<'py>,
    request: &Request,
    incoming: &Incoming<'_>,
    environ: &Object<'py>,
    application: &Object<'py>,
) -> PyResult<'py, Object<'py>> {
    let payload = of(py, request)?;
    put_origin(&payload, incoming)?;
    payload.int("daemon_connects", incoming.head.connects.into())?;
    payload.int("daemon_restarts", incoming.head.restarts.into())?;
    payload.time("application_start", incoming.application_start)?;
    payload.put("application_object", application)?;
    payload.put("callable_object", &py.latin1(incoming.head.callable)?)?;
    payload.put("request_environ", environ)?;
    publish_request(py, request, "request_started", &payload)?;
    Ok(payload.object().entry(&py.interned("application_object")?).unwrap_or_else(|| application.clone()))
}

/// `response_started`, with the arguments of `start_response`.
///
/// # Errors
/// `MemoryError`.
pub fn response_started<'py>(
    py: Python<'py>,
    request: &Request,
    status: &Object<'py>,
    headers: &Object<'py>,
    exc_info: &Object<'py>,
) -> PyResult<'py, ()> {
    if !are_wanted(py, request.interpreter.state()) {
        return Ok(());
    }
    let payload = of(py, request)?;
    payload.put("response_status", status)?;
    payload.put("response_headers", headers)?;
    payload.put("exception_info", exc_info)?;
    publish_request(py, request, "response_started", &payload)
}

/// `request_exception`.
///
/// # Errors
/// `MemoryError`.
pub fn request_exception<'py>(py: Python<'py>, request: &Request, raised: &Raised<'py>) -> PyResult<'py, ()> {
    if !are_wanted(py, request.interpreter.state()) {
        return Ok(());
    }
    let payload = of(py, request)?;
    payload.put("exception_info", &raised.triple()?)?;
    publish_request(py, request, "request_exception", &payload)
}

/// `request_finished`; `cpu` is the CPU time of the thread since the start, if that was noted.
///
/// # Errors
/// `MemoryError`.
pub fn request_finished<'py>(
    py: Python<'py>,
    request: &Request,
    incoming: &Incoming<'_>,
    figures: &Figures,
    cpu: Option<Cpu>,
) -> PyResult<'py, ()> {
    let payload = of(py, request)?;
    put_origin(&payload, incoming)?;
    let tally = &figures.tally;
    payload.int("input_reads", tally.input_reads)?;
    payload.int("input_length", tally.input_length)?;
    payload.seconds("input_time", tally.input_time)?;
    payload.int("output_length", tally.output_length)?;
    payload.int("output_writes", tally.output_writes)?;
    payload.seconds("output_time", tally.output_time)?;
    let application_time = figures.time(Phase::Application).as_secs_f64();
    if let Some(cpu) = cpu {
        let (user, system) = (cpu.user.as_secs_f64(), cpu.system.as_secs_f64());
        // The two clocks are not one: CPU time is never told to be more than the time that passed.
        let scale = if user + system > application_time { application_time / (user + system) } else { 1.0 };
        payload.float("cpu_user_time", user * scale)?;
        payload.float("cpu_system_time", system * scale)?;
        payload.float("cpu_time", (user + system) * scale)?;
    }
    payload.time("application_finish", figures.finish)?;
    payload.float("application_time", application_time)?;
    payload.int("status", figures.status.into())?;
    payload.seconds("gil_wait_time", figures.waits.time)?;
    payload.int("gil_wait_count", figures.waits.count.into())?;
    publish_request(py, request, "request_finished", &payload)
}
