//! A daemon process, as httpd's parent knows it, and what the two tell each other.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use mod_wsgi_core::launch::{Message, Preload};
use mod_wsgi_core::wire::LogLevel;

use crate::apache::child::Watch;
use crate::apache::log;
use crate::sys::spawn;

/// How many bytes are heard at a time, and how long a message may be: a daemon can send what it likes.
const MOST_HEARD: u64 = 64 * 1024;
/// How many of the scripts that a process has loaded are handed on to its successor, the first ones.
const MOST_LOADED: usize = 32;

/// A daemon process.
#[derive(Debug)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// Which of the group's processes it is, from 0; its successor has the same.
    pub index: u32,
    /// Its place on the board.
    pub slot: u32,
    /// The reload it was started with.
    pub generation: u64,
    /// The parent's end of its control socket.
    pub control: UnixStream,
    /// Has httpd tell of its end.
    pub watch: Option<Watch>,
    /// When it was started.
    pub started: Instant,
    /// What it has said and is not understood yet.
    received: Vec<u8>,
    /// Why it cannot run, if it has said so.
    pub failed: Option<String>,
    /// Why it wants another one to take its place, if it has said so.
    pub reason: Option<String>,
    /// Whether it has said so since that was last looked at.
    pub wants_successor: bool,
    /// Whether its successor was started.
    pub replaced: bool,
    /// The scripts that it has loaded.
    pub loaded: Vec<Preload>,
    /// How many processes of the machine were killed for lack of memory before it started.
    pub out_of_memory: u64,
}

impl Process {
    /// One that starts now.
    pub fn new(pid: i32, index: u32, slot: u32, generation: u64, control: UnixStream, watch: Option<Watch>) -> Self {
        Self {
            pid,
            index,
            slot,
            generation,
            control,
            watch,
            started: Instant::now(),
            received: Vec::new(),
            failed: None,
            reason: None,
            wants_successor: false,
            replaced: false,
            loaded: Vec::new(),
            out_of_memory: out_of_memory(),
        }
    }

    /// Hears what it has to say.
    pub fn hear(&mut self) {
        // What has come is kept where the read then fails.
        (&self.control).take(MOST_HEARD).read_to_end(&mut self.received).ok();
        while let Ok(Some((message, taken))) = Message::split(&self.received) {
            match message {
                Message::Renew(reason) => {
                    self.reason = Some(String::from_utf8_lossy(&reason).into_owned());
                    self.wants_successor = true;
                }
                Message::Failed(text) => self.failed = Some(String::from_utf8_lossy(&text).into_owned()),
                Message::Loaded(script) => {
                    let script = Preload::decode(&script).ok().filter(|script| !self.loaded.contains(script));
                    if self.loaded.len() < MOST_LOADED {
                        self.loaded.extend(script);
                    }
                }
                Message::Ready | Message::Retire | Message::Declined | Message::Launch(_) => {}
            }
            self.received.drain(..taken);
        }
        if self.received.len() as u64 > MOST_HEARD {
            // No message of ours.
            self.received.clear();
        }
    }

    /// Tells it to take no more requests.
    pub fn retire(&self) {
        self.tell(&Message::Retire, "to retire", |pid| {
            spawn::signal(pid, libc::SIGTERM);
        });
    }

    /// Tells it that nobody takes its place for now.
    pub fn decline(&self) {
        self.tell(&Message::Declined, "that it serves on", |_| ());
    }

    fn tell(&self, message: &Message, what: &str, otherwise: impl FnOnce(i32)) {
        if let Err(error) = (&self.control).write_all(&message.encode()) {
            let text = format!("process {} cannot be told {what}: {error}", self.pid);
            log::main_server(LogLevel::Debug, text.as_bytes());
            otherwise(self.pid);
        }
    }
}

/// How many processes of the machine the kernel has killed for lack of memory; 0 where it does not say.
pub fn out_of_memory() -> u64 {
    let counters = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let line = counters.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}
