//! Where a thread stands with its request, for threads that look from outside: timers, and who explains a process that
//! hangs.
//!
//! The thread that runs the request writes, others read. What it costs a request is two uncontended locks, a copy of its
//! head, and one of its line, for those who look from other processes.

use super::request::Request;
use super::roster::Roster;
use crate::python::{Object, Python, thread_ident};
use crate::sys::clock;
use crate::sys::descriptors::{self, Number};
use mod_wsgi_core::board::{Doing, Seat};
use mod_wsgi_core::wire::{Key, Name, Pairs, RequestHead};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a request waits for outside of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// More of the request body.
    Input = 1,
    /// Apache to take some of the response.
    Output = 2,
}

/// The request that runs.
struct Running {
    request: Arc<Request>,
    /// When the daemon got it, in microseconds since the epoch.
    begun: u64,
    /// The same, on a clock that nobody sets.
    since: Instant,
    /// See [`RequestHead::queue_start`].
    queue_start: u64,
    /// The socket to Apache, open as long as this is here.
    socket: Option<Number>,
}

/// Values of [`Progress::stand`].
const READY: u8 = 0;
const LINED_UP: u8 = 1;
const INSIDE: u8 = 2;

/// A thread that runs requests, and where it stands.
pub struct Progress {
    /// Number of the thread among those of the process, from 1.
    number: u32,
    /// Where other processes see what the thread does.
    seat: Option<Seat<'static>>,
    /// Who else waits for requests.
    roster: Arc<Roster>,
    /// Where this thread, which alone writes it, stands in it.
    stand: AtomicU8,
    /// Python's number of the thread.
    ident: u64,
    running: Mutex<Option<Running>>,
    /// The environ of the last request, as it came.
    environ: Mutex<Vec<u8>>,
    /// How many requests the thread has begun.
    serial: AtomicU64,
    /// When the application was called, in microseconds since the epoch; 0 before.
    called: AtomicU64,
    /// The [`Wait`] there is now, or 0, and since when.
    wait: AtomicU8,
    wait_since: AtomicU64,
    /// Microseconds waited so far, by [`Wait`].
    input_time: AtomicU64,
    output_time: AtomicU64,
    /// Whether `RequestTimeout` was asked for in this thread and has not been cleared.
    interrupted: AtomicBool,
    /// Whether the time of the request is over, and what it still answers of no use.
    expired: AtomicBool,
}

