//! httpd's scoreboard, which every child shares with the parent: read, never written.
//!
//! Only what every httpd 2.4 has at the same place in its structures is looked at: pointers to entries are asked of httpd,
//! because later releases have made the entries longer.

use std::ffi::c_char;

use mod_wsgi_core::scoreboard::{Process, Scoreboard, Worker};

use super::ffi;

/// A field of an entry in memory that other processes write meanwhile.
macro_rules! shared {
    ($entry:expr, $field:ident) => {
        // SAFETY: the entry is live, see where it comes from; a torn value is a wrong number for a moment, nothing worse.
        unsafe { (&raw const (*$entry).$field).read_volatile() }
    };
}

/// The scoreboard now; `None` where this httpd has none.
#[must_use]
pub fn read() -> Option<Scoreboard> {
    // SAFETY: httpd makes the scoreboard before there are children, and it stays until they have ended.
    let global = unsafe {
        if ffi::ap_exists_scoreboard_image() == 0 {
            return None;
        }
        ffi::ap_get_scoreboard_global()
    };
    if global.is_null() {
        return None;
    }
    let (servers, threads) = (shared!(global, server_limit), shared!(global, thread_limit));
    Some(Scoreboard {
        server_limit: number(servers),
        thread_limit: number(threads),
        generation: number(shared!(global, running_generation)),
        restart_time: time(shared!(global, restart_time)),
        processes: (0..servers).map(|at| process(at, threads)).collect(),
    })
}

fn number(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// A count of C's, which is shorter on Windows.
fn count(number: impl Into<u64>) -> u64 {
    number.into()
}

/// A time of APR's, in microseconds since the epoch.
fn time(time: ffi::apr_time_t) -> u64 {
    u64::try_from(time).unwrap_or_default()
}

fn process(at: i32, threads: i32) -> Process {
    // SAFETY: the place is below `server_limit`; the answer is null or an entry of shared memory.
    let score = unsafe { ffi::ap_get_scoreboard_process(at) };
    if score.is_null() {
        return Process::default();
    }
    let mut workers: Vec<_> = (0..threads).map(|thread| worker(at, thread)).collect();
    let used = workers.iter().rposition(|worker| *worker != Worker::default()).map_or(0, |last| last + 1);
    workers.truncate(used);
    Process {
        pid: number(shared!(score, pid)),
        generation: number(shared!(score, generation)),
        quiescing: shared!(score, quiescing) != 0,
        workers,
    }
}

fn worker(process: i32, thread: i32) -> Worker {
    // SAFETY: both places are below their limits; the answer is null or an entry of shared memory.
    let score = unsafe { ffi::ap_get_scoreboard_worker_from_indexes(process, thread) };
    if score.is_null() {
        return Worker::default();
    }
    Worker {
        thread_num: number(shared!(score, thread_num)),
        generation: number(shared!(score, generation)),
        status: shared!(score, status),
        access_count: count(shared!(score, access_count)),
        bytes_served: u64::try_from(shared!(score, bytes_served)).unwrap_or_default(),
        start_time: time(shared!(score, start_time)),
        stop_time: time(shared!(score, stop_time)),
        last_used: time(shared!(score, last_used)),
        client: text(&shared!(score, client)),
        request: text(&shared!(score, request)),
        vhost: text(&shared!(score, vhost)),
    }
}

/// A text in a field of fixed length; another process may be writing it, so its end need not be there.
fn text(field: &[c_char]) -> Vec<u8> {
    field.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect()
}
