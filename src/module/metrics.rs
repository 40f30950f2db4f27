//! `SetHandler wsgi-metrics`: figures of every group and of embedded mode, for a monitoring system.
//!
//! Source: OpenMetrics 1.0, "Text Format". What is told comes from memory that Apache's processes share; no daemon is asked.

use std::fmt::Error;
use std::sync::atomic::Ordering;

use mod_wsgi_core::board::{Doing, ENDS, EXEMPLAR_BUCKETS, Exemplar, Interpreter};
use mod_wsgi_core::wire::LogLevel;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::apache::request::Request;
use crate::figures::{BOUNDS, EMBEDDED, Figures, PerProcess, Times, embedded_processes};
use crate::handler::{INTERNAL_ERROR, Status, log_with_script};
use crate::response::Response;
use crate::startup::Runtime;
use crate::sys::board::Board;

/// The name for `SetHandler`.
pub const HANDLER: &[u8] = b"wsgi-metrics";
const NOT_ALLOWED: Status = 405;
const CONTENT_TYPE: &[u8] = b"application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is told of a group.
#[derive(Debug)]
struct Group {
    name: String,
    /// Since when it is counted, in microseconds since the epoch.
    since: u64,
    figures: Figures,
    processes: Vec<PerProcess>,
    interpreters: Vec<Interpreter>,
    exemplars: [Option<Exemplar>; EXEMPLAR_BUCKETS],
    daemons: Option<Daemons>,
}

/// What there is of daemon mode only.
#[derive(Debug)]
struct Daemons {
    /// Processes by state.
    states: [u32; 5],
    /// Requests that they have now.
    active: u32,
    /// Threads per process.
    threads: u32,
    /// How many have ended, by reason.
    ends: Vec<u64>,
}

/// All that is told.
#[derive(Debug)]
struct Groups(Vec<Group>);

/// The classes of status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The histogram that has exemplars.
const REQUESTS: &str = "wsgi_request_duration";
/// The states of processes that are told, with their numbers on the board.
const STATES: [(usize, &str); 4] = [(1, "starting"), (2, "ready"), (3, "retiring"), (4, "failed")];

impl Group {
    fn new(name: &str, board: &Board, processes: Vec<PerProcess>, daemons: Option<Daemons>) -> Self {
        Self {
            name: name.to_owned(),
            since: board.since(),
            figures: Figures::read(board),
            processes,
            interpreters: board.interpreters().read(),
            exemplars: std::array::from_fn(|bucket| board.exemplars().get(bucket)),
            daemons,
        }
    }
}

impl Groups {
    fn of(runtime: &Runtime) -> Self {
        let groups = runtime.groups().iter().map(|group| {
            let (board, options) = (group.board(), &group.definition().options);
            let (states, active) = board.census();
            let ends = board.ended().iter().map(|count| count.load(Ordering::Relaxed)).collect();
            let daemons = Daemons { states, active, threads: options.threads, ends };
            Group::new(&options.name, board, group.processes(), Some(daemons))
        });
        let board = &runtime.embedded_board;
        let embedded = Group::new(EMBEDDED, board, embedded_processes(board), None);
        Self([embedded].into_iter().chain(groups).collect())
    }
}

