//! The times at which something is done though nobody asked: requests that take too long, interpreters that stand still,
//! processes that are old or idle.

use super::inspector::Inspector;
use super::link::Link;
use super::reason::Reason;
use super::service::Service;
use crate::application::has_loaded;
use crate::application::progress::{Glimpse, Progress};
use crate::log;
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::LogLevel;
use std::time::{Duration, Instant};

/// The longest time between two looks at requests, and at Python, while there is a limit for them.
const LOOK: Duration = Duration::from_secs(1);
/// How many times within deadlock-timeout, and at least how seldom, Python is entered to see whether it goes.
const PROBES: u32 = 10;
const PROBE: Duration = Duration::from_secs(10);

/// A request that was interrupted and has not ended.
struct Interrupted {
    thread: u32,
    serial: u64,
    at: Instant,
}

/// All timers of a process.
pub struct Timers<'s> {
    service: &'s Service,
    inspector: &'s Inspector,
    /// When `restart-interval` has passed.
    restart: Option<Instant>,
    inactivity: Option<Duration>,
    /// How long a request may run: `request-timeout`, longer the more threads there are.
    request: Option<Duration>,
    interrupt: Option<Duration>,
    startup: Option<Duration>,
    deadlock: Option<Duration>,
    probed: Instant,
    interrupted: Vec<Interrupted>,
}

