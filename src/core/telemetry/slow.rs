//! The datagram of a request that runs, or has run, for long.

use super::datagram::{Datagram, Header, Kind};
use super::fields as field;
use crate::wire::{Key, Name, Pairs};

/// What a request cost, known at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Costs {
    /// Bytes and reads of its body, bytes and writes of its response.
    pub transfer: [u64; 4],
    /// Times of these reads and writes, in microseconds.
    pub transfer_time: [u64; 2],
    /// Status of the response.
    pub status: u16,
    /// CPU time in the program and in the system, in microseconds.
    pub cpu: [u64; 2],
    /// Requests of the process at its end, this one included.
    pub active: u64,
}

/// A request that is slow. Times are in microseconds, moments in microseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlowRequest {
    /// Its environ, as it came.
    pub environ: Vec<u8>,
    /// When this process began with it.
    pub start: u64,
    /// How long that is ago, or was at its end.
    pub duration: u64,
    /// Number of the thread.
    pub thread: u32,
    /// Times of the phases server, queue, daemon, application.
    pub phases: [u64; 4],
    /// How long it has waited for Python.
    pub gil_wait_time: u64,
    /// How often.
    pub gil_wait_count: u64,
    /// Requests of the process at its begin, this one included.
    pub active_at_start: u64,
    /// What it cost; `None` while it runs.
    pub costs: Option<Costs>,
}

/// The most records that are kept until the next interval.
const MOST_RECORDS: u64 = 4096;

/// How many records of requests that have ended are kept for the next interval, given the number of threads and the interval
/// and threshold in microseconds.
#[must_use]
pub fn records_kept(threads: u32, interval: u64, threshold: u64) -> usize {
    let rounds = interval.div_ceil(threshold.max(1));
    u64::from(threads).saturating_mul(rounds).saturating_mul(5).clamp(32, MOST_RECORDS) as usize
}

/// What the environ says of a request.
#[derive(Debug, Default)]
struct Facts<'a> {
    log_id: &'a [u8],
    server_pid: u64,
    method: &'a [u8],
    is_https: bool,
    host: &'a [u8],
    script_name: Option<&'a [u8]>,
    original_script_name: Option<&'a [u8]>,
    path_info: Option<&'a [u8]>,
    original_path_info: Option<&'a [u8]>,
    uri: &'a [u8],
    protocol: &'a [u8],
    peer: &'a [u8],
    user_agent: &'a [u8],
}

impl<'a> Facts<'a> {
    fn of(environ: &'a [u8]) -> Self {
        let mut facts = Self::default();
        for (name, value) in Pairs::new(environ).map_while(Result::ok) {
            let Name::Known(key) = name else { continue };
            match key {
                Key::MOD_WSGI_REQUEST_ID => facts.log_id = value,
                Key::MOD_WSGI_SERVER_PID => {
                    facts.server_pid = std::str::from_utf8(value).ok().and_then(|pid| pid.parse().ok()).unwrap_or(0);
                }
                Key::REQUEST_METHOD => facts.method = value,
                Key::HTTPS => facts.is_https = value.eq_ignore_ascii_case(b"on") || value == b"1",
                Key::SERVER_NAME => facts.host = value,
                Key::SCRIPT_NAME => facts.script_name = Some(value),
                Key::MOD_WSGI_SCRIPT_NAME => facts.original_script_name = Some(value),
                Key::PATH_INFO => facts.path_info = Some(value),
                Key::MOD_WSGI_PATH_INFO => facts.original_path_info = Some(value),
                Key::REQUEST_URI => facts.uri = value,
                Key::SERVER_PROTOCOL => facts.protocol = value,
                Key::REMOTE_ADDR => facts.peer = value,
                Key::HTTP_USER_AGENT => facts.user_agent = value,
                _ => {}
            }
        }
        facts
    }

    /// The path behind the script; the URI's, where there is none. No query string is ever told.
    fn path(&self) -> &'a [u8] {
        let without_query = self.uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        self.original_path_info.or(self.path_info).unwrap_or(without_query)
    }
}

impl SlowRequest {
    /// The datagram; `user_agent` is whether the client's program is told.
    #[must_use]
    pub fn encode(&self, header: Header, user_agent: bool) -> Datagram {
        let mut out = Datagram::new(Kind::SlowRequest, header);
        let facts = Facts::of(&self.environ);
        out.count(field::SLOW_RECORD_STATE, self.costs.is_some().into());
        out.time(field::SLOW_START_STAMP, self.start);
        out.time(field::SLOW_DURATION, self.duration);
        out.count(field::SLOW_THREAD_ID, self.thread.into());
        out.text(field::SLOW_LOG_ID, facts.log_id);
        out.count(field::SLOW_SERVER_PID, facts.server_pid);
        out.text(field::SLOW_METHOD, facts.method);
        out.text(field::SLOW_SCHEME, if facts.is_https { b"https" } else { b"http" });
        out.text(field::SLOW_HOSTNAME, facts.host);
        out.text(field::SLOW_SCRIPT_NAME, facts.original_script_name.or(facts.script_name).unwrap_or_default());
        out.text(field::SLOW_PATH_INFO, facts.path());
        out.text(field::SLOW_PROTOCOL, facts.protocol);
        out.text(field::SLOW_PEER_IP, facts.peer);
        if user_agent {
            out.text(field::SLOW_USER_AGENT, facts.user_agent);
        }
        let [server, queue, daemon, application] = self.phases;
        out.time(field::SLOW_SERVER_TIME, server);
        out.time(field::SLOW_QUEUE_TIME, queue);
        out.time(field::SLOW_DAEMON_TIME, daemon);
        out.time(field::SLOW_APPLICATION_TIME, application);
        out.time(field::SLOW_GIL_WAIT_TIME, self.gil_wait_time);
        out.count(field::SLOW_GIL_WAIT_COUNT, self.gil_wait_count);
        self.put_costs(&mut out);
        out
    }

