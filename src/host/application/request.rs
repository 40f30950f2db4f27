//! One request, shared by the objects its application holds. After its end they find nothing here any more.

use super::exchange::{Exchange, Gone, Tried};
use super::interpreters::Interpreter;
use super::observe::Tally;
use super::progress::{Progress, Wait};
use super::response::Response;
use super::spare;
use crate::log;
use crate::python::{Exception, Object, PyResult, Python, Stored};
use crate::sys::fork;
use mod_wsgi_core::wire::{FilePart, LogLevel, LogRecord};
use std::cell::RefCell;
use std::fs::File;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Where a request stands; behind the lock of [`Request`].
pub struct Inner {
    /// `None` once the request is over, or given up.
    pub exchange: Option<Box<dyn Exchange>>,
    /// Whether its time was over, and somebody else has answered the client.
    pub given_up: bool,
    /// Whether the application was called.
    called: bool,
    /// What was read of the body and not yet taken by the application.
    pub body: Vec<u8>,
    /// How much at the front of `body` is taken.
    pub taken: usize,
    /// Whether the body was read to its end.
    pub body_ended: bool,
    /// Whether anything of the body was asked for.
    pub body_begun: bool,
    /// Why the body cannot be read any further.
    pub body_failed: Option<String>,
    /// What the application has said so far.
    pub response: Response,
    /// A line written to the log without its newline so far.
    pub partial: Vec<u8>,
    /// What it has moved.
    pub tally: Tally,
}

impl Inner {
    /// Why nothing can be sent.
    fn no_exchange(&self) -> Failure {
        if self.given_up { Failure::Gone } else { Failure::Over }
    }
}

/// One request.
pub struct Request {
    /// The interpreter it runs in.
    pub interpreter: &'static Interpreter,
    /// Path of the script, for log lines.
    pub script: Vec<u8>,
    /// The least important level that is logged for it, a number of httpd's.
    pub log_level: u8,
    /// Its id in Apache's logs, a `str`; nothing where it has none, and once it is over.
    id: Stored,
    /// What `request_data()` answers; nothing while it is not in Python.
    data: Stored,
    /// Where others see how it stands; `None` in embedded mode.
    pub progress: Option<&'static Progress>,
    inner: Mutex<Inner>,
}

thread_local! {
    /// The request this thread runs, for `sys.stdout` and `sys.stderr`.
    static CURRENT: RefCell<Option<Arc<Request>>> = const { RefCell::new(None) };
}

