//! The interpreters of this process: one for each application group, made on first use and kept.

use super::metrics;
use super::script::Scripts;
use super::set_up;
use super::state::State;
use crate::ignore;
use crate::log;
use crate::python::{self, OWN_LOCK, Python, run_exit_functions};
use mod_wsgi_core::interpreter_options::resolve;
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::LogLevel;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// An interpreter for an application group.
pub struct Interpreter {
    /// The application group; empty is the main interpreter.
    pub name: Vec<u8>,
    /// The scripts loaded into it.
    pub scripts: Scripts,
    /// What this process was told.
    pub launch: &'static Launch,
    python: OnceLock<&'static python::Interpreter>,
    state: OnceLock<&'static State>,
    /// Whether whoever runs in it keeps others out of the other interpreters.
    shares_lock: OnceLock<bool>,
}

impl Interpreter {
    fn leak(name: &[u8], launch: &'static Launch) -> &'static Self {
        Box::leak(Box::new(Self {
            name: name.to_vec(),
            scripts: Scripts::default(),
            launch,
            python: OnceLock::new(),
            state: OnceLock::new(),
            shares_lock: OnceLock::new(),
        }))
    }

    /// Runs `work` attached to this interpreter.
    pub fn attach<R>(&'static self, work: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
        self.python.wait_or_panic().attach(work)
    }

    /// Whether it has Python's global lock in common with the other interpreters: no lock of its own, and no Python without.
    pub fn shares_lock(&self) -> bool {
        *self.shares_lock.wait_or_panic()
    }

    /// The state of its module.
    pub fn state(&self) -> &'static State {
        self.state.wait_or_panic()
    }

    /// Whether this process runs scripts instead of requests (`threads=0`).
    pub fn is_service(&self) -> bool {
        !self.launch.process_group.is_empty() && self.launch.threads == 0
    }

    /// How log lines call it.
    pub fn description(&self) -> String {
        let (group, process) =
            (String::from_utf8_lossy(&self.name), String::from_utf8_lossy(&self.launch.process_group));
        let interpreter =
            if group.is_empty() { "main interpreter".to_owned() } else { format!("sub-interpreter '{group}'") };
        if process.is_empty() {
            format!("{interpreter} in embedded mode")
        } else {
            format!("{interpreter} of daemon process '{process}'")
        }
    }
}

/// The value of a cell that is set before anybody can see its owner.
trait Set<T> {
    fn wait_or_panic(&self) -> &T;
}

impl<T> Set<T> for OnceLock<T> {
    #[allow(clippy::expect_used, reason = "an interpreter gets into the table only after its cells are set")]
    fn wait_or_panic(&self) -> &T {
        self.get().expect("an interpreter that is set up")
    }
}

/// All interpreters of the process.
pub struct Interpreters {
    launch: &'static Launch,
    main: &'static Interpreter,
    main_python: &'static python::Interpreter,
    /// The sub-interpreters.
    table: Mutex<HashMap<Vec<u8>, &'static Interpreter>>,
    /// Held while one is made.
    making: Mutex<()>,
}

impl Interpreters {
    /// Sets up the main interpreter. Called detached.
    ///
    /// # Errors
    /// Why that failed.
    pub fn start(launch: Launch, main_python: &'static python::Interpreter) -> Result<&'static Self, String> {
        let launch: &'static Launch = Box::leak(Box::new(launch));
        let main = Interpreter::leak(b"", launch);
        // Set once, just here.
        ignore(main.python.set(main_python));
        let (state, shares_lock) = main_python.attach(|py| {
            let state = set_up::set_up(py, launch, b"", false).map_err(|raised| raised.text());
            (state, !py.is_free_threaded())
        });
        ignore(main.state.set(state?));
        ignore(main.shares_lock.set(shares_lock));
        metrics::note_ready();
        Ok(Box::leak(Box::new(Self { launch, main, main_python, table: Mutex::default(), making: Mutex::default() })))
    }

    /// What this process was told.
    pub fn launch(&self) -> &'static Launch {
        self.launch
    }

    /// The interpreter of an application group, if there is one.
    pub fn known(&self, name: &[u8]) -> Option<&'static Interpreter> {
        if name.is_empty() {
            return Some(self.main);
        }
        self.table.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// The interpreter of an application group, made now if there is none. Called detached.
    ///
    /// # Errors
    /// Why it cannot be made; it is tried again the next time.
    pub fn get(&'static self, name: &[u8]) -> Result<&'static Interpreter, String> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let made = Interpreter::leak(name, self.launch);
        let own_lock = self.gets_own_lock(name);
        let (python, state) = self
            .main_python
            .new_sub(own_lock, |py| set_up::set_up(py, self.launch, name, own_lock).map_err(|raised| raised.text()))?;
        // Set once, just here.
        ignore(made.python.set(python));
        ignore(made.state.set(state?));
        ignore(made.shares_lock.set(self.main.shares_lock() && !own_lock));
        self.table.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_vec(), made);
        Ok(made)
    }

    /// Whether a sub-interpreter is to have a global lock of its own, and can. Called detached.
    fn gets_own_lock(&'static self, name: &[u8]) -> bool {
        if resolve(&self.launch.interpreter_options, name).per_interpreter_gil != Some(true) {
            return false;
        }
        let why = match () {
            () if !OWN_LOCK => "WSGI0198: this version of Python has one lock for all interpreters",
            () if self.main_python.attach(|py| py.is_free_threaded()) => "WSGI0202: this Python runs without a lock",
            () => return true,
        };
        let group = String::from_utf8_lossy(name);
        let text = format!("{why}; WSGIPerInterpreterGIL has no effect on application group '{group}'");
        log::write(LogLevel::Warning, &text);
        false
    }

    /// All of them, the main one first.
    pub fn all(&self) -> Vec<&'static Interpreter> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        [self.main].into_iter().chain(table.values().copied()).collect()
    }

    /// Ends the sub-interpreters. Called detached, when no request runs and none will. Answers whether the main
    /// interpreter can be finalized; otherwise its exit functions are all that can still be run.
    pub fn end_subs(&'static self) -> bool {
        let subs: Vec<_> = self
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, interpreter)| interpreter)
            .collect();
        let mut all = true;
        for interpreter in subs {
            if !interpreter.python.wait_or_panic().end() {
                log::write(
                    LogLevel::Info,
                    "WSGI7010: threads of the application still run in a sub-interpreter, it is left",
                );
                all = false;
            }
        }
        all
    }

    /// Runs the exit functions of every interpreter without ending any, for when threads still run in them. `join` is
    /// whether the threads of the application are joined before, which takes this to be Python's main thread.
    pub fn run_exit_functions(&'static self, join: bool) {
        let subs: Vec<_> = self.table.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect();
        for interpreter in subs.into_iter().chain([self.main]) {
            interpreter.attach(|py| run_exit_functions(py, join));
        }
    }

    /// The main interpreter of CPython.
    pub fn main_python(&self) -> &'static python::Interpreter {
        self.main_python
    }
}
