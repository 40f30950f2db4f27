//! What is noted about a request while it runs, for events and metrics; nothing, while nobody wants either.

use super::environ::Incoming;
use super::events;
use super::metrics::{self, PHASES, Phase, Sample};
use super::request::Request;
use super::telemetry::slow;
use crate::python::{Object, PyResult, Python, Waits};
use crate::sys::clock;
use crate::sys::usage::{self, Cpu};
use std::time::{Duration, Instant};

/// What a request has moved so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Whether the times are measured.
    pub timed: bool,
    /// Fetches of the body from Apache, the one that finds its end included.
    pub input_reads: u64,
    /// Bytes of the body that the application got.
    pub input_length: u64,
    /// Time of these fetches.
    pub input_time: Duration,
    /// Items of the response that are not empty, and calls of `write()`.
    pub output_writes: u64,
    /// Bytes of the response that the application made, also those beyond its `Content-Length`.
    pub output_length: u64,
    /// Time of handing them on.
    pub output_time: Duration,
}

impl Tally {
    /// Runs `work`, whose time is measured if times are.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> (R, Duration) {
        if !self.timed {
            return (work(), Duration::ZERO);
        }
        let begun = Instant::now();
        let answer = work();
        (answer, begun.elapsed())
    }
}

/// What is known of a request at its end.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// When it ended, in microseconds since the epoch.
    pub finish: u64,
    /// Status of the response; 500 where the application has given none.
    pub status: u16,
    /// How long the thread has waited for Python.
    pub waits: Waits,
    /// What it has moved.
    pub tally: Tally,
    /// In the order of the phases.
    times: [Option<Duration>; PHASES.len()],
}

impl Figures {
    /// The figures of a request that ends now.
    fn of(py: Python<'_>, request: &Request, incoming: &Incoming<'_>) -> Self {
        let (tally, status) = request.with(py, |inner| (inner.tally, inner.response.status()));
        let (finish, waits) = (clock::microseconds(), Waits::now());
        let (head, daemon, begun) = (incoming.head, incoming.daemon_start, incoming.application_start);
        let between = |from: u64, to: u64| Duration::from_micros(to.saturating_sub(from));
        let is_daemon = daemon > 0;
        let server = between(head.request_start, if is_daemon { head.queue_start } else { begun });
        let queue = is_daemon.then(|| between(head.queue_start, daemon));
        let in_daemon = is_daemon.then(|| between(daemon, begun));
        let application = between(begun, finish);
        let all = server + queue.unwrap_or_default() + in_daemon.unwrap_or_default() + application;
        let times = [
            Some(server),
            queue,
            in_daemon,
            Some(application),
            Some(all),
            Some(waits.time),
            Some(tally.input_time),
            Some(tally.output_time),
        ];
        Self { finish, status, waits, tally, times }
    }

    /// The time of a phase.
    pub fn time(&self, phase: Phase) -> Duration {
        self.times.get(phase as usize).copied().flatten().unwrap_or_default()
    }

    fn sample(&self) -> Sample {
        let tally = &self.tally;
        Sample {
            times: self.times,
            waits: self.waits.count,
            status: self.status,
            transfer: [tally.input_length, tally.input_reads, tally.output_length, tally.output_writes],
        }
    }
}

/// Notes what a request costs, from before its application is called.
pub struct Observer {
    /// CPU time of the thread at the start, where somebody was told of it.
    cpu: Option<Cpu>,
    /// Whether the end is to be told too.
    is_told: bool,
    is_armed: bool,
}

impl Observer {
    /// A request has got to its application.
    pub fn new(py: Python<'_>, request: &Request) -> Self {
        metrics::this_thread().calls.add(1);
        let is_armed = metrics::is_armed();
        if is_armed {
            request.with(py, |inner| inner.tally.timed = true);
        }
        Self { cpu: None, is_told: true, is_armed }
    }

    /// Tells that the application is about to be called; answers what is to be called.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn start<'py>(
        &mut self,
        py: Python<'py>,
        request: &Request,
        incoming: &Incoming<'_>,
        environ: &Object<'py>,
        application: &Object<'py>,
    ) -> PyResult<'py, Object<'py>> {
        if !events::are_wanted(py, request.interpreter.state()) {
            return Ok(application.clone());
        }
        Waits::begin();
        request.with(py, |inner| inner.tally.timed = true);
        self.cpu = Some(usage::thread());
        // Of a request whose start could not be told the end is not told either.
        self.is_told = false;
        let application = events::request_started(py, request, incoming, environ, application)?;
        self.is_told = true;
        Ok(application)
    }

    /// The response has been made, or has failed; `status` is that of the client where it is not the application's.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn finish<'py>(
        self,
        py: Python<'py>,
        request: &Request,
        incoming: &Incoming<'_>,
        status: Option<u16>,
    ) -> PyResult<'py, ()> {
        let is_wanted = self.is_told && events::are_wanted(py, request.interpreter.state());
        if !is_wanted && !self.is_armed {
            return Ok(());
        }
        let mut figures = Figures::of(py, request, incoming);
        figures.status = status.unwrap_or(figures.status);
        if self.is_armed {
            metrics::record(&figures.sample());
            slow::note_end(&figures);
        }
        if !is_wanted {
            return Ok(());
        }
        let cpu = self.cpu.map(|before| usage::thread().since(before));
        events::request_finished(py, request, incoming, &figures, cpu)
    }
}
