//! Daemon mode, seen from an Apache child: a request goes over a connection to one of the group's processes.
//!
//! Connections are kept and used again, the last one first, so that few daemon threads stay busy. A connection that the
//! daemon has closed meanwhile costs nothing: as long as the application cannot have seen the request, it is sent again
//! over another one.

mod connection;
mod exchange;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mod_wsgi_core::os_text::os_text;
use mod_wsgi_core::wire::{
    BODY_LAST, IGNORE_ACTIVITY, Kind, RELOADING, REQUEST_BODY_FOLLOWS, RequestHeadWriter, put_frame, set_attempts,
};

use crate::apache::body::{Body, Piece};
use crate::apache::log;
use crate::apache::request::Request;
use crate::clock::microseconds_now;
use crate::environ;
use crate::handler::{INTERNAL_ERROR, Resolved, Status, refuse};
use crate::reading;
use crate::seat::shown_line;
use crate::startup::{ClientGroup, Runtime};
use connection::{ConnectError, Connection};
use exchange::{Exchange, Outcome};

const UNAVAILABLE: Status = 503;

/// The most bytes of a body that go along with the head, if the client has sent them already.
const EAGER: usize = 64 * 1024;

/// How often a request is given to another process before the client hears that none takes it. Each time another
/// process, or another generation of them, has said that it takes no more requests.
const ROUNDS: u32 = 50;

/// Connections of this child to a group that are open and idle.
#[derive(Debug, Default)]
pub struct Pooled(Mutex<Vec<Connection>>);

/// How many idle connections a child keeps per group. More than a child has threads are never open at once.
const MOST_IDLE: usize = 256;

impl Pooled {
    /// Takes the connection that was used last. Where a group has several processes, its process must have a thread for
    /// the request; only if none has, any will do.
    fn take(&self, group: &ClientGroup) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let options = &group.definition().options;
        if options.processes.unwrap_or(1) == 1 {
            return idle.pop();
        }
        let board = group.board();
        let claimed = idle.iter_mut().rposition(|connection| connection.claim(board, options.threads));
        match claimed {
            Some(at) => Some(idle.remove(at)),
            None if board.has_free(options.threads) => None,
            None => idle.pop(),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }
}

/// Times that govern a request in a group.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// For all attempts to connect.
    connect: Duration,
    /// For one read or write between child and daemon; zero is no limit.
    socket: Duration,
    /// For one write to the client; zero leaves it at the server's.
    client: Duration,
    /// For more of a response before what is there is flushed.
    flush_delay: Duration,
    /// Bytes that may wait unflushed.
    flush_bytes: u64,
}

/// Runs a request in a daemon process.
pub fn serve(r: Request<'_>, runtime: &Runtime, resolved: &Resolved, has_body: bool) -> Result<i32, Status> {
    let group = find_group(r, runtime, resolved)?;
    check_owner(r, group)?;
    let options = &group.definition().options;
    let times = Times {
        connect: options.connect_timeout,
        socket: if options.socket_timeout.is_zero() {
            Duration::from_millis(r.server().timeout())
        } else {
            options.socket_timeout
        },
        client: if options.response_socket_timeout.is_zero() {
            options.socket_timeout
        } else {
            options.response_socket_timeout
        },
        flush_delay: options.response_flush_delay,
        flush_bytes: if options.response_buffer_size == 0 { 8 << 20 } else { options.response_buffer_size },
    };
    let mut request = encode(r, resolved, has_body);
    let begun = Instant::now();
    let mut full = 0;
    for round in 0..ROUNDS {
        let (connection, is_new) = match group.pooled.take(group) {
            Some(connection) => (connection, false),
            None => (connect(r, group, &times, begun, &mut full)?, true),
        };
        // `ROUNDS` fits.
        let restarts = round as u16;
        set_attempts(&mut request.bytes, full.saturating_add(restarts).saturating_add(1), restarts);
        match Exchange::new(r, group, connection, &times, resolved).run(&mut request) {
            Outcome::Answered(status, connection) => {
                if let Some(connection) = connection {
                    group.pooled.give_back(connection);
                }
                return Ok(status);
            }
            // Old connections of a process that has ended cost a try each, and no time.
            Outcome::NotTaken if is_new && round > 0 => std::thread::sleep(Duration::from_millis(20)),
            Outcome::NotTaken => {}
        }
    }
    let name = &options.name;
    Err(refuse(
        r,
        UNAVAILABLE,
        &format!("WSGI0124: no process of group '{name}' took the request: they were all being replaced"),
    ))
}

fn find_group<'t>(r: Request<'_>, runtime: &'t Runtime, resolved: &Resolved) -> Result<&'t ClientGroup, Status> {
    let name = String::from_utf8_lossy(&resolved.process_group);
    if !runtime.has_groups() {
        return Err(refuse(
            r,
            INTERNAL_ERROR,
            &format!("WSGI0150: the process group '{name}' is asked for, and no WSGIDaemonProcess defines any"),
        ));
    }
    let Some(group) = runtime.group(&resolved.process_group) else {
        return Err(refuse(
            r,
            INTERNAL_ERROR,
            &format!("WSGI0151: no WSGIDaemonProcess defines the process group '{name}'"),
        ));
    };
    let definition = group.definition();
    let is_ours = !definition.is_virtual
        || definition.server == r.server().identity()
        || definition.server_name.as_deref() == r.server().server_name();
    if !is_ours {
        return Err(refuse(
            r,
            INTERNAL_ERROR,
            &format!("WSGI0152: the process group '{name}' belongs to a virtual host with another ServerName"),
        ));
    }
    if definition.options.threads == 0 {
        return Err(refuse(
            r,
            INTERNAL_ERROR,
            &format!(
                "WSGI7081: the process group '{name}' has threads=0: it runs service scripts, and takes no requests"
            ),
        ));
    }
    Ok(group)
}