/// A request as it was at one moment.
pub struct Glimpse {
    /// Where it was seen.
    pub progress: &'static Progress,
    /// Whether its time was over before.
    pub expired: bool,
    /// Number of the thread among those of the process, from 1.
    pub number: u32,
    /// Python's number of the thread.
    pub ident: u64,
    /// Which of the thread's requests it is.
    pub serial: u64,
    /// The request.
    pub request: Arc<Request>,
    /// How long it has run.
    pub elapsed: Duration,
    text: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// For the thread that calls; `number` is its number among those of the process. It lives as long as the process,
    /// as the threads do.
    pub fn of_this_thread(number: u32, seat: Option<Seat<'static>>, roster: Arc<Roster>) -> &'static Self {
        roster.step_out();
        if let Some(seat) = seat {
            seat.take(clock::microseconds());
        }
        Box::leak(Box::new(Self {
            number,
            seat,
            roster,
            stand: AtomicU8::new(READY),
            ident: thread_ident(),
            running: Mutex::default(),
            environ: Mutex::default(),
            serial: AtomicU64::new(0),
            called: AtomicU64::new(0),
            wait: AtomicU8::new(0),
            wait_since: AtomicU64::new(0),
            input_time: AtomicU64::new(0),
            output_time: AtomicU64::new(0),
            interrupted: AtomicBool::new(false),
            expired: AtomicBool::new(false),
        }))
    }

    /// The thread will wait for Python's lock, unless it has stepped in before; see [`Roster`].
    pub fn line_up(&self) {
        if self.stand.load(Ordering::Relaxed) == READY {
            self.stand.store(LINED_UP, Ordering::Relaxed);
            self.roster.line_up();
        }
    }

    /// What the thread does from now on may take long; it has got into Python, for example.
    pub fn step_in(&self) {
        let before = self.stand.swap(INSIDE, Ordering::Relaxed);
        if before != INSIDE {
            self.roster.step_in(self.number, before == LINED_UP);
        }
    }

    /// The thread will be back at the event queue soon.
    pub fn step_out(&self) {
        if self.stand.load(Ordering::Relaxed) == LINED_UP {
            self.step_in();
        }
        if self.stand.swap(READY, Ordering::Relaxed) == INSIDE {
            self.roster.step_out();
        }
    }

    /// The thread is about to wait for a request.
    pub fn stand_by(&self) {
        self.step_out();
        self.roster.stand_by(self.number);
    }

    /// A request begins; `socket` stays open until [`Progress::end`], unless somebody gives the request up.
    pub fn begin(&self, request: &Arc<Request>, head: &RequestHead<'_>, begun: u64, socket: Option<Number>) {
        for number in [&self.called, &self.input_time, &self.output_time] {
            number.store(0, Ordering::Relaxed);
        }
        self.expired.store(false, Ordering::Relaxed);
        if let Some(seat) = self.seat {
            seat.begin(begun, head.request_line, Doing::Loading);
        }
        self.serial.fetch_add(1, Ordering::Relaxed);
        let mut environ = lock(&self.environ);
        environ.clear();
        environ.extend_from_slice(head.environ.bytes());
        drop(environ);
        let (request, since) = (Arc::clone(request), Instant::now());
        let running = Running { request, begun, since, queue_start: head.queue_start, socket };
        *lock(&self.running) = Some(running);
    }

    /// The request has ended. `expired` is called if its time was over before.
    pub fn end(&self, expired: impl FnOnce()) {
        let mut running = lock(&self.running);
        if running.take().is_some() && self.is_expired() {
            expired();
        }
        if let Some(seat) = self.seat {
            seat.end(clock::microseconds());
        }
    }

    fn turn(&self, doing: Doing) {
        if let Some(seat) = self.seat {
            seat.turn(doing);
        }
    }

    /// The application is called now.
    pub fn call(&self) {
        self.turn(Doing::Application);
        self.called.store(clock::microseconds(), Ordering::Relaxed);
    }

    /// Runs `work`, which waits for that.
    pub fn during<R>(&self, wait: Wait, work: impl FnOnce() -> R) -> R {
        let begun = clock::microseconds();
        self.wait_since.store(begun, Ordering::Relaxed);
        self.wait.store(wait as u8, Ordering::Release);
        self.turn(if wait == Wait::Input { Doing::Input } else { Doing::Output });
        let answer = work();
        self.turn(Doing::Application);
        self.wait.store(0, Ordering::Release);
        let total = if wait == Wait::Input { &self.input_time } else { &self.output_time };
        total.fetch_add(clock::microseconds().saturating_sub(begun), Ordering::Relaxed);
        answer
    }

    /// Whether the thread still runs that request, whose running is held fast by the lock.
    fn still_runs(&self, running: &Option<Running>, serial: u64) -> bool {
        running.is_some() && self.serial.load(Ordering::Relaxed) == serial
    }

    /// The time of a request is over; calls `first` unless it was before, or the thread runs another one by now. Answers
    /// whether it did.
    pub fn expire(&self, serial: u64, first: impl FnOnce()) -> bool {
        let running = lock(&self.running);
        let now = self.still_runs(&running, serial) && !self.expired.swap(true, Ordering::AcqRel);
        if now {
            first();
        }
        now
    }

    /// Ends the wait of a request that is over: what it reads has ended, and what it writes leads nowhere.
    pub fn cut(&self, serial: u64) {
        let running = lock(&self.running);
        let socket = running.as_ref().and_then(|running| running.socket).filter(|_| self.still_runs(&running, serial));
        let wait = self.wait.load(Ordering::Acquire);
        if let Some(socket) = socket {
            // Where it reads it can still be told why.
            descriptors::shut_down(socket, wait != Wait::Input as u8);
        }
    }

    /// Lets the thread raise `RequestTimeout` while it runs that request. Called attached to its interpreter, so that
    /// the thread cannot begin another one in Python meanwhile.
    pub fn raise(&self, py: Python<'_>, serial: u64, kind: &Object<'_>) {
        let same = self.still_runs(&lock(&self.running), serial);
        if same {
            py.interrupt(self.ident, kind);
        }
    }

    /// Whether the time of the request is over.
    pub fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Acquire)
    }

    /// `RequestTimeout` is asked for in this thread.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Whether there may be a `RequestTimeout` left over; not any more.
    pub fn take_interrupt(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) && self.interrupted.swap(false, Ordering::AcqRel)
    }

    /// How long a request has run; `None` while there is none.
    pub fn elapsed(&self) -> Option<Duration> {
        lock(&self.running).as_ref().map(|running| running.since.elapsed())
    }

    /// The request that runs now.
    pub fn look(&'static self) -> Option<Glimpse> {
        let running = lock(&self.running);
        let Running { request, begun, since, queue_start, .. } = running.as_ref()?;
        Some(Glimpse {
            progress: self,
            expired: self.is_expired(),
            number: self.number,
            ident: self.ident,
            serial: self.serial.load(Ordering::Relaxed),
            request: Arc::clone(request),
            elapsed: since.elapsed(),
            text: self.describe(request, *begun, *queue_start),
        })
    }

    fn describe(&self, request: &Request, begun: u64, queue_start: u64) -> String {
        let now = clock::microseconds();
        let called = self.called.load(Ordering::Relaxed);
        let since = self.wait_since.load(Ordering::Relaxed);
        let (mut input, mut output) =
            (self.input_time.load(Ordering::Relaxed), self.output_time.load(Ordering::Relaxed));
        let mut doing = if called == 0 { "the script is being loaded" } else { "in the application" };
        let wait = self.wait.load(Ordering::Acquire);
        if wait == Wait::Input as u8 {
            doing = "waiting for more of the request body";
            input += now.saturating_sub(since);
        } else if wait == Wait::Output as u8 {
            doing = "waiting for Apache to take more of the response";
            output += now.saturating_sub(since);
        }
        let mut text = format!(
            "request '{}' of script '{}' for {} seconds in thread {}",
            request_line(&lock(&self.environ)),
            String::from_utf8_lossy(&request.script),
            Seconds(now.saturating_sub(begun)),
            self.number
        );
        let loading = if called == 0 { now } else { called }.saturating_sub(begun);
        let application = if called == 0 { 0 } else { now.saturating_sub(called) };
        // A text cannot fail to be written to.
        crate::ignore(write!(
            text,
            " (queue {}, script {}, read {}, write {}, application {}; {doing})",
            Seconds(begun.saturating_sub(queue_start)),
            Seconds(loading),
            Seconds(input),
            Seconds(output),
            Seconds(application.saturating_sub(input + output)),
        ));
        text
    }
}

impl Glimpse {
    /// The request, how long it has run, and what took how many seconds: waiting for a thread, finding or loading the
    /// script, reading the body, writing the response, the application itself.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Microseconds, shown in seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{:03}", self.0 / 1_000_000, self.0 % 1_000_000 / 1000)
    }
}

/// The request line, as far as the environ tells it.
fn request_line(environ: &[u8]) -> String {
    let entries: Vec<_> = Pairs::new(environ).map_while(Result::ok).collect();
    let value = |key: Key| {
        let found = entries.iter().rev().find(|(name, _)| *name == Name::Known(key));
        found.map_or_else(|| "-".into(), |(_, value)| String::from_utf8_lossy(value))
    };
    let line = format!("{} {} {}", value(Key::REQUEST_METHOD), value(Key::REQUEST_URI), value(Key::SERVER_PROTOCOL));
    line.chars().take(LONGEST_LINE).map(|char| if char.is_control() { '?' } else { char }).collect()
}

/// The longest request line that is shown, in characters.
const LONGEST_LINE: usize = 1000;
