//! `SetHandler wsgi-status`: a page for an administrator, and the same as JSON with `?format=json`.
//!
//! What is told comes from memory that Apache's processes share, and from what the system tells of processes; no daemon is
//! asked, so that one that hangs can be looked at too.

mod page;

use serde::Serialize;

use mod_wsgi_core::VERSION_TEXT;
use mod_wsgi_core::board::{Doing, ENDS, READY, RETIRING, STARTING};
use mod_wsgi_core::wire::LogLevel;

use crate::apache::request::Request;
use crate::clock::microseconds_now;
use crate::figures::{EMBEDDED, Figures, PerProcess, embedded_processes};
use crate::handler::{INTERNAL_ERROR, Status, log_with_script};
use crate::response::Response;
use crate::startup::{ClientGroup, Runtime};
use crate::sys::board::Board;

/// The name for `SetHandler`.
pub const HANDLER: &[u8] = b"wsgi-status";
const NOT_ALLOWED: Status = 405;
/// The page needs nothing but its own style.
const POLICY: &[u8] =
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All that is told. Times are in seconds since the epoch, durations in seconds.
#[derive(Debug, Serialize)]
struct Report {
    mod_wsgi: &'static str,
    server: String,
    time: f64,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    mode: &'static str,
    user: Option<String>,
    python: Option<String>,
    /// How many processes it is to have, and threads in each; `None` in embedded mode, where they are httpd's.
    processes_configured: Option<u32>,
    threads_per_process: Option<u32>,
    requests: Classes,
    response_body_bytes: u64,
    request_body_bytes: u64,
    /// Requests that run or wait for a thread.
    active: u32,
    processes: Vec<Process>,
    /// How many processes have ended, by reason.
    ends: Vec<End>,
    interpreters: Vec<Interpreter>,
    errors: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Classes {
    #[serde(rename = "1xx")]
    informational: u64,
    #[serde(rename = "2xx")]
    successful: u64,
    #[serde(rename = "3xx")]
    redirected: u64,
    #[serde(rename = "4xx")]
    client_errors: u64,
    #[serde(rename = "5xx")]
    server_errors: u64,
}

impl From<[u64; 5]> for Classes {
    fn from([informational, successful, redirected, client_errors, server_errors]: [u64; 5]) -> Self {
        Self { informational, successful, redirected, client_errors, server_errors }
    }
}

impl Classes {
    fn total(&self) -> u64 {
        self.informational + self.successful + self.redirected + self.client_errors + self.server_errors
    }
}

#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    /// Which of the group's processes it is, from 0; its successor has the same.
    index: Option<u32>,
    state: &'static str,
    started: Option<f64>,
    memory_bytes: Option<u64>,
    requests: u64,
    threads: Vec<Thread>,
}

#[derive(Debug, Serialize)]
struct Thread {
    state: &'static str,
    /// How long it has been with this request, or without one.
    seconds: f64,
    requests: u64,
    request: Option<String>,
}

impl Thread {
    fn is_busy(&self) -> bool {
        self.request.is_some()
    }
}

