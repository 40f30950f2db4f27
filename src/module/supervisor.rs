//! Daemon processes, seen from httpd's parent: started, watched, replaced, stopped.
//!
//! A group lives from the reload that brings it to the one that drops it, and so do its socket and its page. A reload
//! starts a new generation of processes; each of them, once ready, tells its predecessors to retire. So the socket is
//! never without somebody who answers, and a generation that cannot start never replaces one that serves.
//!
//! The parent has one thread, and httpd calls from it only: in `post_config`, when a process has ended, about every ten
//! seconds (`monitor`), and at its end. A process that wants to be replaced rings a [`bell`], and serves on until its
//! successor is ready.

mod bell;
mod listener;
mod plan;
mod process;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mod_wsgi_core::board::{self as state, Doing, Event, Listed, Seat};
use mod_wsgi_core::launch::{Launch, Message, Preload};
use mod_wsgi_core::wire::LogLevel;

pub use crate::sys::spawn::Recipe;
pub use listener::SocketPlan;
pub use plan::Plan;

use crate::apache::child::Watch;
use crate::apache::log;
use crate::apache::server::Server;
use crate::clock::microseconds_now;
use crate::sys::board::Board;
use crate::sys::spawn::{self, Descriptors, Step};
use crate::sys::wake;
use bell::Bell;
use listener::Listener;
use process::{Process, out_of_memory};

/// How long it is before a process that could not start, or did not live long, is started again: so many seconds the first
/// time, twice as many each time after, and [`LONGEST_RETRY`] at most.
const RETRY: u64 = 2;
const LONGEST_RETRY: u64 = 30;
/// A process that crashes within that time of its start counts as one that did not live long. So many of them in a row are
/// replaced at once, before they are given time.
const SHORT_LIFE: Duration = Duration::from_secs(2);
const SHORT_LIVES: u32 = 5;

/// All groups of this httpd. It outlives configurations, as the processes do.
static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { groups: Vec::new(), parent: 0, sockets: 0, bell: None, is_configured: false });

fn registry() -> MutexGuard<'static, Registry> {
    // After a panic the registry is still a list of processes to stop.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Registry {
    groups: Vec<Group>,
    /// The process that owns all this; a fork of it owns nothing.
    parent: u32,
    /// How many sockets have been made so far.
    sockets: u32,
    /// There from the first group on.
    bell: Option<Bell>,
    /// Whether there was a configuration before.
    is_configured: bool,
}

/// A group of daemon processes.
#[derive(Debug)]
struct Group {
    name: String,
    plan: Plan,
    socket_plan: SocketPlan,
    listener: Listener,
    board: Arc<Board>,
    processes: Vec<Process>,
    generation: u64,
    /// The last reason why no process could be started, so that it is said once.
    refused: Option<String>,
    /// Processes of this generation to be started at a time: their index and the slot that says `FAILED` meanwhile.
    waiting: Vec<(u32, u32, Instant)>,
    /// How many processes in a row could not start, or did not live long.
    failures: u32,
    /// How many processes in a row did not live long.
    short_lives: u32,
    /// Rings the bell of the registry.
    rope: Arc<OwnedFd>,
    /// The time for which the parent will be woken last.
    alarm: Option<Instant>,
    /// No longer configured; gone with the next reload.
    dropped: bool,
}

/// What an Apache child needs to reach a group.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Path of the group's socket.
    pub socket: std::path::PathBuf,
    /// State of its processes.
    pub board: Arc<Board>,
}

