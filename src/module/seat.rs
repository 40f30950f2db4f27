//! Where others see which request a thread of httpd runs in embedded mode.

use std::cell::RefCell;
use std::sync::Arc;

use mod_wsgi_core::board::{Doing, Seat};

use crate::apache::request::Request;
use crate::clock::microseconds_now;
use crate::sys::board::Board;
use crate::sys::process::is_there;

/// The seat of a thread, until the thread ends.
struct Held {
    board: Arc<Board>,
    number: usize,
}

impl Held {
    /// Takes a free seat; `None` where there is none.
    fn claim(board: &Arc<Board>, process: u32) -> Option<Self> {
        let now = microseconds_now();
        let number = board.shared_seats()?.iter().position(|seat| seat.claim(process, is_there, now))?;
        Some(Self { board: Arc::clone(board), number })
    }

    fn seat(&self) -> Option<Seat<'_>> {
        self.board.shared_seats()?.iter().nth(self.number)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(seat) = self.seat() {
            seat.leave();
        }
    }
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// A request that others see as long as this is there.
pub struct Seated;

impl Seated {
    /// Shows a request of this thread.
    pub fn take(board: &Arc<Board>, r: Request<'_>, process: u32) -> Self {
        on_the_seat(|held| {
            if held.is_none() {
                *held = Held::claim(board, process);
            }
            if let Some(seat) = held.as_ref().and_then(Held::seat) {
                seat.begin(microseconds_now(), shown_line(r), Doing::Application);
            }
        });
        Self
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        on_the_seat(|held| {
            if let Some(seat) = held.as_ref().and_then(Held::seat) {
                seat.end(microseconds_now());
            }
        });
    }
}

fn on_the_seat(act: impl FnOnce(&mut Option<Held>)) {
    // A thread that ends has no seat any more, and a request within a request has that of the outer one.
    HELD.try_with(|held| held.try_borrow_mut().map(|mut held| act(&mut held)).ok()).ok();
}

/// What others see of a request: its line, or the begin of it.
#[must_use]
pub fn shown_line(r: Request<'_>) -> &[u8] {
    let line = r.request_line().unwrap_or_default();
    line.get(..Seat::LONGEST).unwrap_or(line)
}