/// `script-user` and `script-group`: the script and its folder must belong to whom they name, and be safe from others.
fn check_owner(r: Request<'_>, group: &ClientGroup) -> Result<(), Status> {
    let script = os_text(r.filename().unwrap_or_default());
    match crate::identity::owner_fault(&group.definition().options, Path::new(&script)) {
        Some((number, text)) => Err(refuse(r, 403, &format!("{number}: {text}"))),
        None => Ok(()),
    }
}

/// The bytes of a request: its head, and what of the body is there already.
struct Encoded {
    bytes: Vec<u8>,
    /// Whether there is more of the body to be asked for.
    body_left: bool,
    /// Why no more of the body can be read, if that is known.
    body_failed: Option<String>,
}

fn encode(r: Request<'_>, resolved: &Resolved, has_body: bool) -> Encoded {
    let mut bytes = Vec::with_capacity(4096);
    let head = RequestHeadWriter {
        settings: u8::from(resolved.script_reloading) * RELOADING
            + u8::from(resolved.ignore_activity) * IGNORE_ACTIVITY,
        log_level: log::level_of_request(r),
        request_start: r.time(),
        read_at: reading::begun(r),
        queue_start: microseconds_now(),
        script: &resolved.script,
        callable: &resolved.callable,
        application_group: &resolved.application_group,
        request_line: shown_line(r),
    };
    head.write(&mut bytes, has_body, |out| environ::write(r, resolved, out));
    let mut encoded = Encoded { bytes, body_left: has_body, body_failed: None };
    if has_body && !r.expects_continue() {
        add_eager_body(r, resolved, &mut encoded);
    }
    encoded
}

/// Adds what the client has already sent of the body.
fn add_eager_body(r: Request<'_>, resolved: &Resolved, encoded: &mut Encoded) {
    let (mut body, mut piece) = (Body::new(r, &resolved.received), Vec::new());
    let mut last = false;
    while piece.len() < EAGER && !last {
        let room = EAGER - piece.len();
        match body.read(&mut piece, room, false) {
            Piece::More => {}
            Piece::Last => last = true,
            Piece::NotYet => break,
            // What is wrong is told when the application reads.
            Piece::Failed(reason) => {
                encoded.body_failed = Some(reason);
                break;
            }
        }
    }
    if piece.is_empty() && !last {
        return;
    }
    // A request frame begins with its kind and its flags.
    if let Some(flags) = encoded.bytes.get_mut(1) {
        *flags |= REQUEST_BODY_FOLLOWS;
    }
    put_frame(&mut encoded.bytes, Kind::Body, if last { BODY_LAST } else { 0 }, &piece);
    encoded.body_left = !last;
}

/// Connects to a process; `full` counts how often the queue of connections was full.
fn connect(
    r: Request<'_>,
    group: &ClientGroup,
    times: &Times,
    begun: Instant,
    full: &mut u16,
) -> Result<Connection, Status> {
    let name = &group.definition().options.name;
    loop {
        if group.board().is_hopeless() {
            return Err(refuse_hopeless(r, group));
        }
        match Connection::open(&group.socket, times.socket) {
            Ok(connection) => return Ok(connection),
            Err(ConnectError::Full) if begun.elapsed() < times.connect => {
                *full = full.saturating_add(1);
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(ConnectError::Full) => {
                let text = format!(
                    "WSGI0116: group '{name}' is overloaded: its listen queue ({} connections) was full for {} seconds; raise threads=, processes= or listen-backlog=",
                    group.definition().options.listen_backlog,
                    times.connect.as_secs()
                );
                return Err(refuse_for_now(r, &text));
            }
            Err(ConnectError::Failed(error)) => {
                let text = format!(
                    "WSGI0117: the socket '{}' of group '{name}' cannot be reached: {error}; Apache's children need it, and the folders it is in (WSGISocketPrefix); a reload makes one that is gone anew",
                    group.socket.display()
                );
                return Err(refuse_for_now(r, &text));
            }
        }
    }
}

fn refuse_hopeless(r: Request<'_>, group: &ClientGroup) -> Status {
    let name = &group.definition().options.name;
    let text = format!(
        "WSGI7063: no process of group '{name}' runs, since none could be started as {}: the reason stands in the server's error log (WSGI7051 to WSGI7056)",
        group.user()
    );
    refuse_for_now(r, &text)
}

/// 503, and when to come again.
fn refuse_for_now(r: Request<'_>, text: &str) -> Status {
    r.add_header(b"Retry-After", b"10", true);
    refuse(r, UNAVAILABLE, text)
}
