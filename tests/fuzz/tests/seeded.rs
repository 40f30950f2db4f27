//! The properties on valid inputs that a seeded generator has damaged: what every compiler can run, in a second.

use mod_wsgi_core::launch::{Launch, Message, Preload};
use mod_wsgi_core::wire::{
    Hello, Key, Kind, Ledger, LogLevel, LogRecord, Placed, RELOADING, Refusal, RequestHeadWriter, ResponseHeadWriter,
    Welcome, patch_length, put_frame, start_frame,
};
use mod_wsgi_fuzz as properties;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many damaged inputs are tried for each property.
const ROUNDS: u32 = 100_000;

/// A small generator of Marsaglia's (xorshift64*), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    fn damage(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut bytes = valid.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), self.below(256) as u8),
                2 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
                3 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.extend_from_slice(&valid[self.below(valid.len())..]),
            }
        }
        bytes
    }
}

fn tried_damaged(seed: u64, valid: &[Vec<u8>], property: fn(&[u8])) {
    let mut random = Random(seed);
    valid.iter().for_each(|bytes| property(bytes));
    for _ in 0..ROUNDS {
        let chosen = random.below(valid.len());
        property(&random.damage(&valid[chosen]));
    }
}

#[test]
fn damaged_frames_are_understood_or_refused() {
    let mut out = Vec::new();
    Hello::write(&mut out);
    Welcome { pid: 7, slot: 1 }.write(&mut out);
    LogRecord { level: LogLevel::Error, file: b"/app.py", line: 7, text: b"text" }.write(&mut out);
    Refusal { status: 503, retry: true, reason: b"why" }.write(&mut out);
    put_frame(&mut out, Kind::Data, 0, b"data");
    put_frame(&mut out, Kind::End, 0, b"");
    let at = start_frame(&mut out, Kind::Head, 0);
    ResponseHeadWriter::new(&mut out, 200, b"200 OK").header(b"Content-Type", b"text/plain");
    patch_length(&mut out, at);
    let writer = RequestHeadWriter {
        settings: RELOADING,
        log_level: 7,
        request_start: 1,
        read_at: 3,
        queue_start: 2,
        script: b"/s",
        callable: b"application",
        application_group: b"",
        request_line: b"GET / HTTP/1.1",
    };
    let mut request = Vec::new();
    writer.write(&mut request, true, |environ| {
        environ.known(Key::REQUEST_METHOD, b"GET");
        environ.named(b"MY_OWN", b"value");
    });
    tried_damaged(1, &[out, request], properties::wire_frames);
}

#[test]
fn damaged_launch_blocks_are_understood_or_refused() {
    let launch = Launch {
        process_group: b"site".to_vec(),
        python_path: vec![b"/a".to_vec()],
        preload: vec![Preload { script: b"/s".to_vec(), application_group: b"g".to_vec() }],
        hash_seed: Some(3),
        ..Launch::default()
    };
    tried_damaged(2, &[launch.encode(), Message::Launch(launch.encode()).encode()], properties::launch_block);
}

#[test]
fn damaged_arguments_are_accepted_or_refused() {
    let lines = [
        "site user=www-data threads=15 processes=2 display-name=%{GROUP} home=\"/srv/a b\"",
        "%{ENV:EX}/a//b%{RESOURCE}",
        "/app/x/app",
    ];
    let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
    tried_damaged(3, &lines, properties::directive_arguments);
}

#[test]
fn damaged_responses_pass_no_line_break() {
    let texts = ["200 OK", "Content-Type", "text/html; charset=utf-8", "12345"];
    let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    tried_damaged(4, &texts, properties::response_rules);
}

#[test]
fn damaged_traces_are_taken_or_begin_anew() {
    let texts = [
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ];
    let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    tried_damaged(6, &texts, properties::trace_context);
}

#[test]
fn a_board_that_a_daemon_has_written_at_will_is_read() {
    use mod_wsgi_core::board::{Doing, Event, Events, Interpreters, Seat};
    let words: Vec<_> = (0..Interpreters::WORDS).map(|_| AtomicU64::new(0)).collect();
    let written = || words.iter().flat_map(|word| word.swap(0, Ordering::Relaxed).to_ne_bytes()).collect::<Vec<u8>>();
    Seat(&words[..Seat::WORDS]).begin(7, b"GET / HTTP/1.1", Doing::Loading);
    let seat = written();
    let event = Event { time: 7, pid: 8, status: 500, request: b"GET /".to_vec(), text: b"ValueError".to_vec() };
    Events(&words[..Events::WORDS]).add(&event);
    let events = written();
    Interpreters(&words).count(b"site", 200, 7);
    let interpreters = written();
    if let Some(ledger) = Ledger::new(&words) {
        (0..40).for_each(|number| drop(ledger.tell(number, Placed { at: 4096, length: 16384 })));
    }
    let mut random = Random(7);
    for valid in [seat, events, interpreters, written()] {
        properties::board(&valid);
        // Large, so that fewer are enough.
        for _ in 0..ROUNDS / 100 {
            properties::board(&random.damage(&valid));
        }
    }
}

#[test]
fn damaged_proxy_headers_never_let_a_stranger_in() {
    let requests = [
        "\x01127.0.0.1\n1.1.1.1, 10.0.0.2\n2.2.2.2\nexample.org\nhttps\non\n/app",
        "\x0110.0.0.1\n1.1.1.1, 10.0.0.2\n\nexample.org\nhttps\n\n",
        "\x00::1\n1.1.1.1",
    ];
    let requests: Vec<_> = requests.iter().map(|request| request.as_bytes().to_vec()).collect();
    tried_damaged(5, &requests, properties::trusted_proxies);
}