/// The request this thread runs.
pub fn current() -> Option<Arc<Request>> {
    // A thread that ends has no request.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Says which request this thread runs, and answers which it ran before.
pub fn set_current(request: Option<Arc<Request>>) -> Option<Arc<Request>> {
    CURRENT.replace(request)
}

impl Request {
    /// Begins a request.
    pub fn begin(
        interpreter: &'static Interpreter,
        script: Vec<u8>,
        log_level: u8,
        exchange: Box<dyn Exchange>,
        progress: Option<&'static Progress>,
    ) -> Arc<Self> {
        let inner = Inner {
            exchange: Some(exchange),
            given_up: false,
            called: false,
            body: Vec::new(),
            taken: 0,
            body_ended: false,
            body_begun: false,
            body_failed: None,
            response: Response::default(),
            partial: Vec::new(),
            tally: Tally::default(),
        };
        let (id, data) = (Stored::empty(), Stored::empty());
        Arc::new(Self { interpreter, script, log_level, id, data, progress, inner: Mutex::new(inner) })
    }

    /// The request is in Python now: it has a dictionary for whoever wants to keep something, which is also in
    /// `mod_wsgi.active_requests` under the request's id.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn enter<'py>(&self, py: Python<'py>, id: Option<&[u8]>) -> PyResult<'py, ()> {
        let data = py.dict()?;
        if let Some(id) = id {
            let id = py.latin1(id)?;
            if let Some(active) = self.active_requests(py) {
                active.set_entry(&id, &data)?;
            }
            self.id.put(id);
        }
        self.data.put(data);
        Ok(())
    }

    /// The request leaves Python.
    pub fn leave(&self, py: Python<'_>) {
        if let (Some(id), Some(active)) = (self.id(py), self.active_requests(py)) {
            active.remove_entry(&id);
        }
        self.id.clear(py);
        self.data.clear(py);
    }

    /// `mod_wsgi.active_requests`, unless the application has put something else there.
    fn active_requests<'py>(&self, py: Python<'py>) -> Option<Object<'py>> {
        let state = self.interpreter.state();
        let active = state.values.namespace.get(py).entry(&state.names.active_requests.get(py));
        active.filter(|active| active.is_dict())
    }

    /// Its id in Apache's logs.
    pub fn id<'py>(&self, py: Python<'py>) -> Option<Object<'py>> {
        Some(self.id.get(py).clone()).filter(|id| !id.is_none())
    }

    /// What `request_data()` answers, while it is in Python.
    pub fn data<'py>(&self, py: Python<'py>) -> Option<Object<'py>> {
        Some(self.data.get(py).clone()).filter(|data| !data.is_none())
    }

    /// Runs `work` on the state, with the lock held: it must not run Python code, make or drop objects that the garbage
    /// collector tracks.
    pub fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut py.lock(&self.inner))
    }

    /// As [`Request::with`], for work that blocks and needs no Python at all.
    pub fn with_detached<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Inner) -> R + Send) -> R {
        py.detach(|| work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// As [`Request::with_detached`], for work that waits for Apache or the client.
    pub fn with_waiting<R: Send>(&self, py: Python<'_>, wait: Wait, work: impl FnOnce(&mut Inner) -> R + Send) -> R {
        self.with_detached(py, |inner| match self.progress {
            Some(progress) => progress.during(wait, || work(inner)),
            None => work(inner),
        })
    }

    /// Takes the exchange away from a request whose time is over, and answers whether its response has begun; `None` while
    /// the request waits for its exchange, or has none. What the application does from then on leads nowhere.
    pub fn give_up(&self) -> Option<(Box<dyn Exchange>, bool)> {
        let mut inner = self.try_lock()?;
        let exchange = inner.exchange.take()?;
        inner.given_up = true;
        Some((exchange, inner.response.committed))
    }

    /// As [`Request::give_up`], for a request whose application has not been called; it will not be.
    pub fn give_up_uncalled(&self) -> Option<Box<dyn Exchange>> {
        let mut inner = self.try_lock().filter(|inner| !inner.called)?;
        let exchange = inner.exchange.take()?;
        inner.given_up = true;
        Some(exchange)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Inner>> {
        match self.inner.try_lock() {
            Ok(inner) => Some(inner),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The application is about to be called; `false` where the request was given up before, so that it must not be.
    pub fn call(&self, py: Python<'_>) -> bool {
        if let Some(progress) = self.progress {
            progress.call();
        }
        self.with(py, |inner| {
            inner.called = !inner.given_up;
            inner.called
        })
    }

    /// Ends the request: what is left of a log line is written, and the exchange goes back to who lent it. Called
    /// detached.
    pub fn end(&self) -> Option<Box<dyn Exchange>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.partial.is_empty() {
            let line = std::mem::take(&mut inner.partial);
            self.write_line(&mut inner, LogLevel::Error, &line);
        }
        spare::give_back(std::mem::take(&mut inner.body));
        inner.exchange.take()
    }

    /// Writes a line with the request's bracket in front. Called detached.
    fn write_line(&self, inner: &mut Inner, level: LogLevel, text: &[u8]) {
        let line = [b"[script ", &self.script[..], b"] ", text].concat();
        self.write_bare(inner, level, &line);
    }

    fn write_bare(&self, inner: &mut Inner, level: LogLevel, line: &[u8]) {
        match &mut inner.exchange {
            Some(exchange) if !fork::is_child() => exchange.log(LogRecord::new(level, line)),
            _ => log::write_bytes(level, line),
        }
    }

    /// Writes records of the application with the request's bracket in front.
    pub fn log_records(&self, py: Python<'_>, records: &[LogRecord<'_>]) {
        self.with_detached(py, |inner| {
            for record in records {
                let text = [b"[script ", &self.script[..], b"] ", record.text].concat();
                let record = LogRecord { text: &text, ..*record };
                match &mut inner.exchange {
                    Some(exchange) if !fork::is_child() => exchange.log(record),
                    _ => log::write_record(record),
                }
            }
        });
    }

    /// Writes a line of our own to the request's log.
    pub fn log(&self, py: Python<'_>, level: LogLevel, text: &str) {
        self.with_detached(py, |inner| self.write_line(inner, level, text.as_bytes()));
    }

    /// Writes lines as they are, each a record.
    pub fn log_lines(&self, py: Python<'_>, level: LogLevel, lines: &[Vec<u8>]) {
        self.with_detached(py, |inner| lines.iter().for_each(|line| self.write_bare(inner, level, line)));
    }

    /// Takes what the application writes to a stream: whole lines are logged, the rest waits for its end.
    pub fn write_stream(&self, py: Python<'_>, text: &[u8]) {
        self.with_detached(py, |inner| {
            let mut partial = std::mem::take(&mut inner.partial);
            cut_lines(&mut partial, text, |line| self.write_line(inner, LogLevel::Error, line));
            inner.partial = partial;
        });
    }

    /// Logs what waits for the end of its line.
    pub fn flush_stream(&self, py: Python<'_>) {
        if self.with(py, |inner| inner.partial.is_empty()) {
            return;
        }
        self.with_detached(py, |inner| {
            let line = std::mem::take(&mut inner.partial);
            self.write_line(inner, LogLevel::Error, &line);
        });
    }

    /// Whether the request is over.
    pub fn is_over(&self, py: Python<'_>) -> bool {
        self.with(py, |inner| inner.exchange.is_none() && !inner.given_up)
    }

    /// Fails once the request is over; `what` says what was tried.
    ///
    /// # Errors
    /// `RuntimeError`.
    pub fn expect_running<'py>(&self, py: Python<'py>, what: &str) -> PyResult<'py, ()> {
        if !self.is_over(py) {
            return Ok(());
        }
        py.raise(Exception::Runtime, &format!("{what} after request completed"))
    }

    /// Sends status and headers if they have not been sent, and a piece of the body. `send` is whether it has to be on
    /// its way when this returns; a large piece always is.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn send_piece(&self, py: Python<'_>, piece: &[u8], send: bool) -> Result<(), Failure> {
        let waits = self.with(py, |inner| {
            let Some(exchange) = &mut inner.exchange else { return Err(inner.no_exchange()) };
            inner.tally.output_length += piece.len() as u64;
            inner.tally.output_writes += u64::from(!piece.is_empty());
            let piece = inner.response.commit_and_clip(&mut **exchange, piece)?;
            if send || piece.len() > LARGE {
                let (tried, time) = inner.tally.time(|| exchange.try_send(piece));
                inner.tally.output_time += time;
                return match tried {
                    Ok(Tried::Sent) => Ok(None),
                    Ok(Tried::Left(length)) => Ok(Some(piece.get(piece.len() - length..).unwrap_or(piece))),
                    Err(Gone) => Err(Failure::Gone),
                };
            }
            if !piece.is_empty() {
                exchange.queue(piece);
            }
            Ok(None)
        })?;
        let Some(piece) = waits else { return Ok(()) };
        self.with_waiting(py, Wait::Output, |inner| {
            let Some(exchange) = &mut inner.exchange else { return Err(inner.no_exchange()) };
            let (sent, time) = inner.tally.time(|| exchange.send(piece));
            inner.tally.output_time += time;
            sent.map_err(|Gone| Failure::Gone)
        })
    }

    /// Sends status and headers if they have not been sent, and a file from a place on as the rest of the body: to its
    /// end, where it has `available` bytes more, or as far as `Content-Length` says. Answers how many bytes it lacks.
    ///
    /// # Errors
    /// [`Failure`].
    #[cfg(unix)]
    pub fn send_file(&self, py: Python<'_>, file: &File, offset: u64, available: u64) -> Result<u64, Failure> {
        self.with_waiting(py, Wait::Output, |inner| {
            let Some(exchange) = &mut inner.exchange else { return Err(inner.no_exchange()) };
            let length = inner.response.commit_file(&mut **exchange, available)?;
            let lacks = inner.response.content_length.map_or(0, |announced| announced - length);
            let (sent, time) = inner.tally.time(|| match length {
                0 => exchange.send(b""),
                _ => exchange.file(file.as_fd(), FilePart { offset, length }),
            });
            inner.tally.output_length += available;
            inner.tally.output_writes += 1;
            inner.tally.output_time += time;
            sent.map(|()| lacks).map_err(|Gone| Failure::Gone)
        })
    }
}

