//! A daemon process: started by the Apache parent as the group's own python3, serves requests of Apache's children.
//!
//! Its open files and the messages to and from its parent are described in [`mod_wsgi_core::launch`].

mod announcer;
mod connection;
mod control;
mod inspector;
mod link;
mod reason;
mod service;
mod service_script;
mod shut_down;
mod succession;
mod timers;
mod window;
mod worker;

use crate::application::interpreters::Interpreters;
use crate::application::{preload, telemetry};
use crate::python::Interpreter;
use crate::sys::{board::Place, descriptors, fork, locale, signals, title};
use crate::{log, sys};
use control::Control;
use inspector::Inspector;
use mod_wsgi_core::launch::{Launch, descriptors as files};
use mod_wsgi_core::wire::LogLevel;
use service::Service;
use std::os::fd::{AsFd, OwnedFd};

/// The exit status for "this cannot work, and trying again will not help": `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: i32 = 78;

/// Serves until the process is to end. Called detached on Python's main thread, by the start script; answers the exit
/// status for Python to end with.
pub fn serve(main: &'static Interpreter) -> i32 {
    let Some(control) = descriptors::take(files::CONTROL) else {
        log::write(LogLevel::Crit, "WSGI7002: mod_wsgi_daemon.py is started by Apache, not by hand");
        return EXIT_CONFIG;
    };
    let Some(bell) = descriptors::take(files::BELL) else {
        log::write(LogLevel::Crit, "WSGI7004: the pipe to wake Apache was not passed on");
        return EXIT_CONFIG;
    };
    let mut control = Control::new(control, bell);
    let started = match start(&mut control, main) {
        Ok(Started { threads: 0, interpreters, place, predecessors, .. }) => {
            return service_script::run(interpreters, control, &place, predecessors);
        }
        started => started,
    };
    started.and_then(|started| serve_requests(&mut control, started)).unwrap_or_else(|why| {
        log::write(LogLevel::Crit, &why);
        control.failed(&why);
        EXIT_CONFIG
    })
}

/// A process whose interpreter is set up.
struct Started {
    threads: u32,
    interpreters: &'static Interpreters,
    listener: OwnedFd,
    place: Place,
    predecessors: Vec<OwnedFd>,
}

fn start(control: &mut Control, main: &'static Interpreter) -> Result<Started, String> {
    let launch =
        control.launch().map_err(|why| format!("WSGI7003: Apache did not say what this process is to do: {why}"))?;
    log::set_level(launch.log_level);
    fork::watch();
    let listener = descriptors::take(files::LISTENER).ok_or("WSGI7004: the listening socket was not passed on")?;
    let board = descriptors::take(files::BOARD).ok_or("WSGI7004: the board was not passed on")?;
    let predecessors: Vec<OwnedFd> =
        (0..launch.predecessors as i32).filter_map(|at| descriptors::take(files::FIRST_PREDECESSOR + at)).collect();
    let place = Place::map(board.as_fd(), launch.slot)
        .map_err(|error| format!("WSGI7004: the board cannot be mapped: {error}"))?;
    set_process(&launch)?;
    let threads = launch.threads;
    let group = String::from_utf8_lossy(&launch.process_group).into_owned();
    let interpreters = Interpreters::start(launch, main)
        .map_err(|why| format!("WSGI0035: the main interpreter of daemon '{group}' cannot be set up: {why}"))?;
    Ok(Started { threads, interpreters, listener, place, predecessors })
}

fn serve_requests(control: &mut Control, started: Started) -> Result<i32, String> {
    let Started { interpreters, listener, place, predecessors, .. } = started;
    let is_served = || !predecessors.is_empty() && place.has_others();
    let is_news = |number| place.is_news(number);
    let failed = preload(interpreters, is_served().then_some(&is_news));
    if !failed.is_empty() && is_served() {
        // The parent logs it, once for all attempts.
        control.failed(&format!(
            "WSGI7031: '{}' cannot be loaded, as the log says, so a new process does not take the place of one that serves",
            failed.join("' and '")
        ));
        shut_down::give_up(interpreters, EXIT_CONFIG);
    }
    place.forget_what_was_said();
    let signals = signals::catch().map_err(|error| format!("WSGI7005: signals cannot be caught: {error}"))?;
    let cannot = |error| format!("WSGI7006: threads cannot be started: {error}");
    let inspector = Inspector::start().map_err(cannot)?;
    telemetry::start(interpreters);
    let service = Service::start(interpreters, listener, place).map_err(cannot)?;
    control.ready();
    predecessors.into_iter().for_each(control::retire);
    let group = String::from_utf8_lossy(&interpreters.launch().process_group);
    log::write(LogLevel::Debug, &format!("WSGI7013: this process of group '{group}' takes requests"));
    Ok(shut_down::serve_until_the_end(&service, control, &signals, &inspector))
}

/// What the process needs besides Python: title, locale, working directory.
fn set_process(launch: &Launch) -> Result<(), String> {
    if let Some(name) = &launch.display_name {
        title::set(name);
    }
    if let Some(name) = &launch.locale {
        if !locale::set(name) {
            let name = String::from_utf8_lossy(name);
            log::write(
                LogLevel::Warning,
                &format!("WSGI0079: the system has no locale '{name}'; that of Apache is used"),
            );
        }
    }
    if let Some(home) = &launch.home {
        use std::os::unix::ffi::OsStrExt;
        let home = std::path::Path::new(std::ffi::OsStr::from_bytes(home));
        std::env::set_current_dir(home).map_err(|error| {
            let user = rustix::process::geteuid().as_raw();
            format!("WSGI7007: home={} cannot be entered by user {user}: {error}", home.display())
        })?;
    }
    Ok(())
}

/// Ends the process at once.
fn exit_now(status: i32) -> ! {
    sys::descriptors::exit_now(status)
}