/// Brings the groups in line with a new configuration; answers how each is reached, in the order of `plans`.
///
/// # Errors
/// A sentence, where a socket cannot be made: httpd does not start. At a reload that is logged, and the group gets no requests.
pub fn configure(main: Server<'_>, plans: Vec<(Plan, SocketPlan)>) -> Result<Vec<Reach>, String> {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        registry.parent = std::process::id();
        main.stop_processes_at_the_end();
    }
    registry.forget_dropped();
    if registry.bell.is_none() && !plans.is_empty() {
        let bell = Bell::new().map_err(|error| format!("WSGI7052: a pipe cannot be made: {error}"))?;
        registry.bell = Some(bell);
        wake::at_the_end_of_a_child();
    }
    for group in &mut registry.groups {
        group.dropped = !plans.iter().any(|(plan, socket)| group.is_for(plan, socket));
        if group.dropped {
            group.retire_all();
        }
    }
    // Who serves goes on serving, whatever there is no room for any more.
    let is_reload = registry.is_configured;
    let mut reaches = Vec::new();
    for (plan, socket_plan) in plans {
        let known = registry.groups.iter().position(|group| !group.dropped && group.is_for(&plan, &socket_plan));
        let at = match known {
            Some(at) => at,
            None => {
                registry.sockets += 1;
                let rope = registry.bell.as_ref().map(Bell::rope).ok_or("WSGI7052: there is no bell")?;
                match Group::open(plan.clone(), &socket_plan, registry.sockets, rope) {
                    Ok(group) => registry.groups.push(group),
                    Err(reason) if is_reload => {
                        reaches.push(unreachable(&socket_plan, &reason)?);
                        continue;
                    }
                    Err(reason) => return Err(reason),
                }
                registry.groups.len() - 1
            }
        };
        // The index was found or made just above.
        let group = &mut registry.groups[at];
        if let Err(reason) = group.listen_again() {
            let text = format!("{reason}; requests that need a new connection get 503 until a reload can make it");
            log::main_server(LogLevel::Error, text.as_bytes());
            group.add_event(0, &text);
        }
        group.plan = plan;
        group.start_generation(main);
        reaches.push(Reach { socket: group.listener.path().to_path_buf(), board: Arc::clone(&group.board) });
    }
    registry.is_configured = true;
    registry.be_woken(main);
    Ok(reaches)
}

/// How a group is not reached that has come with a reload and has no socket.
fn unreachable(plan: &SocketPlan, reason: &str) -> Result<Reach, String> {
    let text = format!("{reason}; requests for it get 503 until a reload can make it");
    log::main_server(LogLevel::Error, text.as_bytes());
    let board = Board::new().map_err(|error| format!("WSGI7052: shared memory cannot be had: {error}"))?;
    board.set(0, state::FAILED);
    Ok(Reach { socket: plan.prefix.clone(), board: Arc::new(board) })
}

impl Registry {
    /// Sees to it that the parent is woken when a process rings, and when one is to be tried again.
    fn be_woken(&mut self, main: Server<'_>) {
        let Some(bell) = &mut self.bell else { return };
        bell.listen(main);
        let now = Instant::now();
        for after in self.groups.iter_mut().filter_map(Group::new_retry) {
            bell.set_alarm(main, after.saturating_duration_since(now) + Duration::from_millis(500));
        }
    }

    fn forget_dropped(&mut self) {
        for group in self.groups.iter().filter(|group| group.dropped) {
            if let Err(error) = group.listener.remove() {
                let path = group.listener.path().display();
                log::main_server(LogLevel::Info, format!("the socket '{path}' cannot be removed: {error}").as_bytes());
            }
        }
        // Processes that still finish their requests end by themselves.
        self.groups.retain(|group| !group.dropped);
    }
}

impl Group {
    fn open(plan: Plan, socket_plan: &SocketPlan, number: u32, rope: Arc<OwnedFd>) -> Result<Self, String> {
        let name = plan.definition.options.name.clone();
        let said = |reason: String| format!("WSGI7052: daemon process group '{name}': {reason}");
        let listener = Listener::open(socket_plan, number).map_err(said)?;
        let board = Board::new().map_err(|error| said(format!("shared memory cannot be had: {error}")))?;
        Ok(Self {
            plan,
            socket_plan: socket_plan.clone(),
            listener,
            board: Arc::new(board),
            processes: Vec::new(),
            generation: 0,
            refused: None,
            waiting: Vec::new(),
            failures: 0,
            short_lives: 0,
            rope,
            alarm: None,
            dropped: false,
            name,
        })
    }

    /// Makes a new socket where somebody has removed the file of the old one.
    fn listen_again(&mut self) -> Result<(), String> {
        if !self.listener.is_there() {
            let listener = self.listener.again(&self.socket_plan);
            self.listener =
                listener.map_err(|reason| format!("WSGI7052: daemon process group '{}': {reason}", self.name))?;
        }
        Ok(())
    }

