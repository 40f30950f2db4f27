//! What must hold for any bytes at all. The fuzz targets and the seeded test call the same functions.

use mod_wsgi_core::board::{Events, Exemplars, Interpreters, Listed, Seat};
use mod_wsgi_core::launch::{Launch, Message};
use mod_wsgi_core::scoreboard::Scoreboard;
use mod_wsgi_core::trace_context::TraceParent;
use mod_wsgi_core::trusted_proxy::{Effects, Header, Network, Rules};
use mod_wsgi_core::wire::{
    FilePart, Frame, Hello, Kind, Ledger, LogRecord, Refusal, RequestHead, ResponseHead, WINDOW_ROOM, Welcome,
    put_frame,
};
use mod_wsgi_core::{alias, daemon_options, directive, group_name, response_rules, telemetry};
use std::sync::atomic::AtomicU64;

/// Any bytes are taken apart into frames, or refused, without a panic; and a frame that was understood is written again
/// as it was.
pub fn wire_frames(mut data: &[u8]) {
    while let Ok(Some((frame, taken))) = Frame::split(data) {
        let mut again = Vec::new();
        put_frame(&mut again, frame.kind, frame.flags, frame.payload);
        assert_eq!(again, &data[..taken]);
        read_payload(frame);
        data = &data[taken..];
    }
}

fn read_payload(frame: Frame<'_>) {
    match frame.kind {
        Kind::Hello => drop(Hello::decode(frame.payload)),
        Kind::Welcome => drop(Welcome::decode(frame.payload)),
        Kind::Request => {
            if let Ok(head) = RequestHead::decode(frame.payload) {
                for (name, value) in head.environ.flatten() {
                    assert!(name.text().len() + value.len() <= frame.payload.len() + 64);
                }
            }
        }
        Kind::Head => {
            if let Ok(head) = ResponseHead::decode(frame.payload) {
                for (name, value) in head.headers.flatten() {
                    assert!(name.len() + value.len() <= frame.payload.len());
                }
            }
        }
        Kind::Log => drop(LogRecord::decode(frame.payload)),
        Kind::Refuse => {
            if let Ok(refusal) = Refusal::decode(frame.payload) {
                assert!((400..600).contains(&refusal.status));
            }
        }
        Kind::File => drop(FilePart::decode(frame.payload)),
        Kind::Scoreboard => {
            if let Ok(board) = Scoreboard::decode(frame.payload) {
                assert_eq!(Scoreboard::decode(&board.encode()), Ok(board));
            }
        }
        Kind::Body | Kind::Data | Kind::End | Kind::Want | Kind::AskScoreboard => {}
        Kind::Window | Kind::Placed | Kind::Room => {}
    }
}

/// Any bytes are a launch block or refused; one that is understood is written again as it was understood.
pub fn launch_block(data: &[u8]) {
    if let Ok(launch) = Launch::decode(data) {
        assert_eq!(Launch::decode(&launch.encode()), Ok(launch));
    }
    if let Ok(Some((message, taken))) = Message::split(data) {
        assert!(taken <= data.len());
        drop(message.encode());
    }
}

/// Any text is the arguments of a directive or refused; what is accepted is within its range.
pub fn directive_arguments(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(options) = daemon_options::DaemonOptions::parse(text) {
        assert!(options.threads <= daemon_options::MOST_THREADS);
        assert!(options.processes.is_none_or(|processes| processes > 0));
        assert!(!options.name.is_empty());
    }
    let mut telemetry = telemetry::settings::Directives::EMPTY;
    drop((telemetry.set_service(text), telemetry.set_slow_requests(text), telemetry.set_options(text)));
    if let Some(settings) = telemetry.settings() {
        assert!(settings.interval >= 500_000);
        assert!(settings.path.starts_with(b"/") && settings.path.len() < 108);
    }
    assert!(directive::Words::new(text).count() <= text.len() + 1);
    drop(directive::on_off("X", text));
    struct Fixed;
    impl group_name::Facts for Fixed {
        fn server(&self) -> Vec<u8> {
            b"s".to_vec()
        }
        fn host(&self) -> Vec<u8> {
            b"h".to_vec()
        }
        fn script_name(&self) -> Vec<u8> {
            b"/n".to_vec()
        }
        fn env(&self, name: &[u8]) -> Option<Vec<u8>> {
            name.strip_prefix(b"E").map(<[u8]>::to_vec)
        }
    }
    drop(group_name::expand(data, &Fixed));
    drop(group_name::callable(data, &Fixed));
    let half = data.len() / 2;
    let (path, prefix) = data.split_at(half);
    if let Some(length) = alias::matched_length(path, prefix) {
        assert!(length <= path.len());
        assert!(alias::file_name(path, length, prefix, b"/t").starts_with(b"/t"));
    }
}