/// Tells the times of each group.
fn encode_times(
    groups: &[Group],
    mut encoder: MetricEncoder<'_>,
    times: impl Fn(&Figures) -> Times,
) -> Result<(), Error> {
    let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
    for group in groups {
        let times = times(&group.figures);
        let buckets: Vec<_> = bounds.clone().zip(times.buckets).collect();
        let (sum, count) = (times.sum.as_secs_f64(), times.buckets.iter().sum());
        let labels = [("group", group.name.as_str())];
        encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
}

fn encode_count(encoder: &mut MetricEncoder<'_>, labels: &[(&str, &str)], count: u64) -> Result<(), Error> {
    encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

fn encode_gauge(encoder: &mut MetricEncoder<'_>, labels: &[(&str, &str)], value: u32) -> Result<(), Error> {
    encoder.encode_family(&labels)?.encode_gauge(&value)
}

impl Collector for Groups {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Self(groups) = self;
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let text = "Requests that have been answered, by the class of their status";
        let mut family = encoder.encode_descriptor("wsgi_requests", text, None, MetricType::Counter)?;
        for group in groups {
            for (count, class) in group.figures.statuses.iter().zip(CLASSES) {
                encode_count(&mut family, &[("group", &group.name), ("status", class)], *count)?;
            }
        }
        let text = "Since when all this is counted, since the epoch: a restart of Apache begins anew";
        let mut family = encoder.encode_descriptor("wsgi_start_time", text, seconds, MetricType::Gauge)?;
        for group in groups {
            let since = group.since as f64 / 1e6;
            family.encode_family(&[("group", group.name.as_str())])?.encode_gauge(&since)?;
        }
        let text = "Response bodies that have been sent";
        let mut family = encoder.encode_descriptor("wsgi_response_body", text, bytes, MetricType::Counter)?;
        for group in groups {
            encode_count(&mut family, &[("group", &group.name)], group.figures.sent)?;
        }
        let text = "Request bodies, as far as they have been read for applications";
        let mut family = encoder.encode_descriptor("wsgi_request_body", text, bytes, MetricType::Counter)?;
        for group in groups {
            encode_count(&mut family, &[("group", &group.name)], group.figures.received)?;
        }
        let text = "From the moment Apache had read a request to the end of its response";
        let family = encoder.encode_descriptor(REQUESTS, text, seconds, MetricType::Histogram)?;
        encode_times(groups, family, |figures| figures.request)?;
        let text = "The part of that in which the group had the request, without the wait for a thread";
        let family = encoder.encode_descriptor("wsgi_application_duration", text, seconds, MetricType::Histogram)?;
        encode_times(groups, family, |figures| figures.application)?;
        let text = "The part of that in which the request waited for a thread of a daemon process";
        let family = encoder.encode_descriptor("wsgi_queue_duration", text, seconds, MetricType::Histogram)?;
        encode_times(groups, family, |figures| figures.queue)?;
        encode_interpreters(groups, &mut encoder)?;
        encode_processes(groups, &mut encoder)?;
        encode_daemons(groups, encoder)
    }
}

/// Tells of interpreters.
fn encode_interpreters(groups: &[Group], encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let all =
        || groups.iter().flat_map(|group| group.interpreters.iter().map(move |interpreter| (&group.name, interpreter)));
    let shown = |interpreter: &Interpreter| match interpreter.name.is_empty() {
        true => EMBEDDED.to_owned(),
        false => String::from_utf8_lossy(&interpreter.name).into_owned(),
    };
    let text = "Requests that have been answered, by their interpreter and the class of their status";
    let mut family = encoder.encode_descriptor("wsgi_interpreter_requests", text, None, MetricType::Counter)?;
    for (group, interpreter) in all() {
        let name = shown(interpreter);
        for (count, class) in interpreter.statuses.iter().zip(CLASSES) {
            let labels = [("group", group.as_str()), ("application_group", name.as_str()), ("status", class)];
            encode_count(&mut family, &labels, *count)?;
        }
    }
    let text = "How long requests have been with their interpreter, without the wait for a thread";
    let unit = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor("wsgi_interpreter_busy", text, unit, MetricType::Counter)?;
    for (group, interpreter) in all() {
        let labels = [("group", group.as_str()), ("application_group", &shown(interpreter))];
        let seconds = interpreter.time as f64 / 1e6;
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, f64, f64>(&seconds, None)?;
    }
    Ok(())
}

/// Tells of each process.
fn encode_processes(groups: &[Group], encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let all: Vec<_> = groups
        .iter()
        .flat_map(|group| group.processes.iter().map(|process| (&group.name, process.pid.to_string(), process)))
        .collect();
    let text = "Resident memory of each process";
    let bytes = Some(&Unit::Bytes);
    let mut family = encoder.encode_descriptor("wsgi_process_resident_memory", text, bytes, MetricType::Gauge)?;
    for (group, pid, process) in &all {
        if let Some(memory) = process.memory {
            family.encode_family(&[("group", group.as_str()), ("pid", pid)])?.encode_gauge(&(memory as f64))?;
        }
    }
    let text = "When each daemon process was started, since the epoch";
    let seconds = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor("wsgi_process_start_time", text, seconds, MetricType::Gauge)?;
    for (group, pid, process) in &all {
        if let Some(started) = process.started {
            let started = started as f64 / 1e6;
            family.encode_family(&[("group", group.as_str()), ("pid", pid)])?.encode_gauge(&started)?;
        }
    }
    let text = "Requests that each process has begun";
    let mut family = encoder.encode_descriptor("wsgi_process_requests", text, None, MetricType::Counter)?;
    for (group, pid, process) in &all {
        let requests = process.threads.iter().map(|thread| thread.requests).sum();
        encode_count(&mut family, &[("group", group), ("pid", pid)], requests)?;
    }
    let text = "Threads of each process, by what they do";
    let mut family = encoder.encode_descriptor("wsgi_process_threads", text, None, MetricType::Gauge)?;
    for (group, pid, process) in &all {
        for doing in Doing::ALL {
            let count = process.threads.iter().filter(|thread| thread.doing == doing).count();
            let labels = [("group", group.as_str()), ("pid", pid), ("state", doing.name())];
            encode_gauge(&mut family, &labels, u32::try_from(count).unwrap_or(u32::MAX))?;
        }
    }
    Ok(())
}

/// Tells of daemon mode.
fn encode_daemons(groups: &[Group], mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
    let all = || groups.iter().filter_map(|group| group.daemons.as_ref().map(|daemons| (&group.name, daemons)));
    let mut family =
        encoder.encode_descriptor("wsgi_processes", "Daemon processes, by what they do", None, MetricType::Gauge)?;
    for (name, daemons) in all() {
        for (number, state) in STATES {
            let count = daemons.states.get(number).copied().unwrap_or_default();
            encode_gauge(&mut family, &[("group", name), ("state", state)], count)?;
        }
    }
    let text = "Daemon processes that have ended, by the reason";
    let mut family = encoder.encode_descriptor("wsgi_process_ends", text, None, MetricType::Counter)?;
    for (name, daemons) in all() {
        for (reason, count) in ENDS.iter().zip(&daemons.ends) {
            encode_count(&mut family, &[("group", name), ("reason", reason)], *count)?;
        }
    }
    let text = "Threads of daemon processes that take requests";
    let mut family = encoder.encode_descriptor("wsgi_threads", text, None, MetricType::Gauge)?;
    for (name, daemons) in all() {
        let ready = daemons.states.get(2).copied().unwrap_or_default();
        encode_gauge(&mut family, &[("group", name)], ready.saturating_mul(daemons.threads))?;
    }
    let text = "Requests that daemon processes have now, running or waiting for a thread";
    let mut family = encoder.encode_descriptor("wsgi_requests_active", text, None, MetricType::Gauge)?;
    for (name, daemons) in all() {
        encode_gauge(&mut family, &[("group", name)], daemons.active)?;
    }
    Ok(())
}

/// Adds the exemplars to the buckets of [`REQUESTS`], which the encoder can only make of values that it has seen itself.
///
/// Source: OpenMetrics 1.0, "Exemplars".
fn with_exemplars(text: &str, exemplars: &[Option<Exemplar>]) -> String {
    let mut exemplars = exemplars.iter();
    let buckets = format!("{REQUESTS}_seconds_bucket{{");
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(line);
        // They come in the order of the groups, and within each of the buckets.
        if let Some(exemplar) = line.starts_with(&buckets).then(|| exemplars.next()).flatten().copied().flatten() {
            let (value, time) = (exemplar.value as f64 / 1e6, exemplar.time as f64 / 1e6);
            out.push_str(&format!(" # {{trace_id=\"{:032x}\"}} {value} {time:.3}", exemplar.trace));
        }
        out.push('\n');
    }
    out
}