    fn is_for(&self, plan: &Plan, socket_plan: &SocketPlan) -> bool {
        self.name == plan.definition.options.name && self.socket_plan == *socket_plan
    }

    fn start_generation(&mut self, main: Server<'_>) {
        self.generation += 1;
        self.refused = None;
        self.board.forget_what_was_said();
        (self.failures, self.short_lives) = (0, 0);
        self.clear_waiting();
        // What they have loaded by now is for their successors.
        self.processes.iter_mut().for_each(Process::hear);
        for index in 0..self.plan.processes {
            self.start(main, index);
        }
    }

    fn clear_waiting(&mut self) {
        for (_, slot, _) in std::mem::take(&mut self.waiting) {
            self.board.set(slot, state::EMPTY);
        }
    }

    fn free_slot(&self) -> u32 {
        let is_free = |slot: &u32| {
            !self.processes.iter().any(|process| process.slot == *slot)
                && !self.waiting.iter().any(|(_, waiting, _)| waiting == slot)
        };
        // A group has at most half as many processes as there are slots, and two generations; see `DaemonOptions`.
        (0..state::SLOTS as u32).find(is_free).unwrap_or_default()
    }

    fn start(&mut self, main: Server<'_>, index: u32) {
        let slot = self.free_slot();
        self.board.set(slot, state::STARTING);
        match self.try_start(main, index, slot) {
            Ok(process) => {
                let pid = process.pid;
                // A process id is a positive number.
                self.board.list(slot, Listed { pid: pid as u32, index, started: microseconds_now() });
                self.processes.push(process);
                let text = format!(
                    "daemon process {pid} of group '{}' is starting with {} threads",
                    self.name, self.plan.launch.threads
                );
                log::main_server(LogLevel::Info, text.as_bytes());
            }
            Err(reason) => {
                self.refuse(&reason);
                self.wait(index, slot);
            }
        }
    }

    /// Starts a process now that was to be started at a time; whether there is one of that index.
    fn start_waiting(&mut self, main: Server<'_>, index: u32) -> bool {
        let Some(at) = self.waiting.iter().position(|(waiting, ..)| *waiting == index) else { return false };
        let (_, slot, _) = self.waiting.remove(at);
        self.board.set(slot, state::EMPTY);
        self.plan.recipe = crate::startup::retry_recipe(main, self.plan.definition.clone());
        self.start(main, index);
        true
    }

    /// Whether a process is to go when one of that index is ready.
    fn is_predecessor(&self, process: &Process, index: u32) -> bool {
        let last = self.plan.processes.saturating_sub(1);
        (process.generation < self.generation || process.replaced)
            && (process.index == index || index == last && process.index > last)
    }

    /// What a process of that index loads because its predecessors have: not where the time without a request was to free memory,
    /// and after a reload only what an alias still leads to.
    fn inherited(&self, index: u32) -> Vec<Preload> {
        let mut scripts = Vec::new();
        for process in self.processes.iter().filter(|process| self.is_predecessor(process, index)) {
            if process.reason.as_deref() == Some("inactivity_timeout") {
                continue;
            }
            let is_current = process.generation == self.generation;
            let loaded = process.loaded.iter().filter(|loaded| is_current || self.plan.leads_to(&loaded.script));
            scripts.extend(loaded.filter(|loaded| !self.plan.launch.preload.contains(loaded)).cloned());
        }
        scripts
    }

    /// How long it is before another start, after this many failures in a row.
    fn retry_after(&self) -> Duration {
        let doubled = RETRY.saturating_mul(1 << self.failures.min(10));
        Duration::from_secs(doubled.min(LONGEST_RETRY))
    }

    /// The first time at which a start is to be tried again, unless it was answered before.
    fn new_retry(&mut self) -> Option<Instant> {
        let first = self.waiting.iter().map(|(.., at)| *at).min()?;
        (self.alarm.replace(first) != Some(first)).then_some(first)
    }

