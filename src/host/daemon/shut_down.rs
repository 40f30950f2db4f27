//! The main thread of a daemon process: waits for the reason to end, then ends in order and in time.

use super::announcer::Announcer;
use super::control::{Control, Said};
use super::exit_now;
use super::inspector::Inspector;
use super::link::Link;
use super::reason::Reason;
use super::service::Service;
use super::timers::{Timers, request_limit};
use crate::application::events::ProcessEvent;
use crate::application::interpreters::Interpreters;
use crate::application::progress::Progress;
use crate::application::{take_loaded, telemetry};
use crate::ignore;
use crate::log;
use mod_wsgi_core::wire::LogLevel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The exit status when the process could not end in time, as the C module has it.
const EXIT_LATE: i32 = 255;

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

/// How long is waited for threads whose requests are over.
const LAST_WORDS: Duration = Duration::from_millis(500);

fn haste(reason: Reason) -> Haste {
    match reason {
        Reason::Replaced | Reason::ApacheGone | Reason::Told => Haste::Prompt,
        Reason::Evicted => Haste::Evicted,
        _ => Haste::Graceful,
    }
}

/// Waits until there is something to look at, or until a time.
fn wait(service: &Service, control: Option<&Control>, signals: Option<&OwnedFd>, until: Option<Instant>) {
    let news = service.news();
    let mut files = vec![PollFd::new(&news, PollFlags::IN)];
    files.extend(signals.map(|signals| PollFd::new(signals, PollFlags::IN)));
    let control = control.map(Control::as_fd);
    if let Some(control) = &control {
        files.push(PollFd::new(control, PollFlags::IN));
    }
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    // An interrupted wait is a wait that has ended; the caller looks again.
    ignore(poll(&mut files, left.as_ref()));
    service.forget_news();
}

/// The signals that have come.
///
/// # Errors
/// None can come any more: the application has closed descriptors that are not its own.
fn signalled(signals: &OwnedFd) -> rustix::io::Result<Vec<i32>> {
    let mut numbers = [0; 64];
    let length = match rustix::io::read(signals, &mut numbers) {
        Ok(0) => return Err(Errno::PIPE),
        Err(Errno::AGAIN | Errno::INTR) => 0,
        read => read?,
    };
    Ok(numbers.iter().take(length).copied().map(i32::from).collect())
}

/// There are no signals any more.
fn deaf(error: Errno) -> Reason {
    let text = format!("WSGI0023: signals cannot be read any more, and this process is replaced: {error}");
    log::write(LogLevel::Error, &text);
    Reason::SignalPipe
}

/// Tells applications of the signals that are theirs.
fn pass_on(announcer: &mut Announcer<'_>, numbers: &[i32]) {
    for number in numbers {
        match *number {
            libc::SIGHUP => announcer.tell(ProcessEvent::Signal("SIGHUP", libc::SIGHUP)),
            libc::SIGUSR2 => announcer.tell(ProcessEvent::Signal("SIGUSR2", libc::SIGUSR2)),
            _ => {}
        }
    }
}

/// What signals ask for; the one that leaves the least time counts.
fn asked_for(numbers: &[i32]) -> Option<Reason> {
    let asked = |signal: i32| numbers.contains(&signal);
    if asked(libc::SIGTERM) || asked(libc::SIGINT) {
        Some(Reason::Told)
    } else if asked(libc::SIGUSR1) {
        Some(Reason::Graceful)
    } else if asked(libc::SIGXCPU) {
        Some(Reason::CpuTime)
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
        telemetry::cut_off();
        exit_now(EXIT_LATE);
    };
    if let Err(error) = std::thread::Builder::new().name("wsgi:watchdog".to_owned()).spawn(watchdog) {
        log::write(LogLevel::Warning, &format!("WSGI7022: nothing watches whether the process ends in time: {error}"));
    }
}

/// Ends a process that has loaded something and will not serve; what it has started is not waited for.
pub fn give_up(interpreters: &'static Interpreters, status: i32) -> ! {
    watch(after(Instant::now(), interpreters.launch().shutdown_timeout));
    interpreters.run_exit_functions(false);
    exit_now(status)
}

