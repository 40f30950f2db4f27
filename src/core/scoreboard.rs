//! httpd's scoreboard, as an application may see it: what each process and each thread of the server is doing.
//!
//! Source: httpd's scoreboard.h. Times are in microseconds since the epoch, 0 where there was none.

use crate::launch::{Item, Value, value_of_fields};
use crate::wire::{Reader, WireError};

/// The scoreboard at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scoreboard {
    /// `ServerLimit`.
    pub server_limit: u32,
    /// `ThreadLimit`.
    pub thread_limit: u32,
    /// The generation of children that serve.
    pub generation: u32,
    /// When httpd was started, or its configuration read again.
    pub restart_time: u64,
    /// A place for each process there can be.
    pub processes: Vec<Process>,
}

/// A place for a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Its process id, 0 where there is none.
    pub pid: u32,
    /// Its generation.
    pub generation: u32,
    /// Whether it finishes and takes nothing more.
    pub quiescing: bool,
    /// Its threads, without those at the end that never were.
    pub workers: Vec<Worker>,
}

/// A place for a thread.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worker {
    /// The thread's number in its process.
    pub thread_num: u32,
    /// The generation of its process.
    pub generation: u32,
    /// What it does, an index into [`STATUS`].
    pub status: u8,
    /// Requests in this place so far.
    pub access_count: u64,
    /// Bytes sent in this place so far.
    pub bytes_served: u64,
    /// When the request began.
    pub start_time: u64,
    /// When the request ended.
    pub stop_time: u64,
    /// When the place was last used.
    pub last_used: u64,
    /// The client.
    pub client: Vec<u8>,
    /// The begin of the request line.
    pub request: Vec<u8>,
    /// The virtual host.
    pub vhost: Vec<u8>,
}

/// A letter for each status, as mod_status has them, but `.` for a place without a thread.
pub const STATUS: &str = ".S_RWKLDCGI";

value_of_fields! { Scoreboard { server_limit, thread_limit, generation, restart_time, processes, } }
value_of_fields! { Process { pid, generation, quiescing, workers, } }
value_of_fields! { Worker {
    thread_num, generation, status, access_count, bytes_served, start_time, stop_time, last_used, client, request, vhost,
} }
impl Item for Process {}
impl Item for Worker {}

impl Scoreboard {
    /// The bytes of it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Decodes [`Scoreboard::encode`]'s bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        Self::take(&mut Reader::new(payload))
    }
}

impl Worker {
    /// The letter for what it does.
    #[must_use]
    pub fn letter(&self) -> &'static str {
        let at = usize::from(self.status);
        STATUS.get(at..=at).unwrap_or(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scoreboard_comes_back_as_it_was_encoded() {
        let worker = Worker { status: 4, request: b"GET / HTTP/1.1".to_vec(), ..Worker::default() };
        let process = Process { pid: 7, quiescing: true, workers: vec![worker], ..Process::default() };
        let board =
            Scoreboard { server_limit: 2, processes: vec![process, Process::default()], ..Scoreboard::default() };
        assert_eq!(Scoreboard::decode(&board.encode()), Ok(board));
    }

    #[test]
    fn a_cut_scoreboard_is_refused() {
        let board = Scoreboard { processes: vec![Process::default()], ..Scoreboard::default() }.encode();
        for cut in 0..board.len() {
            assert_eq!(Scoreboard::decode(&board[..cut]), Err(WireError::Truncated), "cut at {cut}");
        }
    }

    #[test]
    fn a_status_is_a_letter_and_an_unknown_one_a_place_without_a_thread() {
        let letters: Vec<_> = (0..12).map(|status| Worker { status, ..Worker::default() }.letter()).collect();
        assert_eq!(letters.concat(), ".S_RWKLDCGI.");
    }
}
