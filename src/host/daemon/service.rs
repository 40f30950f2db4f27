//! What the threads of a daemon process share: the listening socket, the connections, and whether it still takes requests.

use super::connection::Connection;
use super::reason::{FirstReason, Reason};
use super::succession::Succession;
use super::window::Windows;
use super::worker;
use crate::application::interpreters::Interpreters;
use crate::application::progress::{Glimpse, Progress};
use crate::application::roster::Roster;
use crate::ignore;
use crate::sys::board::Place;
use crate::sys::poller::Poller;
use crate::sys::socket::KEEPS_INPUT;
use crate::sys::wakeup::Wakeup;
use mod_wsgi_core::board::{self, Seat};
use mod_wsgi_core::wire::Refusal;
use rustix::net::{Shutdown, shutdown};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What the event queue says for the listening socket.
pub const LISTENER: u64 = u64::MAX;
/// What it says when the threads have to end.
pub const STOP: u64 = u64::MAX - 1;

/// A place for a connection.
enum Slot {
    Free,
    /// A thread has it.
    Busy,
    /// It waits for the child.
    Idle(Box<Connection>),
}

/// What the threads share.
pub struct Service {
    /// The interpreters.
    pub interpreters: &'static Interpreters,
    /// The group's listening socket.
    pub listener: OwnedFd,
    /// The event queue.
    pub poller: Poller,
    /// Which threads wait on it.
    pub roster: Arc<Roster>,
    /// What large responses go through.
    pub windows: Arc<Windows>,
    place: Place,
    slots: Mutex<Vec<Slot>>,
    /// How many slots are not free.
    open: AtomicUsize,
    /// How many threads run a request or look at a connection.
    busy: AtomicUsize,
    /// Requests run so far.
    served: AtomicU64,
    /// When the process was last active, in microseconds since `started`; 0 before its first request.
    active: AtomicU64,
    started: Instant,
    /// Why the process is to be replaced: it serves on until another one is ready.
    outdated: FirstReason,
    /// Requests that wait for another process.
    pub succession: Succession,
    /// Why the process takes no more requests.
    retiring: FirstReason,
    /// How many threads have a request whose time is over.
    written_off: AtomicUsize,
    progresses: Mutex<Vec<&'static Progress>>,
    stopping: AtomicBool,
    /// Becomes readable when the threads have to end.
    stop: Wakeup,
    /// Becomes readable when the main thread has something to look at.
    news: Wakeup,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

/// Stack size of a thread in bytes when none is configured: what the system gives programs, as C's threads have it.
fn default_stack() -> usize {
    const UNLIMITED: u64 = 8 * 1024 * 1024;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
    limit.filter(|limit| *limit < 1 << 30).unwrap_or(UNLIMITED) as usize
}

impl Service {
    /// Starts the threads.
    ///
    /// # Errors
    /// What the system answers.
    pub fn start(interpreters: &'static Interpreters, listener: OwnedFd, place: Place) -> io::Result<Arc<Self>> {
        let launch = interpreters.launch();
        rustix::io::ioctl_fionbio(&listener, true)?;
        let service = Arc::new(Self {
            interpreters,
            listener,
            poller: Poller::new()?,
            roster: Arc::default(),
            windows: Arc::new(Windows::new(launch.threads)),
            place,
            slots: Mutex::default(),
            open: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            active: AtomicU64::new(0),
            started: Instant::now(),
            outdated: FirstReason::default(),
            succession: Succession::default(),
            retiring: FirstReason::default(),
            written_off: AtomicUsize::new(0),
            progresses: Mutex::default(),
            stopping: AtomicBool::new(false),
            stop: Wakeup::new()?,
            news: Wakeup::new()?,
            threads: Mutex::default(),
        });
        service.poller.add(&service.stop, STOP)?;
        let stack = if launch.stack_size > 0 { launch.stack_size as usize } else { default_stack() };
        for number in 1..=launch.threads {
            let shared = Arc::clone(&service);
            let thread = thread::Builder::new()
                .name(format!("wsgi:{number}"))
                .stack_size(stack)
                .spawn(move || worker::work(&shared, number))?;
            service.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        // Ready before the first connection can be taken, so that nobody who was answered finds this process not ready.
        service.board(board::READY);
        // Every process of the group wakes for a connection, and one gets it. Waking one only (EPOLLEXCLUSIVE) would lose the
        // connection for a while when that one retires or dies just then; and children keep connections, so they are rare.
        service.poller.add(&service.listener, LISTENER)?;
        Ok(service)
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells Apache's children what this process does.
    pub fn board(&self, state: u32) {
        self.place.set(state);
    }

    /// Where a thread tells what it does.
    pub fn seat(&self, thread: u32) -> Option<Seat<'static>> {
        self.place.seat(thread)
    }

    /// Reserves a slot for a connection that a thread has just accepted.
    pub fn reserve(&self) -> u64 {
        self.open.fetch_add(1, Ordering::AcqRel);
        let mut slots = self.slots();
        let free = slots.iter().position(|slot| matches!(slot, Slot::Free));
        match free.and_then(|at| slots.get_mut(at).map(|slot| (at, slot))) {
            Some((at, slot)) => {
                *slot = Slot::Busy;
                at as u64
            }
            None => {
                slots.push(Slot::Busy);
                slots.len() as u64 - 1
            }
        }
    }

    /// Takes the connection that has an event.
    pub fn take(&self, name: u64) -> Option<Box<Connection>> {
        let mut slots = self.slots();
        let slot = slots.get_mut(usize::try_from(name).ok()?)?;
        match std::mem::replace(slot, Slot::Busy) {
            Slot::Idle(connection) => Some(connection),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Lets a connection wait for the child's next request.
    pub fn wait_for(&self, name: u64, mut connection: Box<Connection>) {
        let mut slots = self.slots();
        if self.is_retiring() && !KEEPS_INPUT {
            drop(slots);
            return self.dismiss(name, connection);
        }
        let Some(link) = &connection.link else { return };
        if self.is_retiring() {
            close_input(link.socket.as_fd());
        }
        // Under the lock, so that the thread which gets the event finds the connection in its slot.
        let armed = self.poller.arm(&link.socket, name, connection.registered);
        connection.registered = true;
        let Some(slot) = slots.get_mut(name as usize) else { return };
        if armed.is_ok() {
            *slot = Slot::Idle(connection);
            return;
        }
        drop(slots);
        self.close(name, connection);
    }

    /// Sends a child to another process, where a socket cannot be closed for what it might still send without losing what it
    /// has: whatever that is, nobody has read it, and the child asks again.
    fn dismiss(&self, name: u64, mut connection: Box<Connection>) {
        if let Some(link) = &mut connection.link {
            link.refuse(Refusal { status: 503, retry: true, reason: b"" });
            // It fails only where the child is gone already.
            ignore(link.flush());
        }
        self.close(name, connection);
    }

    /// Closes a connection.
    pub fn close(&self, name: u64, connection: Box<Connection>) {
        drop(connection);
        self.forget(name);
    }

    /// Frees the slot of a connection that is gone.
    pub fn forget(&self, name: u64) {
        if let Some(slot) = self.slots().get_mut(name as usize) {
            *slot = Slot::Free;
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
        if self.is_retiring() {
            self.tell_news();
        }
    }

    /// Counts a thread that begins to look at an event, until the answer is dropped.
    pub fn count_busy(&self) -> impl Drop + '_ {
        struct Busy<'a>(&'a Service);
        impl Drop for Busy<'_> {
            fn drop(&mut self) {
                if self.0.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
                    self.0.place.clear_load();
                }
                if self.0.is_retiring() {
                    self.0.tell_news();
                }
            }
        }
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(self)
    }

