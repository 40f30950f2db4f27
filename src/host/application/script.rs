//! WSGI script files: found, loaded, loaded again after a change.

use super::failure;
use super::interpreters::Interpreter;
use super::request::Request;
use crate::log;
use crate::python::{Exception, Object, PyResult, Python, Raised, Stored};
use crate::sys::clock::modified;
use crate::sys::process;
use mod_wsgi_core::launch::Preload;
use mod_wsgi_core::obstacle;
use mod_wsgi_core::os_text::os_text;
use mod_wsgi_core::wire::LogLevel;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether any script has been loaded in this process.
static LOADED: AtomicBool = AtomicBool::new(false);

/// Whether any script has been loaded in this process.
pub fn has_loaded() -> bool {
    LOADED.load(Ordering::Acquire)
}

/// What a daemon process has loaded since somebody took it from here.
static NEWS: Mutex<Vec<Preload>> = Mutex::new(Vec::new());
static HAS_NEWS: AtomicBool = AtomicBool::new(false);

/// Whether a script has been loaded since [`take_loaded`].
pub fn has_news() -> bool {
    HAS_NEWS.load(Ordering::Relaxed)
}

/// The scripts that have been loaded since this was last asked, in a daemon process. Called detached.
pub fn take_loaded() -> Vec<Preload> {
    HAS_NEWS.store(false, Ordering::Relaxed);
    std::mem::take(&mut *NEWS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Changes of scripts that the process goes on without: when each was changed.
static KEPT: Mutex<Vec<(Vec<u8>, Option<i64>)>> = Mutex::new(Vec::new());

/// The process goes on with a script as it was before that change. Called detached.
pub fn keep(path: &[u8], change: Option<i64>) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|(known, _)| known != path);
    kept.push((path.to_vec(), change));
}

fn is_kept(path: &[u8], change: Option<i64>) -> bool {
    // It is held for as long only as comparing takes, so that waiting for it attached delays nobody.
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().any(|(known, at)| known == path && *at == change)
}

/// The scripts of an interpreter.
#[derive(Default)]
pub struct Scripts {
    /// Held while one is loaded.
    loading: Mutex<()>,
    /// Names of the modules that were loaded to their end, by the path of the script.
    loaded: Mutex<HashMap<Vec<u8>, Stored>>,
}

/// Why there is no module to run; it has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It could not be loaded.
    Failed,
    /// It has changed, and this process has to be replaced.
    Changed,
}

/// When a file was last changed, in microseconds since the epoch; `None` where it cannot be looked at. Called detached.
pub fn changed(path: &[u8]) -> Option<i64> {
    std::fs::metadata(os_text(path)).ok().map(|metadata| modified(&metadata))
}

fn module_name(path: &[u8], case_sensitive: bool) -> String {
    let digest = if case_sensitive { md5::compute(path) } else { md5::compute(path.to_ascii_lowercase()) };
    format!("_mod_wsgi_{digest:x}")
}

/// What a request asks of its script.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Path of the script.
    pub path: &'a [u8],
    /// Whether it is looked at for changes, and then when it was last changed.
    pub changed: Option<Option<i64>>,
    /// Path of the file the request is for, the argument of `reload_required`; `None` where that is not asked.
    pub resource: Option<&'a [u8]>,
    /// Whose log is written; `None` before any request.
    pub request: Option<&'a Request>,
    /// Where lines are kept instead that belong to no request.
    pub kept: Option<&'a Kept>,
}

/// Lines for the error log.
pub type Kept = RefCell<Vec<(LogLevel, Vec<u8>)>>;

impl Wanted<'_> {
    fn log(&self, py: Python<'_>, level: LogLevel, text: &str) {
        match (self.request, self.kept) {
            (Some(request), _) => request.log(py, level, text),
            (None, Some(kept)) => kept.borrow_mut().push((level, text.as_bytes().to_vec())),
            (None, None) => py.detach(|| log::write(level, text)),
        }
    }

    fn log_exception(&self, py: Python<'_>, interpreter: &Interpreter, raised: &Raised<'_>) {
        let Some(kept) = self.kept else {
            return failure::log_exception(py, interpreter, self.request, self.path, raised);
        };
        let lines = failure::lines_of(interpreter, self.request, self.path, raised);
        kept.borrow_mut().extend(lines.into_iter().map(|line| (LogLevel::Error, line)));
    }
}

/// The module of a script, loaded now if it has to be.
///
/// # Errors
/// [`Missing`].
pub fn find<'py>(py: Python<'py>, interpreter: &Interpreter, wanted: Wanted<'_>) -> Result<Object<'py>, Missing> {
    if let Some(module) = loaded(py, interpreter, wanted.path) {
        if !must_reload(py, interpreter, &module, wanted) {
            return Ok(module);
        }
    }
    // Whoever waits here waits detached. No Python object is made by taking the lock, and running Python with it held is
    // what it is for: a script that is being loaded and asks for itself again would be an endless loop anyway.
    let _loading = py.lock(&interpreter.scripts.loading);
    if let Some(module) = loaded(py, interpreter, wanted.path) {
        if !must_reload(py, interpreter, &module, wanted) {
            return Ok(module);
        }
        if !interpreter.launch.process_group.is_empty() {
            return Err(Missing::Changed);
        }
        wanted.log(py, LogLevel::Info, "WSGI7012: the script has changed, reloading it");
        forget(py, interpreter, wanted.path);
    }
    load(py, interpreter, wanted).map_err(|()| Missing::Failed)
}