/// Answers a request for the figures.
pub fn answer(r: Request<'_>) -> i32 {
    if !matches!(r.method(), Some(b"GET" | b"HEAD")) {
        return NOT_ALLOWED;
    }
    let Some(runtime) = &r.server().config().runtime else { return INTERNAL_ERROR };
    let groups = Groups::of(runtime);
    let exemplars: Vec<_> = groups.0.iter().flat_map(|group| group.exemplars).collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(groups));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        log_with_script(r, LogLevel::Error, &format!("WSGI7068: the figures cannot be written: {error}"));
        return INTERNAL_ERROR;
    }
    if exemplars.iter().any(Option::is_some) {
        text = with_exemplars(&text, &exemplars);
    }
    Response::answer(r, &[(b"Content-Type", CONTENT_TYPE)], &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemplar_stands_behind_its_bucket() {
        let text = "wsgi_request_duration_seconds_bucket{le=\"0.001\",group=\"a\"} 1\n\
                    wsgi_request_duration_seconds_bucket{le=\"+Inf\",group=\"a\"} 2\n# EOF\n";
        let exemplar = Exemplar { trace: 0xab, value: 1500, time: 1_700_000_000_250_000 };
        let expected = text.replace(" 2\n", &format!(" 2 # {{trace_id=\"{:032x}\"}} 0.0015 1700000000.250\n", 0xab));
        assert_eq!(with_exemplars(text, &[None, Some(exemplar)]), expected);
    }
}