    /// Says once why the group cannot run.
    fn refuse(&mut self, reason: &str) {
        if self.refused.as_deref() == Some(reason) {
            return;
        }
        let (number, reason) = match reason.split_once(": ") {
            Some((number, rest)) if number.starts_with("WSGI") => (number, rest),
            _ => ("WSGI7053", reason),
        };
        let serving = self.processes.iter().any(|process| self.board.get(process.slot) == state::READY);
        let outcome = if serving { "its earlier processes go on serving" } else { "requests for it get 503" };
        let text = format!(
            "{number}: daemon process group '{}': {reason}; {outcome}, and the start is tried again in {} seconds, later every \
             {LONGEST_RETRY}",
            self.name,
            self.retry_after().as_secs()
        );
        log::main_server(LogLevel::Error, text.as_bytes());
        self.add_event(0, &text);
        self.refused = Some(match number {
            "WSGI7053" => reason.to_owned(),
            number => format!("{number}: {reason}"),
        });
    }

    fn wait(&mut self, index: u32, slot: u32) {
        self.board.set(slot, state::FAILED);
        self.waiting.push((index, slot, Instant::now() + self.retry_after()));
        self.failures += 1;
        self.processes.iter().filter(|process| self.is_predecessor(process, index)).for_each(Process::decline);
    }

    fn try_start(&self, main: Server<'_>, index: u32, slot: u32) -> Result<Process, String> {
        let recipe = self.plan.recipe.as_ref().map_err(Clone::clone)?;
        let predecessors = self.processes.iter().filter(|process| self.is_predecessor(process, index));
        let predecessors: Vec<_> = predecessors.map(|process| process.control.as_fd()).collect();
        let launch = Launch {
            slot,
            predecessors: predecessors.len() as u32,
            inherited: self.inherited(index),
            ..self.plan.launch.clone()
        };
        let descriptors = Descriptors {
            log: self.plan.log,
            listener: self.listener.socket(),
            board: self.board.file(),
            bell: self.rope.as_fd(),
            predecessors,
        };
        let (pid, control) = spawn::spawn(recipe, &descriptors).map_err(|failure| self.explain(failure))?;
        let told = control.set_nonblocking(false).and_then(|()| {
            control.set_write_timeout(Some(Duration::from_secs(5)))?;
            std::io::Write::write_all(&mut &control, &Message::Launch(launch.encode()).encode())?;
            control.set_nonblocking(true)
        });
        if let Err(error) = told {
            // It says itself why it ended; see `ended`.
            log::main_server(
                LogLevel::Debug,
                format!("process {pid} did not take its launch block: {error}").as_bytes(),
            );
        }
        Ok(Process::new(pid, index, slot, self.generation, control, Watch::start(main, pid)))
    }

    /// Hears what the processes have to say, and starts the successors of those that want one.
    fn hear(&mut self, main: Server<'_>) {
        let mut renewed = Vec::new();
        for process in &mut self.processes {
            process.hear();
            if std::mem::take(&mut process.wants_successor) {
                let is_new = process.generation == self.generation && !process.replaced;
                process.replaced |= is_new;
                renewed.push((process.index, is_new));
            }
        }
        for (index, is_new) in renewed {
            // One that has asked before asks because things may have changed: a script, most likely.
            if !self.start_waiting(main, index) && is_new {
                self.start(main, index);
            }
        }
    }

    /// Says what a step that failed means: who tried what, what the system answered, and what to change.
    fn explain(&self, failure: spawn::Failure) -> String {
        let error = std::io::Error::from_raw_os_error(failure.errno);
        let who = self.plan.identity.describe();
        let step = failure.step.text();
        match failure.step {
            Step::Exec => {
                let program = self.plan.program.as_deref().unwrap_or(Path::new("python3"));
                let shown = program.display();
                match self.plan.identity.first_refusal(program, 1) {
                    Some(refusing) => format!(
                        "WSGI7054: {step}: {who} may not pass '{}' on the way to '{shown}': let that user enter it, for example with chmod o+x or setfacl -m u:USER:x, or move the virtual environment",
                        refusing.display()
                    ),
                    None => format!("WSGI7054: {step}: '{shown}' as {who}: {error}"),
                }
            }
            Step::Folder => {
                let folder = self.plan.recipe.as_ref().ok().and_then(|recipe| recipe.folder.as_deref());
                let folder = folder.unwrap_or_default().to_string_lossy();
                format!(
                    "WSGI0009: {step} '{folder}' as {who}: {error}: create it, let that user enter it, or set home="
                )
            }
            _ => format!("WSGI7053: {step}: {error} (as {who})"),
        }
    }