/// Whatever a client claims in its headers: a peer that is no known proxy changes nothing, what was removed was not applied,
/// and an application sees at most one header of each kind that is configured.
pub fn trusted_proxies(data: &[u8]) {
    const NAMES: [&str; 6] =
        ["X-Forwarded-For", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-SSL", "X-Script-Name"];
    let Some((choice, rest)) = data.split_first() else { return };
    let values: Vec<&[u8]> = rest.splitn(NAMES.len() + 1, |byte| *byte == b'\n').collect();
    let (peer, values) = values.split_first().map_or((&[][..], &[][..]), |(peer, values)| (*peer, values));
    let headers: Vec<Header> = NAMES.iter().filter_map(|name| Header::named(name)).collect();
    let proxies =
        (choice & 1 != 0).then(|| vec![Network::parse("10.0.0.0/8").unwrap(), Network::parse("::1").unwrap()]);
    let rules = Rules { headers: headers.clone(), proxies };
    let sent = |header: Header| {
        let at = NAMES.iter().position(|name| *name == header.name())?;
        values.get(at).copied().filter(|value| !value.is_empty())
    };
    let effects = rules.apply(peer, sent);
    let address = std::str::from_utf8(peer).ok().and_then(|text| text.parse::<std::net::IpAddr>().ok());
    let is_known = address.is_some_and(|address| match address {
        std::net::IpAddr::V4(address) => address.octets()[0] == 10,
        std::net::IpAddr::V6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.octets()[0] == 10)
        }
    });
    if rules.proxies.is_some() && !is_known {
        let nothing = Effects { removed: effects.removed.clone(), ..Effects::default() };
        assert_eq!(effects, nothing);
        assert!(headers.iter().all(|header| effects.removed.contains(header)));
    }
    assert!(!(effects.removes(b"X-Forwarded-For") && effects.forwarded_for.is_some() && effects.removes(b"X-Real-IP")));
    if let Ok(text) = std::str::from_utf8(rest) {
        drop(Network::parse(text));
    }
}

/// No status line and no header that passes the rules can carry a line break.
pub fn response_rules(data: &[u8]) {
    let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if let Ok(code) = response_rules::status_code(data) {
        assert!(code < 1000 && !breaks(data));
    }
    if response_rules::header_name(data).is_ok() {
        assert!(!data.is_empty() && !breaks(data) && !data.contains(&b' '));
    }
    if response_rules::header_value(data).is_ok() {
        assert!(!breaks(data));
    }
    if let Ok(length) = response_rules::content_length(data) {
        assert_eq!(std::str::from_utf8(data).ok().and_then(|text| text.parse().ok()), Some(length));
    }
}

/// Any header is a trace or none; one that is taken is written again as a valid one of the same trace.
pub fn trace_context(data: &[u8]) {
    if let Some(parent) = TraceParent::parse(data) {
        assert!(parent.trace != 0 && parent.span != 0);
        assert_eq!(TraceParent::parse(parent.to_string().as_bytes()), Some(parent));
    }
}

/// Whatever stands on a board, which daemons can write to as they like, is read without a panic, and in the bounds of its
/// record.
pub fn board(data: &[u8]) {
    let word = |bytes: &[u8]| {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        AtomicU64::new(u64::from_ne_bytes(whole))
    };
    let words: Vec<_> = data.chunks(8).map(word).collect();
    for seat in Seat::all(&words).filter_map(Seat::read) {
        assert!(seat.request.len() <= Seat::LONGEST);
    }
    for event in Events(&words).read() {
        assert!(event.request.len() + event.text.len() <= Events::WORDS * 8);
    }
    for interpreter in Interpreters(&words).read() {
        assert!(interpreter.name.len() <= Interpreters::LONGEST);
    }
    for bucket in 0..20 {
        std::hint::black_box(Exemplars(&words).get(bucket));
    }
    std::hint::black_box(Listed::read(&words));
    // The ledger of a window is memory that a daemon writes, too.
    for piece in Ledger::new(&words).iter().flat_map(|ledger| (0..300).map(|number| ledger.piece(number))) {
        if let Ok(Some(placed)) = piece {
            assert!(placed.length > 0 && u64::from(placed.at) + u64::from(placed.length) <= u64::from(WINDOW_ROOM));
        }
    }
    Interpreters(&words).count(b"a name", 200, 1);
}