    fn put_costs(&self, out: &mut Datagram) {
        let costs = self.costs.unwrap_or_default();
        let [input_bytes, input_reads, output_bytes, output_writes] = costs.transfer;
        out.count(field::SLOW_INPUT_BYTES, input_bytes);
        out.count(field::SLOW_INPUT_READS, input_reads);
        out.count(field::SLOW_OUTPUT_BYTES, output_bytes);
        out.count(field::SLOW_OUTPUT_WRITES, output_writes);
        let [read_time, write_time] = costs.transfer_time;
        out.time(field::SLOW_INPUT_READ_TIME, read_time);
        out.time(field::SLOW_OUTPUT_WRITE_TIME, write_time);
        out.count(field::SLOW_STATUS, costs.status.into());
        let [user, system] = costs.cpu;
        out.time(field::SLOW_CPU_USER_TIME, user);
        out.time(field::SLOW_CPU_SYSTEM_TIME, system);
        out.count(field::SLOW_ACTIVE_AT_START, self.active_at_start);
        out.count(field::SLOW_ACTIVE_AT_COMPLETION, costs.active);
    }
}

#[cfg(test)]
mod tests {
    use super::super::datagram::tests::{Value, read};
    use super::*;
    use crate::wire::PairWriter;

    fn environ(entries: &[(Key, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = PairWriter::new(&mut out);
        entries.iter().for_each(|(key, value)| writer.known(*key, value.as_bytes()));
        out
    }

    fn text(bytes: &str) -> Value {
        Value::Bytes(bytes.as_bytes().to_vec())
    }

    #[test]
    fn a_request_that_runs_has_no_costs_yet() {
        let environ = environ(&[
            (Key::REQUEST_METHOD, "GET"),
            (Key::SERVER_NAME, "www.example.org"),
            (Key::SCRIPT_NAME, "/app"),
            (Key::PATH_INFO, "/late"),
            (Key::HTTP_USER_AGENT, "curl"),
            (Key::MOD_WSGI_SERVER_PID, "77"),
        ]);
        let slow = SlowRequest { environ, duration: 1_500_000, thread: 3, ..SlowRequest::default() };
        let found = read(&slow.encode(Header::default(), false));
        assert_eq!((&found[&200], &found[&202]), (&Value::U64(0), &Value::F64(1.5)));
        assert_eq!((&found[&203], &found[&205]), (&Value::U64(3), &Value::U64(77)));
        assert_eq!((&found[&210], &found[&211], &found[&212]), (&text("GET"), &text("http"), &text("www.example.org")));
        assert_eq!((&found[&213], &found[&214]), (&text("/app"), &text("/late")));
        assert_eq!((found.get(&204), found.get(&217)), (None, None));
        assert!([230, 231, 232, 233, 240, 261].iter().all(|id| found[id] == Value::U64(0)));
        assert!([234, 235, 250, 251].iter().all(|id| found[id] == Value::F64(0.0)));
        assert_eq!(read(&slow.encode(Header::default(), true))[&217], text("curl"));
    }

    #[test]
    fn what_a_proxy_or_a_rewrite_has_changed_is_told_as_it_was_first() {
        let environ = environ(&[
            (Key::SCRIPT_NAME, "/app"),
            (Key::PATH_INFO, "/a"),
            (Key::MOD_WSGI_SCRIPT_NAME, "/first"),
            (Key::MOD_WSGI_PATH_INFO, ""),
            (Key::HTTPS, "oN"),
        ]);
        let found = read(&SlowRequest { environ, ..SlowRequest::default() }.encode(Header::default(), true));
        assert_eq!((&found[&213], &found[&211]), (&text("/first"), &text("https")));
        assert_eq!(found.get(&214), None, "it is empty");
    }

    #[test]
    fn the_uri_stands_in_without_its_query() {
        let environ = environ(&[(Key::REQUEST_URI, "/a/b?secret=1")]);
        let found = read(&SlowRequest { environ, ..SlowRequest::default() }.encode(Header::default(), true));
        assert_eq!(found[&214], text("/a/b"));
    }

    #[test]
    fn there_is_room_for_as_many_records_as_an_interval_can_bring() {
        assert_eq!(records_kept(1, 1_000_000, 1_000_000), 32);
        assert_eq!(records_kept(15, 1_000_000, 500_000), 150);
        assert_eq!(records_kept(15, 1_000_000, 1), 4096);
    }
}