/// Serves until there is a reason to end, and answers the exit status for Python to end with.
pub fn serve_until_the_end(
    service: &Arc<Service>,
    control: &mut Control,
    signals: &OwnedFd,
    inspector: &Inspector,
) -> i32 {
    let launch = service.interpreters.launch();
    let mut timers = Timers::new(service, inspector);
    let mut announcer = Announcer::new(service);
    let mut renewed = false;
    while !service.is_retiring() {
        wait(service, Some(control), Some(signals), timers.next().map(|left| Instant::now() + left));
        let numbers = signalled(signals);
        pass_on(&mut announcer, numbers.as_deref().unwrap_or_default());
        match numbers.map_or_else(|error| Some(deaf(error)), |numbers| asked_for(&numbers)) {
            Some(Reason::Graceful) if launch.eviction_timeout > 0 => service.retire(Reason::Evicted),
            Some(reason) => service.retire(reason),
            None => timers.act(),
        }
        loop {
            match control.said() {
                Said::Nothing => {}
                Said::Retire => service.retire(Reason::Replaced),
                Said::Declined => {
                    service.succession.decline();
                    continue;
                }
                Said::Closed => service.retire(Reason::ApacheGone),
            }
            break;
        }
        // Before another process is asked for, which is to load them too.
        control.loaded(&take_loaded());
        if let Some(reason) = service.outdated() {
            let is_new = !std::mem::replace(&mut renewed, true);
            if service.succession.take_question() || is_new {
                control.renew(reason.name());
            }
        }
    }
    let reason = service.reason().map_or("", Reason::name);
    telemetry::stopping(reason);
    announcer.tell(ProcessEvent::Stopping(reason));
    finish(service, signals, inspector, &announcer);
    let is_out = telemetry::stopped();
    end(service, inspector, announcer, is_out)
}

/// Gives the running requests their time, and callbacks.
fn finish(service: &Service, signals: &OwnedFd, inspector: &Inspector, announcer: &Announcer<'_>) {
    let launch = service.interpreters.launch();
    // A pipe that is closed would end every wait at once.
    let signals = Some(signals).filter(|_| service.reason() != Some(Reason::SignalPipe));
    let (limit, mut haste) = (after(Instant::now(), launch.shutdown_timeout), service.reason().map(haste));
    let graceful = match haste {
        Some(Haste::Evicted) => launch.eviction_timeout,
        _ => launch.graceful_timeout,
    };
    // Without a time of their own they have that of the process's end.
    let mut until = after(Instant::now(), graceful).or(limit);
    if service.reason() == Some(Reason::RequestTimeout) {
        // One request ran too long. The others have as long as any request may run.
        let longest = request_limit(launch).map(|longest| Instant::now() + longest);
        until = until.map(|until| longest.map_or(until, |longest| until.max(longest)));
    }
    if haste == Some(Haste::Prompt) {
        watch(limit);
        until = [until, limit].into_iter().flatten().min();
    }
    // Where Python stands still nothing can be told.
    let is_told = || announcer.is_done() || inspector.away().is_some_and(|away| away > LAST_WORDS);
    while !(service.is_idle() && is_told()) && until.is_none_or(|until| Instant::now() < until) {
        wait(service, None, signals, until);
        let numbers = signals.and_then(|signals| signalled(signals).ok()).unwrap_or_default();
        if asked_for(&numbers) == Some(Reason::Told) && haste != Some(Haste::Prompt) {
            haste = Some(Haste::Prompt);
            let limit = after(Instant::now(), launch.shutdown_timeout);
            watch(limit);
            until = [until, limit].into_iter().flatten().min();
        }
    }
    // Requests whose wait was cut short come back to tell it; threads that hang do not.
    let until = Instant::now() + LAST_WORDS;
    while service.has_lost_threads() && Instant::now() < until {
        wait(service, None, signals, Some(until));
    }
    while !service.is_idle() && Instant::now() < until {
        wait(service, None, signals, Some(until));
    }
    if haste != Some(Haste::Prompt) {
        watch(after(Instant::now(), launch.shutdown_timeout));
    }
    if !announcer.is_done() && !inspector.is_away() {
        let text =
            "WSGI7044: a callback for process_stopping or process_signal still runs, and the process ends without it";
        log::write(LogLevel::Warning, text);
    }
    hand_on_what_was_not_run(service);
    if !service.is_idle() {
        log::write(LogLevel::Warning, "WSGI7023: requests still run after graceful-timeout and are cut off");
        for glimpse in service.progresses().into_iter().filter_map(Progress::look).filter(|glimpse| !glimpse.expired) {
            log::write(LogLevel::Warning, &format!("WSGI7023: {}", glimpse.text()));
            for line in inspector.stack(&glimpse) {
                log::write(LogLevel::Warning, &format!("WSGI7023: {line}"));
            }
        }
    }
}

/// A request whose application has not been called, since Python cannot be had, is for another process.
fn hand_on_what_was_not_run(service: &Service) {
    for glimpse in service.progresses().into_iter().filter_map(Progress::look).filter(|glimpse| !glimpse.expired) {
        let Some(exchange) = glimpse.request.give_up_uncalled() else { continue };
        service.write_off(&glimpse);
        if let Ok(link) = exchange.into_any().downcast::<Link>() {
            link.hand_on();
        }
    }
}

/// Ends interpreters and threads, as far as requests have ended; `is_out` is whether no thread of ours but those of requests may
/// be in Python.
fn end(service: &Service, inspector: &Inspector, announcer: Announcer<'_>, is_out: bool) -> i32 {
    let interpreters = service.interpreters;
    let is_told = announcer.end();
    if !interpreters.launch().destroy_interpreters || inspector.is_away() {
        exit_now(0);
    }
    if !service.is_idle() || service.has_lost_threads() || !is_told || !is_out {
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
