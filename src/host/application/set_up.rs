//! Makes an interpreter fit for applications: the module `mod_wsgi`, log streams, signals, the search path.
//!
//! What Python can say best is in set_up.py.

use super::members;
use super::output;
use super::state::State;
use crate::python::{Exception, Object, PyResult, Python, Stored, create_module, state_of};
use crate::{log, sys};
use mod_wsgi_core::interpreter_options::{Resolved, resolve};
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::LogLevel;

/// The switch interval to set in microseconds, `None` to leave what there is.
fn switch_interval(
    py: Python<'_>,
    launch: &Launch,
    options: &Resolved<'_>,
    application_group: &[u8],
    own_lock: bool,
) -> Option<u64> {
    const NO_TURNS: &str = "threads of this Python do not take turns";
    let (is_daemon, is_main) = (!launch.process_group.is_empty(), application_group.is_empty());
    let of_group = |number: &str| {
        format!(
            "{number}: the WSGISwitchInterval of application group '{}'",
            String::from_utf8_lossy(application_group)
        )
    };
    let (refused, why) = match options.switch_interval {
        None if launch.switch_interval.is_none() => return None,
        None if !py.is_free_threaded() => return launch.switch_interval,
        // Said once for the process.
        None if !is_main => return None,
        None if is_daemon => ("WSGI0204: the switch-interval of the process group".to_owned(), NO_TURNS),
        None => ("WSGI0203: WSGISwitchInterval".to_owned(), NO_TURNS),
        Some(_) if py.is_free_threaded() => (of_group("WSGI0205"), NO_TURNS),
        Some((_, true)) if !is_main && !own_lock => (
            of_group("WSGI0199"),
            "it shares its lock with others, give it one of its own with WSGIPerInterpreterGIL On",
        ),
        Some((interval, _)) => return Some(interval),
    };
    py.detach(|| log::write(LogLevel::Warning, &format!("{refused} is not applied: {why}")));
    None
}

/// Sets up the interpreter that this thread is attached to; `own_lock` is whether it has a global lock of its own.
///
/// # Errors
/// What any step raises.
pub fn set_up<'py>(
    py: Python<'py>,
    launch: &'static Launch,
    application_group: &[u8],
    own_lock: bool,
) -> PyResult<'py, &'static State> {
    let options = resolve(&launch.interpreter_options, application_group);
    let module = create_module(py, |module| State::new(module, launch, application_group))?;
    let Some(state) = state_of::<State>(&module) else {
        return py.raise(Exception::Runtime, "the module mod_wsgi has no state");
    };
    put_members(&module, state, launch, application_group)?;
    let is_service = !launch.process_group.is_empty() && launch.threads == 0;
    if launch.telemetry.is_some() && !is_service && !launch.restrict_embedded {
        state.collections.watch(&module)?;
    }

    let globals = py.dict()?;
    let put = |name: &str, value: &Object<'py>| globals.set_entry(&py.text(name)?, value);
    let file_name = |name: &Option<Vec<u8>>| name.as_ref().map_or(Ok(py.none()), |name| py.file_name(name));
    put("__name__", &py.text("mod_wsgi")?)?;
    put("__builtins__", &py.import("builtins")?)?;
    put("module", &module)?;
    put("is_main", &py.bool(application_group.is_empty()))?;
    put("is_service", &py.bool(is_service))?;
    put("is_daemon", &py.bool(!launch.process_group.is_empty()))?;
    put("stderr", &output::thread_stream(py, state, "<stderr>")?)?;
    put("stdout", &output::thread_stream(py, state, "<stdout>")?)?;
    put("restrict_stdin", &py.bool(options.restrict_stdin.unwrap_or(launch.restrict_stdin)))?;
    put("restrict_stdout", &py.bool(options.restrict_stdout.unwrap_or(launch.restrict_stdout)))?;
    put("restrict_signal", &py.bool(options.restrict_signal.unwrap_or(launch.restrict_signal)))?;
    let paths = |paths: &[Vec<u8>]| py.list(paths.iter().map(|path| py.file_name(path)).collect::<PyResult<'_, _>>()?);
    let layers = [&launch.python_path[..]].into_iter().chain(options.python_paths.iter().copied());
    put("python_paths", &py.list(layers.map(paths).collect::<PyResult<'_, _>>()?)?)?;
    put("python_eggs", &file_name(&launch.python_eggs)?)?;
    put("home", &file_name(&launch.home)?)?;
    let interval = switch_interval(py, launch, &options, application_group, own_lock);
    let interval = interval.map_or(Ok(py.none()), |interval| py.float(interval as f64 / 1e6))?;
    put("host_directory", &file_name(&sys::library::directory())?)?;
    put("switch_interval", &interval)?;
    for (name, function) in members::for_set_up(&module)? {
        put(name, &function)?;
    }
    put("apache_members", &apache_members(py, launch)?)?;
    let code = py.compile(include_bytes!("set_up.py"), &py.text("<mod_wsgi>")?)?;
    py.run_code(&code, &globals)?;
    // The state is found through the module, which applications could drop from sys.modules.
    let _kept = Stored::new(module);
    Ok(state)
}

/// Puts what applications find in the module, but for `LogHandler`, which set_up.py makes.
fn put_members<'py>(
    module: &Object<'py>,
    state: &State,
    launch: &Launch,
    application_group: &[u8],
) -> PyResult<'py, ()> {
    let py = module.py();
    let (major, minor, patch) = mod_wsgi_core::VERSION;
    module.set("version", &py.tuple([py.int(major.into())?, py.int(minor.into())?, py.int(patch.into())?])?)?;
    module.set("process_group", &py.latin1(&launch.process_group)?)?;
    module.set("application_group", &py.latin1(application_group)?)?;
    module.set("maximum_processes", &py.int(launch.processes.into())?)?;
    module.set("threads_per_process", &py.int(launch.threads.into())?)?;
    module.set("FileWrapper", &state.types.file_wrapper.get(py))?;
    module.set("RequestTimeout", &state.types.request_timeout.get(py))?;
    for name in ["event_callbacks", "shutdown_callbacks", "signal_callbacks"] {
        module.set(name, &py.list(Vec::new())?)?;
    }
    module.set("active_requests", &py.dict()?)?;
    members::put(module)
}

/// What applications find in the module `apache`.
fn apache_members<'py>(py: Python<'py>, launch: &Launch) -> PyResult<'py, Object<'py>> {
    let members = py.dict()?;
    let put = |name: &str, value: Object<'py>| members.set_entry(&py.interned(name)?, &value);
    let part = |at: usize| py.int(launch.apache_version.get(at).copied().unwrap_or_default().into());
    put("version", py.tuple([part(0)?, part(1)?, part(2)?])?)?;
    put("maximum_processes", py.int(launch.apache_processes.into())?)?;
    put("threads_per_process", py.int(launch.apache_threads.into())?)?;
    put("description", py.latin1(&launch.apache_description)?)?;
    put("mpm_name", py.latin1(&launch.apache_mpm)?)?;
    put("build_date", py.latin1(&launch.apache_built)?)?;
    Ok(members)
}
