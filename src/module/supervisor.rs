//! Daemon processes, seen from httpd's parent: started, watched, replaced, stopped.
//!
//! A group lives from the reload that brings it to the one that drops it, and so do its socket and its page. A reload
//! starts a new generation of processes; each of them, once ready, tells its predecessors to retire. So the socket is
//! never without somebody who answers, and a generation that cannot start never replaces one that serves.
//!
//! The parent has one thread, and httpd calls from it only: in `post_config`, when a process has ended, about every ten
//! seconds (`monitor`), and at its end.

mod listener;
mod plan;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mod_wsgi_core::launch::board as state;
use mod_wsgi_core::launch::{Launch, Message};
use mod_wsgi_core::wire::LogLevel;

pub use crate::sys::board::Board;
pub use crate::sys::spawn::Recipe;
pub use listener::SocketPlan;
pub use plan::{Plan, START_SCRIPT, shared, split_path};

use crate::apache::child::Watch;
use crate::apache::log;
use crate::apache::server::Server;
use crate::sys::spawn::{self, Descriptors, Step};
use listener::Listener;

/// How long a group that could not start a process waits before it tries again. Apache's parent looks after groups about
/// every ten seconds, so that is the least.
const RETRY: Duration = Duration::from_secs(10);

/// All groups of this httpd. It outlives configurations, as the processes do.
static REGISTRY: Mutex<Registry> = Mutex::new(Registry { groups: Vec::new(), parent: 0, sockets: 0 });

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
    /// No longer configured; gone with the next reload.
    dropped: bool,
}

/// A daemon process.
#[derive(Debug)]
struct Process {
    pid: i32,
    /// Which of the group's processes it is, from 0; its successor has the same.
    index: u32,
    slot: u32,
    generation: u64,
    control: UnixStream,
    watch: Option<Watch>,
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
/// A sentence, where a socket cannot be made: httpd does not start.
pub fn configure(main: Server<'_>, plans: Vec<(Plan, SocketPlan)>) -> Result<Vec<Reach>, String> {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        registry.parent = std::process::id();
        main.stop_processes_at_the_end();
    }
    registry.forget_dropped();
    for group in &mut registry.groups {
        group.dropped = !plans.iter().any(|(plan, socket)| group.is_for(plan, socket));
        if group.dropped {
            group.retire_all();
        }
    }
    let mut reaches = Vec::new();
    for (plan, socket_plan) in plans {
        let known = registry.groups.iter().position(|group| !group.dropped && group.is_for(&plan, &socket_plan));
        let at = match known {
            Some(at) => at,
            None => {
                registry.sockets += 1;
                let group = Group::open(plan.clone(), socket_plan, registry.sockets)?;
                registry.groups.push(group);
                registry.groups.len() - 1
            }
        };
        // The index was found or made just above.
        let group = &mut registry.groups[at];
        group.plan = plan;
        group.start_generation(main);
        reaches.push(Reach { socket: group.listener.path().to_path_buf(), board: Arc::clone(&group.board) });
    }
    Ok(reaches)
}

impl Registry {
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
    fn open(plan: Plan, socket_plan: SocketPlan, number: u32) -> Result<Self, String> {
        let name = plan.definition.options.name.clone();
        let said = |reason: String| format!("WSGI7052: daemon process group '{name}': {reason}");
        let listener = Listener::open(&socket_plan, number).map_err(said)?;
        let board = Board::new().map_err(|error| said(format!("shared memory cannot be had: {error}")))?;
        Ok(Self {
            plan,
            socket_plan,
            listener,
            board: Arc::new(board),
            processes: Vec::new(),
            generation: 0,
            refused: None,
            waiting: Vec::new(),
            dropped: false,
            name,
        })
    }

    fn is_for(&self, plan: &Plan, socket_plan: &SocketPlan) -> bool {
        self.name == plan.definition.options.name && self.socket_plan == *socket_plan
    }