#[derive(Debug, Serialize)]
struct End {
    reason: &'static str,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Interpreter {
    name: String,
    requests: Classes,
    application_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Fault {
    time: f64,
    /// The same, as log lines show it.
    local_time: String,
    pid: Option<u32>,
    status: Option<u16>,
    request: Option<String>,
    text: String,
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// Text of others: valid, and without anything that moves a cursor.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn state(number: u32) -> &'static str {
    match number {
        STARTING => "starting",
        READY => "ready",
        RETIRING => "retiring",
        _ => "unknown",
    }
}

fn process(process: PerProcess, now: u64) -> Process {
    let threads = process.threads.iter().map(|thread| Thread {
        state: thread.doing.name(),
        seconds: seconds(now.saturating_sub(thread.since)),
        requests: thread.requests,
        request: (thread.doing != Doing::Idle).then(|| shown(&thread.request)),
    });
    Process {
        pid: process.pid,
        index: process.index,
        state: process.state.map_or("serving", state),
        started: process.started.map(seconds),
        memory_bytes: process.memory,
        requests: process.threads.iter().map(|thread| thread.requests).sum(),
        threads: threads.collect(),
    }
}

impl Group {
    fn new(r: Request<'_>, name: &str, board: &Board, group: Option<&ClientGroup>, now: u64) -> Self {
        let figures = Figures::read(board);
        let options = group.map(|group| &group.definition().options);
        let found = group.map_or_else(|| embedded_processes(board), ClientGroup::processes);
        let mut processes: Vec<_> = found.into_iter().map(|found| process(found, now)).collect();
        processes.sort_by(|a, b| {
            (a.index, a.started.map(f64::to_bits), a.pid).cmp(&(b.index, b.started.map(f64::to_bits), b.pid))
        });
        let busy = processes.iter().flat_map(|process| &process.threads).filter(|thread| thread.is_busy()).count();
        let count =
            |at: usize| board.ended().get(at).map_or(0, |count| count.load(std::sync::atomic::Ordering::Relaxed));
        let ends = ENDS.iter().enumerate().map(|(at, reason)| End { reason, count: count(at) });
        let faults = board.events().read().into_iter().map(|event| Fault {
            time: seconds(event.time),
            local_time: r.local_time(event.time),
            pid: Some(event.pid).filter(|pid| *pid > 0),
            status: Some(event.status).filter(|status| *status > 0),
            request: Some(shown(&event.request)).filter(|request| !request.is_empty()),
            text: shown(&event.text),
        });
        let interpreters = board.interpreters().read().into_iter().map(|interpreter| Interpreter {
            name: shown(&interpreter.name),
            requests: interpreter.statuses.into(),
            application_seconds: seconds(interpreter.time),
        });
        Self {
            name: name.to_owned(),
            mode: if group.is_some() { "daemon" } else { "embedded" },
            user: group.map(|group| group.user().to_owned()),
            python: group.and_then(ClientGroup::program).map(|program| program.display().to_string()),
            processes_configured: options.map(|options| options.processes.unwrap_or(1)),
            threads_per_process: options.map(|options| options.threads),
            requests: figures.statuses.into(),
            response_body_bytes: figures.sent,
            request_body_bytes: figures.received,
            active: group.map_or_else(|| u32::try_from(busy).unwrap_or(u32::MAX), |_| board.census().1),
            processes,
            ends: ends.filter(|end| end.count > 0).collect(),
            interpreters: interpreters.collect(),
            errors: faults.collect(),
        }
    }
}

impl Report {
    fn new(r: Request<'_>, runtime: &Runtime) -> Self {
        let now = microseconds_now();
        let groups = runtime
            .groups()
            .iter()
            .map(|group| Group::new(r, &group.definition().options.name, group.board(), Some(group), now));
        let embedded = Group::new(r, EMBEDDED, &runtime.embedded_board, None, now);
        Self {
            mod_wsgi: VERSION_TEXT,
            server: shown(r.banner()),
            time: seconds(now),
            groups: groups.chain([embedded]).collect(),
        }
    }
}

/// The value of an argument of the query.
fn argument<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query.split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// Answers a request for the state of things.
pub fn answer(r: Request<'_>) -> i32 {
    if !matches!(r.method(), Some(b"GET" | b"HEAD")) {
        return NOT_ALLOWED;
    }
    let Some(runtime) = &r.server().config().runtime else { return INTERNAL_ERROR };
    let report = Report::new(r, runtime);
    let query = r.args().unwrap_or_default();
    let (kind, text): (&[u8], _) = if argument(query, b"format") == Some(b"json") {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => (b"application/json", text),
            Err(error) => {
                log_with_script(r, LogLevel::Error, &format!("WSGI7075: the state cannot be written: {error}"));
                return INTERNAL_ERROR;
            }
        }
    } else {
        (b"text/html; charset=utf-8", page::page(&report).into_string())
    };
    let mut headers: Vec<(&[u8], &[u8])> = vec![
        (b"Content-Type", kind),
        (b"Cache-Control", b"no-store"),
        (b"Content-Security-Policy", POLICY),
        (b"X-Content-Type-Options", b"nosniff"),
    ];
    let refresh = argument(query, b"refresh").and_then(|value| std::str::from_utf8(value).ok()?.parse::<u32>().ok());
    let refresh = refresh.filter(|every| *every > 0).map(|every| every.to_string());
    if let Some(every) = &refresh {
        // As mod_status has it.
        headers.push((b"Refresh", every.as_bytes()));
    }
    Response::answer(r, &headers, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_query_are_found_by_their_whole_name() {
        assert_eq!(argument(b"refresh=5&format=json", b"format"), Some(&b"json"[..]));
        assert_eq!(argument(b"reformat=json&format", b"format"), None);
    }

    #[test]
    fn text_of_others_moves_no_cursor() {
        assert_eq!(shown(b"GET /\x1b[2J\xff HTTP/1.1"), "GET /\u{fffd}[2J\u{fffd} HTTP/1.1");
    }
}
