//! `SetHandler wsgi-metrics`: figures of every group and of embedded mode, for a monitoring system.
//!
//! Source: OpenMetrics 1.0, "Text Format". What is told comes from memory that Apache's processes share; no daemon is asked.

use std::fmt::Error;

use mod_wsgi_core::wire::{LogLevel, ResponseHeadWriter};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::apache::request::Request;
use crate::figures::{BOUNDS, Figures, Times};
use crate::handler::{INTERNAL_ERROR, Status, log_with_script};
use crate::response::Response;
use crate::startup::Runtime;

/// The name for `SetHandler`.
pub const HANDLER: &[u8] = b"wsgi-metrics";
/// How embedded mode is called, as in `WSGIProcessGroup`.
const EMBEDDED: &str = "%{GLOBAL}";
const NOT_ALLOWED: Status = 405;
const CONTENT_TYPE: &[u8] = b"application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is told of a group.
#[derive(Debug)]
struct Group {
    name: String,
    figures: Figures,
    /// Processes by state, requests that daemons have now, and threads per process; `None` for embedded mode.
    daemons: Option<([u32; 5], u32, u32)>,
}

/// All that is told.
#[derive(Debug)]
struct Groups(Vec<Group>);

/// The states of processes that are told, with their numbers on the board.
const STATES: [(usize, &str); 4] = [(1, "starting"), (2, "ready"), (3, "retiring"), (4, "failed")];

impl Groups {
    fn of(runtime: &Runtime) -> Self {
        let embedded =
            Group { name: EMBEDDED.to_owned(), figures: Figures::read(&runtime.embedded_board), daemons: None };
        let groups = runtime.groups().iter().map(|group| {
            let options = &group.definition.options;
            let (states, busy) = group.reach.board.census();
            Group {
                name: options.name.clone(),
                figures: Figures::read(&group.reach.board),
                daemons: Some((states, busy, options.threads)),
            }
        });
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
            for (count, class) in group.figures.statuses.iter().zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
                encode_count(&mut family, &[("group", &group.name), ("status", class)], *count)?;
            }
        }
        let text = "Response bodies that have been sent";
        let mut family = encoder.encode_descriptor("wsgi_response_body", text, bytes, MetricType::Counter)?;
        for group in groups {
            encode_count(&mut family, &[("group", &group.name)], group.figures.bytes)?;
        }
        let text = "From the moment Apache had read a request to the end of its response";
        let family = encoder.encode_descriptor("wsgi_request_duration", text, seconds, MetricType::Histogram)?;
        encode_times(groups, family, |figures| figures.request)?;
        let text = "The part of that in which the group had the request, the wait for a thread included";
        let family = encoder.encode_descriptor("wsgi_application_duration", text, seconds, MetricType::Histogram)?;
        encode_times(groups, family, |figures| figures.application)?;
        encode_daemons(groups, encoder)
    }
}

/// Tells of processes and threads.
fn encode_daemons(groups: &[Group], mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
    let daemons = || groups.iter().filter_map(|group| group.daemons.map(|daemons| (&group.name, daemons)));
    let mut family =
        encoder.encode_descriptor("wsgi_processes", "Daemon processes, by what they do", None, MetricType::Gauge)?;
    for (name, (states, _, _)) in daemons() {
        for (number, state) in STATES {
            let count = states.get(number).copied().unwrap_or_default();
            encode_gauge(&mut family, &[("group", name), ("state", state)], count)?;
        }
    }
    let text = "Threads of daemon processes that take requests";
    let mut family = encoder.encode_descriptor("wsgi_threads", text, None, MetricType::Gauge)?;
    for (name, (states, _, threads)) in daemons() {
        let ready = states.get(2).copied().unwrap_or_default();
        encode_gauge(&mut family, &[("group", name)], ready.saturating_mul(threads))?;
    }
    let text = "Requests that daemon processes have now, running or waiting for a thread";
    let mut family = encoder.encode_descriptor("wsgi_requests_active", text, None, MetricType::Gauge)?;
    for (name, (_, busy, _)) in daemons() {
        encode_gauge(&mut family, &[("group", name)], busy)?;
    }
    Ok(())
}

/// Answers a request for the figures.
pub fn answer(r: Request<'_>) -> i32 {
    if !matches!(r.method(), Some(b"GET" | b"HEAD")) {
        return NOT_ALLOWED;
    }
    let Some(runtime) = &r.server().config().runtime else { return INTERNAL_ERROR };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Groups::of(runtime)));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        log_with_script(r, LogLevel::Error, &format!("WSGI7068: the figures cannot be written: {error}"));
        return INTERNAL_ERROR;
    }
    let mut head = Vec::new();
    ResponseHeadWriter::new(&mut head, 200, b"200 OK").header(b"Content-Type", CONTENT_TYPE);
    let mut response = Response::new(r, false);
    match response.set_head(&head) {
        Ok(()) => response.complete(text.as_bytes()),
        Err(_) => INTERNAL_ERROR,
    }
}
