//! The thread that goes into Python to look at other threads, and may wait there for ever: the main thread must not.

use crate::application::progress::Glimpse;
use crate::python::caught;
use crate::sys::native_stack;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the main thread waits for an answer out of Python.
const PATIENCE: Duration = Duration::from_secs(1);

type Errand = Box<dyn FnOnce() + Send>;

/// Sends errands to a thread of its own.
pub struct Inspector {
    errands: Sender<Errand>,
    /// How many errands were sent, and how many are done.
    sent: AtomicU64,
    done: Arc<AtomicU64>,
    /// Since when the first one of those not done waits.
    waits_since: Mutex<Option<(u64, Instant)>>,
}

fn work(errands: &Receiver<Errand>, done: &AtomicU64) {
    while let Ok(errand) = errands.recv() {
        // What failed is logged where it is caught.
        crate::ignore(caught("a look at a thread", errand));
        done.fetch_add(1, Ordering::AcqRel);
    }
}

impl Inspector {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system answers.
    pub fn start() -> std::io::Result<Self> {
        let (errands, received) = channel();
        let done = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&done);
        thread::Builder::new().name("wsgi:inspector".to_owned()).spawn(move || work(&received, &counted))?;
        Ok(Self { errands, sent: AtomicU64::new(0), done, waits_since: Mutex::default() })
    }

    fn send(&self, errand: Errand) {
        self.sent.fetch_add(1, Ordering::AcqRel);
        // Its thread lives as long as this.
        crate::ignore(self.errands.send(errand));
    }

    /// Whether an earlier errand has not come back.
    pub fn is_away(&self) -> bool {
        self.done.load(Ordering::Acquire) < self.sent.load(Ordering::Acquire)
    }

    /// How long the errand that is away has been so. The time begins with the first question.
    pub fn away(&self) -> Option<Duration> {
        let mut waits = self.waits_since.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_away() {
            *waits = None;
            return None;
        }
        let done = self.done.load(Ordering::Acquire);
        let since = match *waits {
            Some((of, since)) if of == done => since,
            _ => Instant::now(),
        };
        *waits = Some((done, since));
        Some(since.elapsed())
    }

    /// Sends it into Python and out again, unless it is away.
    pub fn probe(&self, enter: impl FnOnce() + Send + 'static) {
        if !self.is_away() {
            self.send(Box::new(enter));
        }
    }

    /// What a thread does: its Python stack, or where Python cannot be entered, its native one. A line each.
    pub fn stack(&self, glimpse: &Glimpse) -> Vec<String> {
        if !self.is_away() {
            let (answer, answered) = channel();
            let (interpreter, ident) = (glimpse.request.interpreter, glimpse.ident);
            self.send(Box::new(move || {
                let lines = interpreter.attach(|py| py.stack_of(ident).unwrap_or_default());
                // Whoever asked may have given up.
                crate::ignore(answer.send(lines));
            }));
            if let Ok(lines) = answered.recv_timeout(PATIENCE) {
                if !lines.is_empty() {
                    return lines;
                }
            }
        }
        let native = native_stack::of(glimpse.ident);
        let first = "the thread is in C, and Python's lock cannot be had; its native stack, innermost call first:";
        match native.is_empty() {
            true => vec!["its stack cannot be known: Python's lock cannot be had".to_owned()],
            false => [first.to_owned()].into_iter().chain(native.into_iter().map(|line| format!("  {line}"))).collect(),
        }
    }

    /// Lets the thread of a request raise `RequestTimeout`.
    pub fn interrupt(&self, glimpse: &Glimpse) {
        let (interpreter, progress, serial) = (glimpse.request.interpreter, glimpse.progress, glimpse.serial);
        progress.interrupt();
        self.send(Box::new(move || {
            let kind = &interpreter.state().types.request_timeout;
            interpreter.attach(|py| progress.raise(py, serial, &kind.get(py)));
        }));
    }
}
