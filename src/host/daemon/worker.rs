//! A thread of a daemon process: waits with the others, and does itself whatever it wakes for.

use super::connection::{Connection, Input, Unit};
use super::link::Link;
use super::reason::Reason;
use super::service::{self, LISTENER, STOP, Service};
use crate::application::exchange::Gone;
use crate::application::progress::Progress;
use crate::application::{Outcome, has_news, keep, metrics, run};
use crate::ignore;
use crate::log;
use crate::python::caught;
use crate::sys::{clock, socket};
use mod_wsgi_core::wire::{
    BODY_LAST, END_CLOSE, END_TRUNCATED, IGNORE_ACTIVITY, Kind, LogLevel, Refusal, RequestHead, Welcome,
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How long a request must have waited before it is looked whether anybody still wants it, in microseconds.
const WORTH_A_LOOK: u64 = 500_000;

/// Waits for events until the service stops; `number` is the number of this thread among those of the process, from 1.
pub fn work(service: &Service, number: u32) {
    let progress = Progress::of_this_thread(number, service.seat(number), Arc::clone(&service.roster));
    service.show(progress);
    // It is one that runs requests from now on, whether it gets one or not.
    metrics::be_thread(number);
    loop {
        progress.stand_by();
        let name = match service.poller.wait() {
            Ok(name) => name,
            Err(error) => {
                log::write(LogLevel::Crit, &format!("WSGI7016: a thread cannot wait for requests and ends: {error}"));
                progress.step_in();
                return;
            }
        };
        if name == STOP && service.is_stopping() {
            return;
        }
        let _busy = service.count_busy();
        // A thread outlives its faults, which are logged where they are caught.
        ignore(caught("a thread", || match name {
            STOP => {}
            LISTENER => accept(service, progress),
            name => {
                if let Some(connection) = service.take(name) {
                    look_at(service, progress, name, connection);
                }
            }
        }));
    }
}

/// Whether the other side may ask this process to run something: Apache's children, its own user, root.
fn is_welcome(service: &Service, socket: &OwnedFd) -> bool {
    let Ok(socket::Peer { user, process }) = socket::peer(socket) else { return false };
    let welcome =
        user == 0 || user == rustix::process::geteuid().as_raw() || service.interpreters.launch().peers.contains(&user);
    if !welcome {
        let text =
            format!("WSGI7017: a connection of user {user} (process {process}), who is not Apache's user, was closed");
        log::write(LogLevel::Warning, &text);
    }
    welcome
}

fn accept(service: &Service, progress: &'static Progress) {
    let Ok(socket) = socket::accept(&service.listener) else {
        // Another process of the group was faster, or the child is gone again.
        return;
    };
    if !is_welcome(service, &socket) {
        return;
    }
    let limit = service.interpreters.launch().socket_timeout;
    if limit > 0 {
        for timeout in [Timeout::Recv, Timeout::Send] {
            // A socket without a limit still works.
            ignore(set_socket_timeout(&socket, timeout, Some(Duration::from_millis(limit))));
        }
    }
    socket::widen(&socket, &service.listener);
    let name = service.reserve();
    // A child sends its request right behind its greeting, so that it is most likely there.
    look_at(service, progress, name, Connection::new(socket, Arc::clone(&service.windows)));
}

/// Reads what has come on a connection, runs the requests in it, and lets it wait for the next one.
fn look_at(service: &Service, progress: &'static Progress, name: u64, mut connection: Box<Connection>) {
    let mut input = connection.receive();
    loop {
        match connection.unit() {
            Ok(Unit::Incomplete) if input == Input::Open => return service.wait_for(name, connection),
            Ok(Unit::Incomplete) => return service.close(name, connection),
            Ok(Unit::Stranger) => {
                refuse_stranger(&mut connection);
                return service.close(name, connection);
            }
            Ok(Unit::Request { .. }) => {}
            Err(error) => {
                let text = format!("WSGI7018: a connection was closed that does not speak as Apache does: {error}");
                log::write(LogLevel::Warning, &text);
                return service.close(name, connection);
            }
        }
        let goes_on = caught("a connection", || serve(service, progress, &mut connection)).unwrap_or(false);
        if !goes_on {
            return service.close(name, connection);
        }
        if service.is_retiring() || !connection.input.is_empty() {
            input = connection.receive();
        }
    }
}

fn refuse_stranger(connection: &mut Connection) {
    const REASON: &str = "WSGI7019: Apache and the daemon process are of two releases of mod_wsgi: restart Apache";
    log::write(LogLevel::Error, REASON);
    if let Some(link) = &mut connection.link {
        link.refuse(Refusal { status: 503, retry: false, reason: REASON.as_bytes() });
        // The connection is closed in any case.
        ignore(link.flush());
    }
}

/// Whether a request that has waited so many microseconds has waited longer for a thread than it may.
fn is_too_old(service: &Service, waited: u64) -> bool {
    let limit = service.interpreters.launch().queue_timeout;
    limit > 0 && waited > limit.saturating_mul(1000)
}

/// Runs the request at the front of a connection; answers whether another one may follow.
fn serve(service: &Service, progress: &'static Progress, connection: &mut Connection) -> bool {
    let now = clock::microseconds();
    let Some(mut link) = connection.link.take() else { return false };
    if !link.is_welcomed() {
        let slot = service.interpreters.launch().slot;
        link.put_with(|out| Welcome { pid: std::process::id(), slot }.write(out));
    }
    let Ok(Unit::Request { head, has_body, claimed, first, length }) = connection.unit() else { return false };
    let load = service.count_load(claimed);
    link.begin(has_body, first, now.saturating_sub(head.queue_start), now);
    let waited = clock::uptime().saturating_sub(head.read_at);
    if is_too_old(service, waited) {
        let reason = "WSGI0084: the request waited longer than queue-timeout for a thread of the daemon process";
        return answer(service, progress, connection, link, length, |link, _| {
            link.refuse(Refusal { status: 504, retry: false, reason: reason.as_bytes() });
        });
    }
    let whole = !has_body || first.is_some_and(|(_, flags)| flags & BODY_LAST != 0);
    if !whole && service.is_retiring() {
        // The rest of the body cannot come any more: the connection may be closed for reading. Another process is asked.
        drop(load);
        return answer(service, progress, connection, link, length, |link, _| {
            link.refuse(Refusal { status: 503, retry: true, reason: b"" });
        });
    }
    let counts = head.settings & IGNORE_ACTIVITY == 0;
    if counts {
        service.note_activity();
    }
    if waited > WORTH_A_LOOK && link.is_closed() {
        // Whoever sent it has answered its client without us meanwhile: queue-timeout, socket-timeout, or a client that left.
        return false;
    }
    let Some((outcome, link)) = run_one(service, progress, link, &head, now) else { return false };
    if counts {
        service.note_activity();
    }
    if !matches!(outcome, Outcome::Changed(_)) {
        service.count_request();
    }
    // Before the last frame, so that the child finds this thread free for its next request.
    drop(load);
    answer(service, progress, connection, link, length, |link, closing| {
        let close = if closing { END_CLOSE } else { 0 };
        match outcome {
            Outcome::Complete | Outcome::Gone => link.put(Kind::End, close, b""),
            Outcome::Truncated => link.put(Kind::End, close | END_TRUNCATED, b""),
            Outcome::Failed(status) => link.refuse(Refusal { status, retry: false, reason: b"" }),
            Outcome::Changed(_) => link.refuse(Refusal { status: 503, retry: true, reason: b"" }),
        }
    })
}

/// Runs a request. Where its script has changed it waits for the process that has loaded the new one, and is not run here; where
/// there is none the script is run as it was. `None` where the connection is gone.
fn run_one(
    service: &Service,
    progress: &'static Progress,
    link: Box<Link>,
    head: &RequestHead<'_>,
    begun: u64,
) -> Option<(Outcome, Box<Link>)> {
    let mut link = link;
    loop {
        let (outcome, exchange) = run(service.interpreters, link, head, begun, Some(progress));
        service.request_ended(progress);
        link = exchange?.into_any().downcast::<Link>().ok()?;
        if has_news() {
            service.tell_news();
        }
        let Outcome::Changed(change) = outcome else { return Some((outcome, link)) };
        progress.step_in();
        let is_replaced = service.wait_for_successor(Reason::ScriptReload);
        progress.step_out();
        if is_replaced {
            return Some((outcome, link));
        }
        keep(head.script, change);
    }
}

/// Sends the last frame of a request and makes the connection ready for the next one.
fn answer(
    service: &Service,
    progress: &Progress,
    connection: &mut Connection,
    mut link: Box<Link>,
    length: usize,
    last: impl FnOnce(&mut Link, bool),
) -> bool {
    let closing = service.is_retiring();
    if closing {
        // Before the last frame, so that the child cannot send a request that nobody would read.
        service::close_input(link.socket.as_fd());
    }
    last(&mut link, closing);
    let sent = match link.try_flush() {
        Ok(true) => Ok(()),
        Ok(false) => {
            // For as long as Apache takes to read.
            progress.step_in();
            link.flush()
        }
        Err(gone) => Err(gone),
    };
    link.end();
    connection.input.drain(..length);
    // What one large request needed is not kept for small ones.
    if connection.input.is_empty() && connection.input.capacity() > 256 * 1024 {
        connection.input = Vec::with_capacity(8192);
    }
    let goes_on = sent != Err(Gone) && !link.is_broken();
    connection.link = Some(link);
    goes_on
}
