//! Requests that wait for the process that takes the place of this one, because a script has changed: they are to be answered by
//! the new script, unless that does not load.

use crate::log;
use mod_wsgi_core::wire::LogLevel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long requests wait for another process; what takes longer to load is waited for while this one answers.
const LONGEST: Duration = Duration::from_secs(15);

/// Whether another process is awaited.
#[derive(Debug, Default)]
pub struct Succession {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Since when requests wait; `None` while none does.
    since: Option<Instant>,
    /// Whether the parent has not been asked yet.
    is_new: bool,
    /// Whether it was said that it takes too long.
    is_late: bool,
    /// No more requests are taken, so none waits.
    is_over: bool,
}

impl Succession {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another process is wanted.
    pub fn ask(&self) {
        let mut state = self.state();
        if state.since.is_none() {
            *state = State { since: Some(Instant::now()), is_new: true, is_late: false, ..*state };
        }
    }

    /// Whether the parent is to be asked; from now on it has been.
    pub fn take_question(&self) -> bool {
        std::mem::take(&mut self.state().is_new)
    }

    /// Waits until there is an answer, but not too long.
    pub fn wait(&self) {
        let mut state = self.state();
        while let Some(left) =
            state.since.filter(|_| !state.is_over).map(|since| LONGEST.saturating_sub(since.elapsed()))
        {
            if left.is_zero() {
                if !std::mem::replace(&mut state.is_late, true) {
                    let text = format!(
                        "WSGI7033: another process is still loading its scripts {} seconds after one has changed; until it has, this one \
                         answers with the script as it was",
                        LONGEST.as_secs()
                    );
                    log::write(LogLevel::Warning, &text);
                }
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// There will be no other process for now.
    pub fn decline(&self) {
        self.state().since = None;
        self.changed.notify_all();
    }

    /// No more requests are taken.
    pub fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }
}
