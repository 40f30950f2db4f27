//! A group with `threads=0` takes no requests: its processes run the scripts of `WSGIImportScript` in Python's main thread, and
//! end with them. SIGTERM raises `SystemExit` there.

use super::control::{self, Control, Said};
use super::exit_now;
use crate::application::interpreters::Interpreters;
use crate::application::preload;
use crate::log;
use crate::sys::board::Place;
use crate::sys::signals;
use mod_wsgi_core::board;
use mod_wsgi_core::wire::LogLevel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The exit status when the script could not be ended in time, as the C module has it.
const EXIT_LATE: i32 = 255;

/// Runs the scripts; answers the exit status for Python to end with.
pub fn run(
    interpreters: &'static Interpreters,
    mut control: Control,
    place: &Place,
    predecessors: Vec<OwnedFd>,
) -> i32 {
    let limit = Duration::from_millis(interpreters.launch().shutdown_timeout);
    // A service is one at a time: two that do the same work, or want the same port, are not what anybody expects.
    predecessors.into_iter().for_each(|predecessor| wait_for_the_end(predecessor, limit));
    control.ready();
    place.set(board::READY);
    let watch = move || end_with_apache(&mut control, limit);
    if let Err(error) = std::thread::Builder::new().name("wsgi:control".to_owned()).spawn(watch) {
        log::write(LogLevel::Crit, &format!("WSGI7006: threads cannot be started: {error}"));
        return super::EXIT_CONFIG;
    }
    // What fails is logged, and ends the process.
    crate::ignore(preload(interpreters, None));
    place.set(board::RETIRING);
    0
}

/// Tells a process that this one replaces to end, and waits until it has; without a limit, a minute.
fn wait_for_the_end(predecessor: OwnedFd, limit: Duration) {
    let Ok(watched) = predecessor.try_clone() else { return };
    control::retire(predecessor);
    let limit = if limit.is_zero() { Duration::from_secs(60) } else { limit + Duration::from_secs(1) };
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // Linux tells of it in any case, macOS if it is asked.
        let mut polled = [PollFd::new(&watched, PollFlags::HUP)];
        let waited = poll(&mut polled, Timespec::try_from(left).ok().as_ref());
        let gone = polled.iter().any(|file| file.revents().contains(PollFlags::HUP));
        if gone || left.is_zero() || waited.is_err_and(|error| error != rustix::io::Errno::INTR) {
            return;
        }
    }
}

/// Waits until Apache wants the process to end, or is gone; then sees to it that it ends in time.
fn end_with_apache(control: &mut Control, limit: Duration) {
    while let said @ (Said::Nothing | Said::Declined) = control.said() {
        if said == Said::Declined {
            continue;
        }
        let socket = control.as_fd();
        // An interrupted wait is a wait that has ended.
        crate::ignore(poll(&mut [PollFd::new(&socket, PollFlags::IN)], None));
    }
    signals::terminate_self();
    if !limit.is_zero() {
        std::thread::sleep(limit);
        log::write(LogLevel::Warning, "WSGI7021: the process did not end within shutdown-timeout and is ended now");
        exit_now(EXIT_LATE);
    }
}