    fn retire_all(&mut self) {
        self.clear_waiting();
        self.processes.iter().for_each(Process::retire);
        // Children of the old generation that still ask are refused at once.
        let slot = self.free_slot();
        self.wait(0, slot);
        self.waiting.clear();
    }
}

/// A child of httpd has ended that is ours; `status` is what httpd tells of it.
pub fn ended(pid: i32, status: Option<i32>) {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        return;
    }
    let woken = registry.bell.as_mut().is_some_and(|bell| bell.was_it(pid));
    if !woken {
        registry.process_ended(pid, status);
    }
    if !crate::apache::server::is_stopping() {
        crate::apache::server::with_main(|main| registry.look_after(main));
    }
}

impl Registry {
    fn process_ended(&mut self, pid: i32, status: Option<i32>) {
        let Some(group) = self.groups.iter_mut().find(|group| group.processes.iter().any(|p| p.pid == pid)) else {
            return;
        };
        let Some(at) = group.processes.iter().position(|process| process.pid == pid) else { return };
        let mut process = group.processes.remove(at);
        // One that could not ring any more, or was not heard before its end.
        process.hear();
        if let Some(watch) = process.watch.take() {
            watch.end();
        }
        group.process_ended(process, status);
    }

    /// Hears the processes, and starts again what could not start before.
    fn look_after(&mut self, main: Server<'_>) {
        let now = Instant::now();
        for group in self.groups.iter_mut().filter(|group| !group.dropped) {
            group.hear(main);
            let due: Vec<_> = group.waiting.iter().filter(|(.., at)| *at <= now).map(|(index, ..)| *index).collect();
            for index in due {
                group.start_waiting(main, index);
            }
        }
        self.be_woken(main);
    }
}

impl Group {
    fn process_ended(&mut self, process: Process, status: Option<i32>) {
        let was_ready = matches!(self.board.get(process.slot), state::READY | state::RETIRING);
        let running = self.running(process.slot);
        self.board.set(process.slot, state::EMPTY);
        let (pid, how) = (process.pid, spawn::describe(status));
        let is_older = self.dropped || process.generation < self.generation;
        let expected = is_older || process.replaced;
        let killed = status == Some(libc::SIGKILL) && out_of_memory() > process.out_of_memory;
        self.count_end(match (&process.reason, status) {
            _ if !was_ready && !expected => "failed_start",
            _ if is_older && status == Some(0) => "reload",
            (_, Some(libc::SIGKILL)) if killed => "out_of_memory",
            (Some(reason), _) => reason,
            (None, Some(0)) => "shutdown_signal",
            (None, status) => spawn::kind_of_end(status),
        });
        let is_stopping = crate::apache::server::is_stopping();
        if was_ready && expected && !is_stopping {
            // Its successor could not start before; now there is nobody whose place it would take.
            crate::apache::server::with_main(|main| self.start_waiting(main, process.index));
        }
        let name = &self.name;
        if expected && status == Some(0) || is_stopping {
            let text = format!("daemon process {pid} of group '{name}' has retired ({how})");
            return log::main_server(LogLevel::Info, text.as_bytes());
        }
        if !was_ready {
            if expected {
                return;
            }
            if status == Some(libc::SIGKILL) && self.short_lives < SHORT_LIVES {
                self.short_lives += 1;
                let text = format!(
                    "WSGI7055: daemon process {pid} of group '{name}' was killed while it started; another one is started"
                );
                log::main_server(LogLevel::Error, text.as_bytes());
                self.add_event(pid, &text);
                crate::apache::server::with_main(|main| self.start(main, process.index));
                return;
            }
            let reason = process.failed.unwrap_or_else(|| {
                format!("WSGI7056: process {pid} ended before it was ready: {how}; what it said, if anything, stands before this line")
            });
            let slot = self.free_slot();
            self.refuse(&reason);
            return self.wait(process.index, slot);
        }
        let memory = if killed { ", and the kernel has killed for lack of memory meanwhile" } else { "" };
        let requests = match running {
            0 => String::new(),
            1 => "; with it a request that it ran".to_owned(),
            number => format!("; with it {number} requests that it ran"),
        };
        let again = self.after_an_end(&process, status, expected);
        let (level, number) = if status == Some(0) { (LogLevel::Info, "") } else { (LogLevel::Error, "WSGI7055: ") };
        let text = format!(
            "{number}daemon process {pid} of group '{}' has ended: {how}{memory}{requests}; {again}",
            self.name
        );
        log::main_server(level, text.as_bytes());
        if level == LogLevel::Error {
            self.add_event(pid, &text);
        }
    }

