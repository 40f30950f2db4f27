//! Calls a function of an access, authentication, group or dispatch script.
//!
//! What an answer means is in [`answer`]; what the function is called with, here.

mod answer;
mod auth;

pub use auth::Auth;

use super::environ;
use super::exchange::Exchange;
use super::failure;
use super::interpreters::Interpreters;
use super::output;
use super::request::Request;
use super::run::on_this_thread;
use super::script::{self, Wanted};
use super::state;
use crate::log;
use crate::python::{Exception, Object, PyResult, Python, Raised};
use mod_wsgi_core::script_call::{Answer, Call, DISPATCH, Function};
use mod_wsgi_core::wire::{LogLevel, LogRecord};
use std::sync::Arc;

/// Calls a function on this thread, which is detached. The exchange is given back, unless a fault of ours has lost it.
pub fn call(
    interpreters: &'static Interpreters,
    mut exchange: Box<dyn Exchange>,
    call: &Call<'_>,
) -> (Answer, Option<Box<dyn Exchange>>) {
    if let Err(error) = { call.environ }.try_for_each(|entry| entry.map(drop)) {
        let text = format!("WSGI7008: the environ of a call cannot be read: {error}");
        exchange.log(LogRecord::new(LogLevel::Crit, text.as_bytes()));
        return (Answer::Failed, Some(exchange));
    }
    let interpreter = match interpreters.get(call.application_group) {
        Ok(interpreter) => interpreter,
        Err(why) => {
            let (group, number) = (String::from_utf8_lossy(call.application_group), no_interpreter(call.function));
            let text = format!("{number}: the interpreter for application group '{group}' cannot be made: {why}");
            exchange.log(LogRecord::new(LogLevel::Error, text.as_bytes()));
            return (Answer::Failed, Some(exchange));
        }
    };
    let changed = call.reloading.then(|| script::changed(call.script));
    let request = Request::begin(interpreter, call.script.to_vec(), log::level(), exchange, None);
    let answer = on_this_thread(&request, |py| in_python(py, &request, call, changed));
    (answer.unwrap_or(Answer::Failed), request.end())
}

/// The number of "there is no interpreter to call the function in".
fn no_interpreter(function: Function) -> &'static str {
    match function {
        Function::CheckPassword => "WSGI0042",
        Function::GetRealmHash => "WSGI0045",
        Function::GroupsForUser => "WSGI0048",
        Function::AllowAccess => "WSGI0054",
        Function::Dispatch => "WSGI0086",
    }
}

/// Why there is no answer.
enum Refused<'py> {
    /// The function answered what it must not; the line that says so, with its number.
    Text(String),
    /// An exception.
    Raised(Raised<'py>),
}

impl<'py> From<Raised<'py>> for Refused<'py> {
    fn from(raised: Raised<'py>) -> Self {
        Self::Raised(raised)
    }
}

fn in_python(py: Python<'_>, request: &Arc<Request>, call: &Call<'_>, changed: Option<Option<i64>>) -> Answer {
    let interpreter = request.interpreter;
    let wanted = Wanted { path: call.script, changed, resource: None, request: Some(request), kept: None };
    let Ok(module) = script::find(py, interpreter, wanted) else { return Answer::NotLoaded };
    let answered = match call.function {
        Function::Dispatch => dispatch(py, request, &module, call),
        _ => one(py, request, &module, call),
    };
    match answered {
        Ok(answer) => answer,
        Err(Refused::Text(text)) => {
            request.log(py, LogLevel::Error, &text);
            Answer::Failed
        }
        Err(Refused::Raised(raised)) => {
            failure::log_exception(py, interpreter, Some(request), call.script, &raised);
            Answer::Failed
        }
    }
}

/// A function of the script, `None` where it has none of that name.
fn function<'py>(module: &Object<'py>, name: &str) -> PyResult<'py, Option<Object<'py>>> {
    match module.get(name) {
        Ok(function) => Ok(Some(function)),
        Err(raised) if raised.is(Exception::Attribute) => Ok(None),
        Err(raised) => Err(raised),
    }
}

fn one<'py>(
    py: Python<'py>,
    request: &Arc<Request>,
    module: &Object<'py>,
    call: &Call<'_>,
) -> Result<Answer, Refused<'py>> {
    let Some(function) = function(module, call.function.name())? else { return Ok(Answer::Missing) };
    let environ = build(py, request, call)?;
    let arguments = call.arguments.iter().map(|argument| py.latin1(argument)).collect::<PyResult<'py, Vec<_>>>()?;
    let result = match &arguments[..] {
        [] => function.call([&environ])?,
        [one] => function.call([&environ, one])?,
        [one, two, ..] => function.call([&environ, one, two])?,
    };
    answer::convert(call.function, &result)
}

fn dispatch<'py>(
    py: Python<'py>,
    request: &Arc<Request>,
    module: &Object<'py>,
    call: &Call<'_>,
) -> Result<Answer, Refused<'py>> {
    let environ = build(py, request, call)?;
    let mut routing = [const { None }; DISPATCH.len()];
    for (name, value) in DISPATCH.into_iter().zip(&mut routing) {
        if let Some(function) = function(module, name)? {
            *value = answer::routing(name, &function.call([&environ])?)?;
        }
    }
    Ok(Answer::Routing(routing))
}

/// Makes the environ. What came from the module stands as it is.
fn build<'py>(py: Python<'py>, request: &Arc<Request>, call: &Call<'_>) -> PyResult<'py, Object<'py>> {
    let (interpreter, state) = (request.interpreter, request.interpreter.state());
    let environ = py.dict()?;
    let put = |name: &str, value: Object<'py>| environ.set_entry(&py.text(name)?, &value);
    put("mod_wsgi.process_group", py.latin1(&interpreter.launch.process_group)?)?;
    put("mod_wsgi.application_group", py.latin1(&interpreter.name)?)?;
    // Not for a dispatch script, as in mod_wsgi 6.1.1.
    if call.function != Function::Dispatch {
        for (name, version) in state::versions(py, interpreter.launch)? {
            put(name, version)?;
        }
    }
    for (name, value) in call.environ.flatten() {
        environ.set_entry(&py.latin1(name.text())?, &environ::text(py, name, value)?)?;
    }
    put("wsgi.errors", output::call_stream(py, state, request)?)?;
    environ::put_request_rec(py, state, &environ, request)?;
    if call.function != Function::Dispatch {
        let auth = state.types.auth_object(py, request)?;
        put("mod_ssl.is_https", auth.get("ssl_is_https")?)?;
        put("mod_ssl.var_lookup", auth.get("ssl_var_lookup")?)?;
    }
    Ok(environ)
}