fn loaded<'py>(py: Python<'py>, interpreter: &Interpreter, path: &[u8]) -> Option<Object<'py>> {
    let name = py.lock(&interpreter.scripts.loaded).get(path).map(|name| name.get(py).clone())?;
    py.modules().entry(&name)
}

fn forget(py: Python<'_>, interpreter: &Interpreter, path: &[u8]) {
    let name = py.lock(&interpreter.scripts.loaded).remove(path);
    if let Some(name) = name {
        py.modules().remove_entry(&name.get(py));
        name.clear(py);
    }
}

fn must_reload<'py>(py: Python<'py>, interpreter: &Interpreter, module: &Object<'py>, wanted: Wanted<'_>) -> bool {
    let Some(changed) = wanted.changed else { return false };
    let state = interpreter.state();
    let recorded = module.attribute(&state.names.mtime.get(py)).and_then(|recorded| recorded.to_int()).ok();
    if changed.is_none() || recorded != changed {
        return !is_kept(wanted.path, changed);
    }
    let Some(resource) = wanted.resource else { return false };
    let Ok(asked) = module.attribute(&state.names.reload_required.get(py)) else { return false };
    match py.file_name(resource).and_then(|resource| asked.call([&resource])) {
        Ok(answer) => answer.is_true() && !is_kept(wanted.path, changed),
        Err(raised) => {
            wanted.log_exception(py, interpreter, &raised);
            false
        }
    }
}

fn load<'py>(py: Python<'py>, interpreter: &Interpreter, wanted: Wanted<'_>) -> Result<Object<'py>, ()> {
    let path = os_text(wanted.path);
    let path = Path::new(&path);
    let read = py.detach(|| {
        let changed = modified(&std::fs::metadata(path)?);
        std::fs::read(path).map(|source| (source, changed))
    });
    let (source, changed) = read.map_err(|error| {
        let number = if wanted.request.is_some() { "WSGI0105" } else { "WSGI0106" };
        let text = py.detach(|| explain(path, &interpreter.description(), &error));
        wanted.log(py, LogLevel::Error, &format!("{number}: {text}"));
    })?;
    let compile = || -> PyResult<'py, _> {
        let (file, name) = (py.file_name(wanted.path)?, module_name(wanted.path, interpreter.launch.case_sensitive));
        Ok((py.interned(&name)?, py.compile(&source, &file)?, file))
    };
    let shown = path.display();
    let (name, code, file) = compile().map_err(|raised| {
        let number = if wanted.request.is_some() { "WSGI0105" } else { "WSGI0106" };
        let (place, user) = (interpreter.description(), py.detach(process::user));
        let text = format!(
            "{number}: the script '{shown}' cannot be compiled for {place}, user {user}: mend it where the following lines say"
        );
        wanted.log(py, LogLevel::Error, &text);
        wanted.log_exception(py, interpreter, &raised);
    })?;
    let run = || -> PyResult<'py, Object<'py>> {
        let module = py.run_module(&name, &code, &file)?;
        module.set("__mtime__", &py.int(changed)?)?;
        Ok(module)
    };
    let module = run().map_err(|raised| {
        // A service ends so, see set_up.py.
        if interpreter.is_service() && raised.is(Exception::SystemExit) {
            return;
        }
        let number = match (raised.is(Exception::SystemExit), wanted.request.is_some()) {
            (true, true) => "WSGI0107",
            (true, false) => "WSGI0108",
            (false, true) => "WSGI0109",
            (false, false) => "WSGI0110",
        };
        let (place, user) = (interpreter.description(), py.detach(process::user));
        let text = format!(
            "{number}: the script '{shown}' cannot be executed in {place}, user {user}: mend it where the following lines say"
        );
        wanted.log(py, LogLevel::Error, &text);
        wanted.log_exception(py, interpreter, &raised);
    })?;
    py.lock(&interpreter.scripts.loaded).insert(wanted.path.to_vec(), Stored::new(name));
    LOADED.store(true, Ordering::Release);
    if !interpreter.launch.process_group.is_empty() && !interpreter.is_service() {
        let loaded = Preload { script: wanted.path.to_vec(), application_group: interpreter.name.clone() };
        py.lock(&NEWS).push(loaded);
        HAS_NEWS.store(true, Ordering::Relaxed);
    }
    Ok(module)
}

/// Why a script cannot be read: what, for which interpreter, by whom, where the way ends, and the cure. Called detached.
fn explain(path: &Path, place: &str, error: &Error) -> String {
    let user = process::user();
    let look = |place: &Path| {
        let is_link = std::fs::symlink_metadata(place)?.is_symlink();
        if is_link { std::fs::read_link(place).map(Some) } else { Ok(None) }
    };
    let cause = match (obstacle::first(path, look), error.kind()) {
        (Some(found), _) => found.explained(path),
        (None, ErrorKind::PermissionDenied) => format!("; the file itself refuses: {}", obstacle::LET_READ),
        (None, ErrorKind::IsADirectory) => ": name the script in this folder".to_owned(),
        (None, _) => String::new(),
    };
    format!("the script '{}' cannot be read for {place} by user {user}: {error}{cause}", path.display())
}