    /// How many requests a process has, as its threads tell it.
    fn running(&self, slot: u32) -> usize {
        let Ok(seats) = self.board.seats(slot) else { return 0 };
        seats.iter().filter_map(Seat::read).filter(|seat| seat.doing != Doing::Idle).count()
    }

    /// Counts the end of a process.
    fn count_end(&self, reason: &str) {
        if let Some(count) = self.board.ended().get(state::end_number(reason)) {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Keeps what the log says, for whoever looks at the state of the group.
    fn add_event(&self, pid: i32, text: &str) {
        let event = Event {
            time: microseconds_now(),
            pid: pid as u32,
            status: 0,
            request: Vec::new(),
            text: text.as_bytes().to_vec(),
        };
        self.board.events().add(&event);
    }

    /// Sees to the successor of a process that has ended; answers what the log says of it.
    fn after_an_end(&mut self, process: &Process, status: Option<i32>, expected: bool) -> String {
        if expected {
            return "it was being replaced".to_owned();
        }
        // What an administrator kills is no crash; a service that ends is started again in any case.
        let is_service = self.plan.launch.threads == 0;
        let is_crash = is_service || !matches!(status, Some(0 | libc::SIGKILL));
        if is_crash && process.started.elapsed() < SHORT_LIFE {
            self.short_lives += 1;
        } else {
            (self.short_lives, self.failures) = (0, 0);
        }
        if self.short_lives <= SHORT_LIVES {
            crate::apache::server::with_main(|main| self.start(main, process.index));
            return "another one is started".to_owned();
        }
        let after = self.retry_after().as_secs();
        let slot = self.free_slot();
        self.wait(process.index, slot);
        format!(
            "another one is started in {after} seconds, since none of the last {} lived for {} seconds",
            self.short_lives,
            SHORT_LIFE.as_secs()
        )
    }
}

/// Looks after the processes, in case nobody has rung.
pub fn look_after(main: Server<'_>) {
    let mut registry = registry();
    if registry.parent == std::process::id() {
        registry.look_after(main);
    }
}

/// Ends all processes and removes their sockets: httpd stops.
pub fn stop_all() {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        return;
    }
    if let Some(bell) = registry.bell.take() {
        bell.stop();
    }
    let mut grace = Duration::ZERO;
    for group in &registry.groups {
        let timeout = group.plan.definition.options.shutdown_timeout;
        grace = grace.max(if timeout.is_zero() { Duration::from_secs(300) } else { timeout });
        for process in &group.processes {
            spawn::signal(process.pid, libc::SIGTERM);
        }
    }
    let mut left: Vec<i32> = registry.groups.iter().flat_map(|group| group.processes.iter().map(|p| p.pid)).collect();
    // A process ends itself when its shutdown-timeout is over; one second more is for that.
    let deadline = Instant::now() + grace + Duration::from_secs(1);
    while !left.is_empty() && Instant::now() < deadline {
        left.retain(|pid| !spawn::has_ended(*pid));
        std::thread::sleep(Duration::from_millis(10));
    }
    for pid in left {
        log::main_server(
            LogLevel::Error,
            format!("WSGI7057: daemon process {pid} did not end in time and is killed").as_bytes(),
        );
        spawn::signal(pid, libc::SIGKILL);
    }
    for group in &registry.groups {
        // Nothing can be done about a file that does not go, and nobody reads a log any more.
        group.listener.remove().ok();
    }
    registry.groups.clear();
}

/// In an Apache child: closes what only the parent needs.
pub fn forget_in_child() {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        registry.groups.clear();
        registry.bell = None;
        wake::no_more();
    }
}