/// The largest piece that is copied to go out together with what comes after it, in bytes: about where a copy costs as
/// much as another system call.
const LARGE: usize = 16 * 1024;

/// Why something could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request is over.
    Over,
    /// `start_response` was not called.
    NotStarted,
    /// `Content-Length` is no length.
    BadLength,
    /// The client is gone.
    Gone,
}

impl Failure {
    /// The exception for it.
    ///
    /// # Errors
    /// Always.
    pub fn raise<'py, T>(self, py: Python<'py>) -> PyResult<'py, T> {
        match self {
            Self::Over => py.raise(Exception::Runtime, "data sent after request completed"),
            Self::BadLength => py.raise(Exception::Value, "Content-Length is not a length in bytes"),
            Self::NotStarted => {
                py.raise(Exception::Runtime, "start_response() must be called before response content is produced")
            }
            Self::Gone => py.raise(Exception::Os, "the client is gone, the data cannot be sent"),
        }
    }
}

/// The longest line that is kept to be continued, in bytes: httpd cuts records at about this length.
const LONGEST_LINE: usize = 8 * 1024;

/// Hands whole lines to `line` and keeps the rest in `partial`.
pub fn cut_lines(partial: &mut Vec<u8>, text: &[u8], mut line: impl FnMut(&[u8])) {
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (whole, after) = rest.split_at(end);
        if partial.is_empty() {
            line(whole);
        } else {
            partial.extend_from_slice(whole);
            line(partial);
            partial.clear();
        }
        rest = after.get(1..).unwrap_or_default();
    }
    partial.extend_from_slice(rest);
    while partial.len() >= LONGEST_LINE {
        let after = partial.split_off(LONGEST_LINE);
        line(partial);
        *partial = after;
    }
}
