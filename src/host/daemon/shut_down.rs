//! The main thread of a daemon process: waits for the reason to end, then ends in order and in time.

use super::control::{Control, Said};
use super::exit_now;
use super::service::Service;
use crate::ignore;
use crate::log;
use crate::sys::clock;
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::LogLevel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The exit status when the process could not end in time, as the C module has it.
const EXIT_LATE: i32 = 255;

/// The times at which a process is replaced though nobody asked.
struct Timers {
    /// When `restart-interval` has passed.
    restart: Option<Instant>,
    /// `inactivity-timeout`, if there is one.
    inactivity: Option<Duration>,
}

impl Timers {
    fn new(launch: &Launch) -> Self {
        let inactivity = Some(launch.inactivity_timeout).filter(|timeout| *timeout > 0).map(Duration::from_millis);
        Self { restart: after(Instant::now(), launch.restart_interval), inactivity }
    }

    /// How long the process may still stay inactive, once it has had a request. While one runs it is active.
    fn inactivity_left(&self, service: &Service) -> Option<Duration> {
        let (timeout, last) = (self.inactivity?, service.last_activity()?);
        if service.is_busy() {
            return Some(timeout);
        }
        let idle = Duration::from_micros(clock::microseconds().saturating_sub(last));
        Some(timeout.saturating_sub(idle))
    }

    /// When to look again.
    fn next(&self, service: &Service) -> Option<Instant> {
        let inactivity = self.inactivity_left(service).map(|left| Instant::now() + left);
        [self.restart, inactivity].into_iter().flatten().min()
    }

    /// Why the process is to be replaced now, if it is.
    fn due(&self, service: &Service) -> Option<&'static str> {
        if self.restart.is_some_and(|at| at <= Instant::now()) {
            return Some("restart-interval has passed");
        }
        self.inactivity_left(service).filter(Duration::is_zero).map(|_| "inactivity-timeout has passed")
    }
}

/// Why the process ends, as far as that matters for how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// The running requests may take their time.
    Graceful,
    /// The same, with a time of its own.
    Evicted,
    /// Whoever asked will not wait long.
    Prompt,
}

/// Waits until there is something to look at, or until a time.
fn wait(service: &Service, control: Option<&Control>, signals: &OwnedFd, until: Option<Instant>) {
    let news = service.news();
    let mut files = vec![PollFd::new(&news, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
    let control = control.map(Control::as_fd);
    if let Some(control) = &control {
        files.push(PollFd::new(control, PollFlags::IN));
    }
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    // An interrupted wait is a wait that has ended; the caller looks again.
    ignore(poll(&mut files, left.as_ref()));
    let mut counter = [0; 8];
    ignore(rustix::io::read(service.news().as_fd(), &mut counter));
}

/// The signals that have come; the last one that asks for an end counts.
fn signalled(signals: &OwnedFd) -> Option<(Haste, &'static str)> {
    let mut numbers = [0; 64];
    let length = rustix::io::read(signals, &mut numbers).unwrap_or(0);
    let numbers = numbers.get(..length).unwrap_or_default();
    let asked = |signal: i32| numbers.iter().any(|number| i32::from(*number) == signal);
    if asked(libc::SIGTERM) || asked(libc::SIGINT) {
        Some((Haste::Prompt, "it was told to end"))
    } else if asked(libc::SIGUSR1) {
        Some((Haste::Evicted, "it was told to end gracefully"))
    } else if asked(libc::SIGXCPU) {
        Some((Haste::Graceful, "its limit of CPU time is reached"))
    } else {
        None
    }
}

fn after(start: Instant, milliseconds: u64) -> Option<Instant> {
    (milliseconds > 0).then(|| start + Duration::from_millis(milliseconds))
}

/// Ends the process at a time, whatever it does then.
fn watch(until: Option<Instant>) {
    let Some(until) = until else { return };
    let watchdog = move || {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        log::write(LogLevel::Warning, "WSGI7021: the process did not end within shutdown-timeout and is ended now");
        exit_now(EXIT_LATE);
    };
    if let Err(error) = std::thread::Builder::new().name("wsgi:watchdog".to_owned()).spawn(watchdog) {
        log::write(LogLevel::Warning, &format!("WSGI7022: nothing watches whether the process ends in time: {error}"));
    }
}

/// Serves until there is a reason to end, and answers the exit status for Python to end with.
pub fn serve_until_the_end(service: &Service, control: &mut Control, signals: &OwnedFd) -> i32 {
    let launch = service.interpreters.launch();
    let timers = Timers::new(launch);
    let mut haste = None;
    while haste.is_none() {
        wait(service, Some(control), signals, timers.next(service));
        if let Some((asked, why)) = signalled(signals) {
            service.retire(why);
            haste = Some(asked);
        } else if service.is_retiring() {
            haste = Some(Haste::Graceful);
        } else if let Some(why) = timers.due(service) {
            service.retire(why);
            haste = Some(Haste::Graceful);
        } else {
            match control.said() {
                Said::Nothing => {}
                Said::Retire => {
                    service.retire("another process takes its place");
                    haste = Some(Haste::Prompt);
                }
                Said::Closed => {
                    service.retire("Apache is gone");
                    haste = Some(Haste::Prompt);
                }
            }
        }
    }
    let start = Instant::now();
    let limit = after(start, launch.shutdown_timeout);
    let has_own_time = haste == Some(Haste::Evicted) && launch.eviction_timeout > 0;
    let mut until = after(start, if has_own_time { launch.eviction_timeout } else { launch.graceful_timeout });
    if haste == Some(Haste::Evicted) {
        haste = Some(Haste::Graceful);
    }
    if haste == Some(Haste::Prompt) {
        watch(limit);
        until = [until, limit].into_iter().flatten().min();
    }
    while !service.is_idle() && until.is_none_or(|until| Instant::now() < until) {
        wait(service, None, signals, until);
        if let (Some((Haste::Prompt, _)), Some(Haste::Graceful)) = (signalled(signals), haste) {
            haste = Some(Haste::Prompt);
            let limit = after(Instant::now(), launch.shutdown_timeout);
            watch(limit);
            until = [until, limit].into_iter().flatten().min();
        }
    }
    if haste == Some(Haste::Graceful) {
        watch(after(Instant::now(), launch.shutdown_timeout));
    }
    end(service)
}

/// Ends interpreters and threads, as far as requests have ended.
fn end(service: &Service) -> i32 {
    let interpreters = service.interpreters;
    if !interpreters.launch().destroy_interpreters {
        exit_now(0);
    }
    if !service.is_idle() {
        log::write(LogLevel::Warning, "WSGI7023: requests still run after graceful-timeout and are cut off");
        interpreters.run_exit_functions(false);
        exit_now(0);
    }
    service.stop();
    if !interpreters.end_subs() {
        interpreters.run_exit_functions(true);
        exit_now(0);
    }
    // Back in the start script Python ends by itself: threads are joined, atexit functions run, modules cleared.
    0
}