fn given(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// How long a request may run. One stuck thread of many hurts less than one of few, so that the time grows with their number,
/// as in mod_wsgi 6.1.1.
pub fn request_limit(launch: &Launch) -> Option<Duration> {
    let scale = 1.0 + f64::from(launch.threads.max(1)).ln();
    given(launch.request_timeout).map(|timeout| timeout.mul_f64(scale))
}

impl<'s> Timers<'s> {
    /// The timers of a process that takes requests from now on.
    pub fn new(service: &'s Service, inspector: &'s Inspector) -> Self {
        let launch = service.interpreters.launch();
        Self {
            service,
            inspector,
            restart: given(launch.restart_interval).map(|interval| Instant::now() + interval),
            inactivity: given(launch.inactivity_timeout),
            request: request_limit(launch),
            interrupt: given(launch.interrupt_timeout),
            startup: given(launch.startup_timeout),
            deadlock: given(launch.deadlock_timeout),
            probed: Instant::now(),
            interrupted: Vec::new(),
        }
    }

    /// How long the process may still stay inactive, once it has had a request. While one runs it is active.
    fn inactivity_left(&self) -> Option<Duration> {
        let (timeout, last) = (self.inactivity?, self.service.last_activity()?);
        if self.service.is_busy() {
            return Some(timeout);
        }
        Some(timeout.saturating_sub(last.elapsed()))
    }

    /// How long until the process is to be replaced for its age or for being idle, unless it is to be replaced already.
    fn renewal_left(&self) -> Option<(Duration, Reason)> {
        if self.service.outdated().is_some() {
            return None;
        }
        let restart = self.restart.map(|at| (at.saturating_duration_since(Instant::now()), Reason::RestartInterval));
        let inactivity = self.inactivity_left().map(|left| (left, Reason::Inactivity));
        [restart, inactivity].into_iter().flatten().min_by_key(|(left, _)| *left)
    }

    /// How long until something has to be looked at again.
    pub fn next(&self) -> Option<Duration> {
        let limits = [self.request, self.interrupt.filter(|_| !self.interrupted.is_empty()), self.startup_limit()];
        let look = limits.into_iter().flatten().map(|limit| (limit / 4).min(LOOK)).min();
        let renewal = self.renewal_left().map(|(left, _)| left);
        [look, renewal, self.probe_interval()].into_iter().flatten().min()
    }

    fn startup_limit(&self) -> Option<Duration> {
        self.startup.filter(|_| !has_loaded())
    }

    fn probe_interval(&self) -> Option<Duration> {
        self.deadlock.map(|limit| (limit / PROBES).min(if self.inspector.is_away() { LOOK } else { PROBE }))
    }

    /// Does what is due. Where the process can take no more requests it retires first, before clients are answered that
    /// might ask again at once.
    pub fn act(&mut self) {
        if let Some((_, reason)) = self.renewal_left().filter(|(left, _)| left.is_zero()) {
            self.service.renew(reason);
        }
        self.look_at_python();
        if !self.service.is_retiring() {
            self.look_at_requests();
        }
    }

    /// While requests run Python is entered now and then; it has to be possible.
    fn look_at_python(&mut self) {
        let Some(limit) = self.deadlock else { return };
        if let Some(away) = self.inspector.away() {
            if away >= limit {
                self.give_up_python(away);
            }
            return;
        }
        let due = self.probe_interval().is_some_and(|interval| self.probed.elapsed() >= interval);
        if due && self.service.is_busy() {
            self.probed = Instant::now();
            let interpreters = self.service.interpreters;
            let used: Vec<_> = self.service.progresses().into_iter().filter_map(Progress::look).collect();
            self.inspector.probe(move || {
                interpreters.main_python().attach(|_py| ());
                used.iter().for_each(|glimpse| glimpse.request.interpreter.attach(|_py| ()));
            });
        }
    }

    fn give_up_python(&self, away: Duration) {
        let text = format!(
            "WSGI7027: Python's lock could not be had for {} seconds, deadlock-timeout; this process is replaced, and its \
             requests get 504",
            away.as_secs()
        );
        log::write(LogLevel::Error, &text);
        self.service.retire(Reason::Deadlock);
        self.service.progresses().into_iter().filter_map(Progress::look).for_each(|glimpse| self.end(&glimpse, ""));
    }

    /// The requests that run longer than `limit`, and are not over.
    fn late(&self, limit: Duration) -> Vec<Glimpse> {
        let threads = self.service.progresses().into_iter();
        let late = threads.filter(|thread| thread.elapsed().is_some_and(|elapsed| elapsed > limit));
        let late = late.filter_map(Progress::look);
        late.filter(|glimpse| !glimpse.expired && glimpse.elapsed > limit).collect()
    }

    fn look_at_requests(&mut self) {
        let late = self.startup_limit().map_or_else(Vec::new, |limit| self.late(limit));
        if !late.is_empty() {
            self.service.retire(Reason::StartupTimeout);
            return late.iter().for_each(|glimpse| self.end(glimpse, "startup-timeout has passed: "));
        }
        let Some(limit) = self.request else { return };
        let mut late = self.late(limit);
        self.interrupted.retain(|interrupted| {
            late.iter().any(|glimpse| (glimpse.number, glimpse.serial) == (interrupted.thread, interrupted.serial))
        });
        late.retain(|glimpse| self.is_hopeless(glimpse));
        if !late.is_empty() {
            self.service.retire(Reason::RequestTimeout);
            late.iter().for_each(|glimpse| self.end(glimpse, "request-timeout has passed: "));
        }
    }

    /// Whether a late request cannot be ended by an exception; it is tried with the first look.
    fn is_hopeless(&mut self, glimpse: &Glimpse) -> bool {
        let Some(grace) = self.interrupt else { return true };
        let known =
            self.interrupted.iter().find(|known| (known.thread, known.serial) == (glimpse.number, glimpse.serial));
        if let Some(known) = known {
            return known.at.elapsed() > grace;
        }
        let text = format!("WSGI7026: request-timeout has passed, RequestTimeout is raised: {}", glimpse.text());
        log::write(LogLevel::Warning, &text);
        for line in self.inspector.stack(glimpse) {
            log::write(LogLevel::Warning, &format!("WSGI7026: {line}"));
        }
        self.inspector.interrupt(glimpse);
        self.interrupted.push(Interrupted { thread: glimpse.number, serial: glimpse.serial, at: Instant::now() });
        false
    }

    /// Answers the client of a request that does not end. Its thread is lost.
    fn end(&self, glimpse: &Glimpse, why: &str) {
        if !self.service.write_off(glimpse) {
            return;
        }
        // Before its stack is asked for, which may end a wait of its.
        let given_up = glimpse.request.give_up();
        let mut lines = vec![format!("WSGI7028: {why}{}", glimpse.text())];
        lines.extend(self.inspector.stack(glimpse).into_iter().map(|line| format!("WSGI7028: {line}")));
        let Some((exchange, begun)) = given_up else {
            lines.iter().for_each(|line| log::write(LogLevel::Error, line));
            return glimpse.progress.cut(glimpse.serial);
        };
        if let Ok(link) = exchange.into_any().downcast::<Link>() {
            link.give_up(&lines, begun);
        }
    }
}