    fn start_generation(&mut self, main: Server<'_>) {
        self.generation += 1;
        self.refused = None;
        self.clear_waiting();
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
                self.processes.push(process);
                let text = format!(
                    "daemon process {pid} of group '{}' is starting with {} threads",
                    self.name, self.plan.launch.threads
                );
                log::main_server(LogLevel::Info, text.as_bytes());
            }
            Err(reason) => {
                self.wait(index, slot);
                self.refuse(&reason);
            }
        }
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
            "{number}: daemon process group '{}': {reason}; {outcome}, and the start is tried again every {} seconds",
            self.name,
            RETRY.as_secs()
        );
        log::main_server(LogLevel::Error, text.as_bytes());
        self.refused = Some(match number {
            "WSGI7053" => reason.to_owned(),
            number => format!("{number}: {reason}"),
        });
    }

    fn wait(&mut self, index: u32, slot: u32) {
        self.board.set(slot, state::FAILED);
        self.waiting.push((index, slot, Instant::now() + RETRY));
    }

    fn try_start(&self, main: Server<'_>, index: u32, slot: u32) -> Result<Process, String> {
        let recipe = self.plan.recipe.as_ref().map_err(Clone::clone)?;
        let is_predecessor = |process: &&Process| {
            let last = self.plan.processes.saturating_sub(1);
            process.generation < self.generation && (process.index == index || index == last && process.index > last)
        };
        let predecessors: Vec<_> = self.processes.iter().filter(is_predecessor).map(|p| p.control.as_fd()).collect();
        let launch = Launch { slot, predecessors: predecessors.len() as u32, ..self.plan.launch.clone() };
        let descriptors = Descriptors {
            log: self.plan.log,
            listener: self.listener.socket(),
            board: self.board.file(),
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
        Ok(Process { pid, index, slot, generation: self.generation, control, watch: Watch::start(main, pid) })
    }

    /// Says what a step that failed means: who tried what, what the system answered, and what to change.
    fn explain(&self, failure: spawn::Failure) -> String {
        let error = std::io::Error::from_raw_os_error(failure.errno);
        let who = self.plan.identity.describe();
        let options = &self.plan.definition.options;
        let step = failure.step.text();
        let folder = options.home.as_deref();
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
                let folder = folder.unwrap_or("the user's home folder");
                format!(
                    "WSGI0009: {step} '{folder}' as {who}: {error}: create it, let that user enter it, or set home="
                )
            }
            _ => format!("WSGI7053: {step}: {error} (as {who})"),
        }
    }

    fn retire_all(&mut self) {
        self.clear_waiting();
        for process in &self.processes {
            tell_to_retire(process);
        }
        // Children of the old generation that still ask are refused at once.
        let slot = self.free_slot();
        self.wait(0, slot);
        self.waiting.clear();
    }
}

fn tell_to_retire(process: &Process) {
    if let Err(error) = std::io::Write::write_all(&mut &process.control, &Message::Retire.encode()) {
        let text = format!("process {} cannot be told to retire ({error}), so it is sent SIGTERM", process.pid);
        log::main_server(LogLevel::Debug, text.as_bytes());
        spawn::signal(process.pid, libc::SIGTERM);
    }
}

/// A process has ended; `status` is what httpd tells of it.
pub fn ended(pid: i32, status: Option<i32>) {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        return;
    }
    let Some(group) = registry.groups.iter_mut().find(|group| group.processes.iter().any(|p| p.pid == pid)) else {
        return;
    };
    let Some(at) = group.processes.iter().position(|process| process.pid == pid) else { return };
    let process = group.processes.remove(at);
    let was_ready = matches!(group.board.get(process.slot), state::READY | state::RETIRING);
    group.board.set(process.slot, state::EMPTY);
    let said = last_words(&process.control);
    if let Some(watch) = process.watch {
        watch.end();
    }
    let how = spawn::describe(status);
    let name = group.name.clone();
    if group.dropped || process.generation < group.generation || crate::apache::server::is_stopping() {
        log::main_server(
            LogLevel::Info,
            format!("daemon process {pid} of group '{name}' has retired ({how})").as_bytes(),
        );
        return;
    }
    if was_ready {
        let (level, number) = if status == Some(0) { (LogLevel::Info, "") } else { (LogLevel::Error, "WSGI7055: ") };
        let text = format!("{number}daemon process {pid} of group '{name}' has ended: {how}; another one is started");
        log::main_server(level, text.as_bytes());
        crate::apache::server::with_main(|main| group.start(main, process.index));
    } else {
        let reason = said.unwrap_or_else(|| {
            format!("WSGI7056: process {pid} ended before it was ready: {how}; what it said, if anything, stands before this line")
        });
        let slot = group.free_slot();
        group.wait(process.index, slot);
        group.refuse(&reason);
    }
}

/// Why a process says that it cannot run, if it has said so.
fn last_words(control: &UnixStream) -> Option<String> {
    let mut buffer = Vec::new();
    // What has come is kept where the read then fails.
    std::io::Read::read_to_end(&mut &*control, &mut buffer).ok();
    let mut rest = &buffer[..];
    while let Ok(Some((message, taken))) = Message::split(rest) {
        if let Message::Failed(text) = message {
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
        rest = rest.get(taken..)?;
    }
    None
}

/// Starts again what could not start before.
pub fn look_after(main: Server<'_>) {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        return;
    }
    let now = Instant::now();
    for group in registry.groups.iter_mut().filter(|group| !group.dropped) {
        let due: Vec<_> = group.waiting.iter().filter(|(.., at)| *at <= now).copied().collect();
        group.waiting.retain(|(.., at)| *at > now);
        for (index, slot, _) in due {
            group.board.set(slot, state::EMPTY);
            group.plan.recipe = crate::startup::retry_recipe(main, group.plan.definition.clone());
            group.start(main, index);
        }
    }
}

/// Ends all processes and removes their sockets: httpd stops.
pub fn stop_all() {
    let mut registry = registry();
    if registry.parent != std::process::id() {
        return;
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
    }
}
