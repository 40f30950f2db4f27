//! The thread that reports: a sample with every interval, and what happens to the process.

use super::collector::Collector;
use super::identity;
use super::sender::Sender;
use super::slow;
use crate::application::interpreters::Interpreters;
use crate::application::metrics;
use crate::ignore;
use crate::log;
use crate::python::caught;
use crate::sys::clock;
use crate::sys::signal_mask::without_signals;
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::telemetry::{Identity, Started, Stopped, Stopping, Telemetry};
use mod_wsgi_core::wire::LogLevel;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the end of the process waits for a last look at garbage collectors.
const PATIENCE: Duration = Duration::from_millis(250);

/// The reporter of this process.
static REPORTER: OnceLock<Reporter> = OnceLock::new();

struct Reporter {
    interpreters: &'static Interpreters,
    launch: &'static Launch,
    settings: &'static Telemetry,
    identity: Identity,
    sender: Sender,
    collector: Collector,
    /// When it began, in microseconds since the epoch, and on a clock that nobody sets.
    started: (u64, Instant),
    reason: OnceLock<&'static str>,
    /// Whether the thread is to end.
    stopping: Mutex<bool>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_running: AtomicBool,
}

/// Starts to report, if that is configured. Called detached, before the process takes requests.
pub fn start(interpreters: &'static Interpreters) {
    let launch = interpreters.launch();
    let Some(settings) = launch.telemetry.as_ref().filter(|_| !launch.restrict_embedded) else { return };
    let sender = match Sender::new(&settings.path) {
        Ok(sender) => sender,
        Err(error) => {
            let text = format!("WSGI0132: this process reports nothing to WSGITelemetryService: no socket: {error}");
            return log::write(LogLevel::Warning, &text);
        }
    };
    let reporter = REPORTER.get_or_init(|| Reporter {
        interpreters,
        launch,
        settings,
        identity: identity::read(interpreters),
        sender,
        collector: Collector::default(),
        started: (clock::microseconds(), Instant::now()),
        reason: OnceLock::new(),
        stopping: Mutex::new(false),
        changed: Condvar::new(),
        thread: Mutex::default(),
        is_running: AtomicBool::new(false),
    });
    metrics::arm();
    slow::arm(settings, launch.threads);
    // In an Apache child signals are Apache's, and its handlers end the process on the thread that they come to.
    let is_embedded = launch.process_group.is_empty();
    let start = || reporter.start_threads();
    if let Err(error) = if is_embedded { without_signals(start) } else { start() } {
        let text = format!("WSGI0133: this process reports nothing to WSGITelemetryService: no thread: {error}");
        log::write(LogLevel::Warning, &text);
    }
}

/// The reporter, if its threads could be started.
fn running() -> Option<&'static Reporter> {
    REPORTER.get().filter(|reporter| reporter.is_running.load(Ordering::Acquire))
}

/// It is decided that the process ends. Called once, before requests have their time to end.
pub fn stopping(reason: &'static str) {
    let Some(reporter) = running() else { return };
    ignore(reporter.reason.set(reason));
    let active = metrics::lifetime().active;
    reporter.sender.begin();
    reporter.sender.send(|header| Stopping { identity: &reporter.identity, reason, active }.encode(header));
}

/// Requests have had their time to end: reports for the last time. Answers whether no thread of this is in Python.
pub fn stopped() -> bool {
    let Some(reporter) = running() else { return true };
    *reporter.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
    reporter.changed.notify_all();
    let thread = reporter.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    // It waits for nobody but the receiver, and that a moment.
    thread.into_iter().for_each(|thread| ignore(thread.join()));
    let is_out = reporter.collector.end(PATIENCE);
    reporter.send_last(true);
    is_out
}

/// The process is ended now, because its time is over.
pub fn cut_off() {
    if let Some(reporter) = running() {
        reporter.send_last(false);
    }
}

impl Reporter {
    fn start_threads(&'static self) -> std::io::Result<()> {
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("wsgi:collector").spawn(|| self.collector.work(self.interpreters, &self.sender))?;
        let reporter = spawn("wsgi:telemetry").spawn(|| self.work())?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(reporter);
        self.is_running.store(true, Ordering::Release);
        Ok(())
    }

    fn work(&self) {
        self.sender.send_stamped(self.started.0, |header| Started(&self.identity).encode(header));
        let mut is_last = false;
        while !is_last {
            is_last = self.wait();
            // What failed is logged where it is caught.
            ignore(caught("telemetry", || self.tick()));
            if !is_last {
                self.collector.ask();
            }
        }
    }

    /// Waits for an interval, or for the end; whether that has come.
    fn wait(&self) -> bool {
        let until = Instant::now() + Duration::from_micros(self.settings.interval);
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopping {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (stopping, _) = self.changed.wait_timeout(stopping, left).unwrap_or_else(PoisonError::into_inner);
        }
        *stopping
    }

    fn tick(&self) {
        self.sender.begin();
        if let Some(sample) = metrics::sample(self.launch) {
            self.sender.send(|header| sample.encode(header, &self.identity, self.settings));
        }
        let stamp = clock::microseconds();
        for slow in slow::take() {
            self.sender.send_stamped(stamp, |header| slow.encode(header, self.settings.user_agent));
        }
    }

    fn send_last(&self, in_time: bool) {
        let life = metrics::lifetime();
        self.sender.begin();
        let stopped = Stopped {
            identity: &self.identity,
            reason: self.reason.get().copied().unwrap_or_default(),
            uptime: u64::try_from(self.started.1.elapsed().as_micros()).unwrap_or(u64::MAX),
            requests: life.requests,
            active: life.active,
            in_time,
        };
        self.sender.send_last(|header| stopped.encode(header));
    }
}