    /// Counts a request as load of this process, unless the child has, until the answer is dropped.
    pub fn count_load(&self, claimed: bool) -> impl Drop + '_ {
        struct Load<'a>(&'a Place);
        impl Drop for Load<'_> {
            fn drop(&mut self) {
                self.0.subtract_load();
            }
        }
        if !claimed {
            self.place.add_load();
        }
        Load(&self.place)
    }

    /// Counts a request; retires the process with the last one it may run.
    pub fn count_request(&self) {
        let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        let most = self.interpreters.launch().maximum_requests;
        if most > 0 && served == most {
            // An application may count on having a process for each request.
            let strict = most == 1 && self.interpreters.launch().threads == 1;
            if strict { self.retire(Reason::MaximumRequests) } else { self.renew(Reason::MaximumRequests) }
        }
    }

    /// A request begins or ends: the time of inactivity begins anew.
    pub fn note_activity(&self) {
        if self.interpreters.launch().inactivity_timeout > 0
            && self.active.swap(self.started.elapsed().as_micros() as u64, Ordering::AcqRel) == 0
        {
            // From now on the main thread has a time to wait for.
            self.tell_news();
        }
    }

    /// When the process was last active; `None` before its first request.
    pub fn last_activity(&self) -> Option<Instant> {
        let at = Some(self.active.load(Ordering::Acquire)).filter(|at| *at > 0)?;
        Some(self.started + Duration::from_micros(at))
    }

    /// Whether a thread runs a request or looks at a connection.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Whether the process takes no more requests.
    pub fn is_retiring(&self) -> bool {
        self.retiring.get().is_some()
    }

    /// Why the process takes no more requests, once it does.
    pub fn reason(&self) -> Option<Reason> {
        self.retiring.get()
    }

    /// Whether nothing is left to be done for anybody. Threads whose requests are written off are not waited for.
    pub fn is_idle(&self) -> bool {
        let lost = self.written_off.load(Ordering::Acquire);
        self.open.load(Ordering::Acquire) <= lost && self.busy.load(Ordering::Acquire) <= lost
    }

    /// Whether a thread has a request whose time is over.
    pub fn has_lost_threads(&self) -> bool {
        self.written_off.load(Ordering::Acquire) > 0
    }

    /// A thread that begins to work shows its requests.
    pub fn show(&self, progress: &'static Progress) {
        self.progresses.lock().unwrap_or_else(PoisonError::into_inner).push(progress);
    }

    /// Where the threads stand.
    pub fn progresses(&self) -> Vec<&'static Progress> {
        self.progresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time of a request is over; `false` where it has ended, or was over before.
    pub fn write_off(&self, glimpse: &Glimpse) -> bool {
        glimpse.progress.expire(glimpse.serial, || {
            self.written_off.fetch_add(1, Ordering::AcqRel);
        })
    }

    /// The request of a thread has ended after all, or as it should.
    pub fn request_ended(&self, progress: &Progress) {
        progress.end(|| {
            self.written_off.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// The process is to be replaced, and serves until another one is ready.
    pub fn renew(&self, reason: Reason) {
        if self.outdated.give(reason) {
            self.tell_news();
        }
    }

    /// The process is to be replaced, and serves meanwhile what does not have to wait for that. Waits until another one is ready,
    /// or could not be; whether it is.
    pub fn wait_for_successor(&self, reason: Reason) -> bool {
        self.outdated.give(reason);
        self.succession.ask();
        self.tell_news();
        self.succession.wait();
        self.is_retiring()
    }

    /// Why another process is wanted, if it is.
    pub fn outdated(&self) -> Option<Reason> {
        self.outdated.get().or_else(|| self.reason())
    }

    /// Takes no more requests: no new connections, and no further request on those there are. What children have already
    /// sent is still answered: a socket whose input is closed gives what it has received, and a child that sends more is
    /// told so and asks another process.
    pub fn retire(&self, reason: Reason) {
        // Who was asked to take its place has come.
        let reason = if reason == Reason::Replaced { self.outdated.get().unwrap_or(reason) } else { reason };
        if !self.retiring.give(reason) {
            return;
        }
        let text = format!("WSGI7015: this process takes no more requests: {} ({})", reason.text(), reason.name());
        crate::log::write(mod_wsgi_core::wire::LogLevel::Info, &text);
        self.board(board::RETIRING);
        // The socket stays open: it is the group's, and only the event queue of this process must forget it.
        ignore(self.poller.remove(&self.listener));
        self.close_idle();
        self.succession.end();
        self.tell_news();
    }

    /// No further requests on connections that wait for one.
    fn close_idle(&self) {
        let mut dismissed = Vec::new();
        for (name, slot) in (0..).zip(self.slots().iter_mut()) {
            let Slot::Idle(connection) = slot else { continue };
            if !KEEPS_INPUT {
                // Whichever thread has an event for it finds the slot taken.
                if let Slot::Idle(connection) = std::mem::replace(slot, Slot::Busy) {
                    dismissed.push((name, connection));
                }
            } else if let Some(link) = &connection.link {
                close_input(link.socket.as_fd());
            }
        }
        for (name, connection) in dismissed {
            self.dismiss(name, connection);
        }
    }

    /// Has the main thread look.
    pub fn tell_news(&self) {
        self.news.wake();
    }

    /// The main thread has looked, or is about to.
    pub fn forget_news(&self) {
        self.news.calm();
    }

    /// What the main thread waits on besides signals and control socket.
    pub fn news(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    /// Whether the threads have to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends the threads and waits for them; only when the service is idle.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.wake();
        self.roster.end();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread whose panic got this far has logged it.
            ignore(thread.join());
        }
    }
}

/// Closes a socket for what the child might still send; what has come is kept. Where that cannot be, nothing happens.
pub fn close_input(socket: BorrowedFd<'_>) {
    if KEEPS_INPUT {
        // It fails only where the child is gone already.
        ignore(shutdown(socket, Shutdown::Read));
    }
}
