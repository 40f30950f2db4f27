//! The thread that goes into Python for the reporter, and may wait there for ever: the reporter must not.

use super::sender::Sender;
use crate::application::interpreters::Interpreters;
use crate::ignore;
use crate::python::caught;
use mod_wsgi_core::telemetry::GcSnapshot;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many interpreters are looked at.
const INTERPRETERS: usize = 32;

#[derive(Default)]
struct State {
    asked: u64,
    done: u64,
    ends: bool,
}

/// Reports what garbage collectors have done, whenever it is asked to.
#[derive(Default)]
pub struct Collector {
    state: Mutex<State>,
    changed: Condvar,
}

impl Collector {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits to be asked, until the end. Called detached.
    pub fn work(&self, interpreters: &'static Interpreters, sender: &Sender) {
        loop {
            let mut state = self.state();
            while state.asked == state.done && !state.ends {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.asked == state.done {
                return;
            }
            drop(state);
            // What failed is logged where it is caught.
            ignore(caught("telemetry of the garbage collector", || report(interpreters, sender)));
            self.state().done += 1;
            self.changed.notify_all();
        }
    }

    /// Asks for a report, unless it has not come back from the one before.
    pub fn ask(&self) {
        let mut state = self.state();
        if state.asked == state.done {
            state.asked += 1;
            self.changed.notify_all();
        }
    }

    /// Ends the thread after a last report, and waits for it that long. Answers whether it is out of Python.
    pub fn end(&self, patience: Duration) -> bool {
        self.ask();
        let until = Instant::now() + patience;
        let mut state = self.state();
        state.ends = true;
        self.changed.notify_all();
        while state.asked > state.done {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

/// Reports the sum over all interpreters, and each collection since the report before.
///
/// Differs from mod_wsgi, which sends a snapshot for each interpreter with its name. Test: test_wsgi_telemetry_service.py.
fn report(interpreters: &'static Interpreters, sender: &Sender) {
    let mut all: Option<GcSnapshot> = None;
    let mut collections = Vec::new();
    for interpreter in interpreters.all().into_iter().take(INTERPRETERS) {
        let look = interpreter.attach(|py| interpreter.state().collections.look(py).map_err(|raised| raised.text()));
        // Where Python has no memory for an answer there is none.
        let Ok(Some((snapshot, events))) = look else { continue };
        match &mut all {
            Some(all) => all.add(&snapshot),
            None => all = Some(snapshot),
        }
        collections.extend(events);
    }
    sender.begin();
    if let Some(all) = all {
        sender.send(|header| all.encode(header));
    }
    for event in collections {
        sender.send(|header| event.encode(header));
    }
}
