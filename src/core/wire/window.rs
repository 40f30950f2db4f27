//! Memory that a daemon process shares with Apache, for response bodies.
//!
//! The daemon makes it, sealed so that nobody can take any of it away, and lends it to a response with [`Kind::Window`]. From then on to
//! its last frame, the response's pieces are put there and told of in the [`Ledger`] at its begin; no frame says so. Before a child
//! does what a frame says, it sends the pieces which it has been told of by then, so that they keep their place among the frames.
//!
//! Either side sleeps on the socket, and has said so in the ledger before: [`Kind::Placed`] wakes the child when there are pieces,
//! [`Kind::Room`] the daemon when there is room again. While both are busy nobody makes a system call for a piece.

use std::sync::atomic::{AtomicU64, Ordering};

use super::WireError;
#[cfg(doc)]
use super::frame::Kind;

/// How many bytes of the body there is room for.
pub const WINDOW_ROOM: u32 = 256 * 1024;

/// Where that room begins, in bytes; the ledger is before it.
pub const WINDOW_BEGIN: u32 = 4096;

/// How long the whole of it is, in bytes.
pub const WINDOW_SIZE: u32 = WINDOW_BEGIN + WINDOW_ROOM;

/// A piece of the body in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Where it begins, in bytes from the begin of the room.
    pub at: u32,
    /// How long it is, in bytes.
    pub length: u32,
}

impl Placed {
    fn encode(self) -> u64 {
        u64::from(self.at) << 32 | u64::from(self.length)
    }

    /// [`WireError::BadValue`] for a piece that is empty or not inside of the window.
    fn decode(word: u64) -> Result<Self, WireError> {
        // Either half of a word.
        let placed = Self { at: (word >> 32) as u32, length: word as u32 };
        let end = placed.at.checked_add(placed.length).filter(|end| *end <= WINDOW_ROOM && *end > placed.at);
        end.map(|_| placed).ok_or(WireError::BadValue("place of a piece"))
    }
}

/// How many pieces can be told of that the child is not done with.
pub const MOST_PIECES: u64 = 256;

/// What both sides tell each other without a system call: the words at the begin of a window, each on a line of the processor's
/// caches of its own, in the machine's byte order. Numbers of pieces count from the making of the window on.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'m> {
    /// How many pieces the daemon has told of.
    told: &'m AtomicU64,
    /// How many of them the child is done with.
    done: &'m AtomicU64,
    /// Whether the child waits to be told of more.
    listens: &'m AtomicU64,
    /// Whether the daemon waits until the child is done with more.
    waits: &'m AtomicU64,
    /// Whether a child may look at the window: from the begin of a response until it has seen its end.
    lent: &'m AtomicU64,
    /// Where the pieces are.
    places: &'m [AtomicU64],
}

/// Words between two numbers of the ledger.
const LINE: usize = 8;
const PLACES: usize = 5 * LINE;

impl<'m> Ledger<'m> {
    /// The words of a ledger.
    pub const WORDS: usize = PLACES + MOST_PIECES as usize;

    /// The ledger in the words at the begin of a window; `None` where there are less than [`Ledger::WORDS`].
    #[must_use]
    pub fn new(words: &'m [AtomicU64]) -> Option<Self> {
        Some(Self {
            told: words.first()?,
            done: words.get(LINE)?,
            listens: words.get(2 * LINE)?,
            waits: words.get(3 * LINE)?,
            lent: words.get(4 * LINE)?,
            places: words.get(PLACES..Self::WORDS)?,
        })
    }

    fn place(&self, number: u64) -> Option<&'m AtomicU64> {
        self.places.get((number % MOST_PIECES) as usize)
    }

    /// The daemon begins to use the window, which nobody has, for a response.
    pub fn lend(&self) {
        self.listens.store(0, Ordering::Relaxed);
        self.waits.store(0, Ordering::Relaxed);
        self.lent.store(1, Ordering::Relaxed);
    }

    /// Whether a child may look at the window.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Acquire) != 0
    }

    /// The child has seen the end of the response, and looks at the window no more.
    pub fn release(&self) {
        self.lent.store(0, Ordering::Release);
    }

    /// The daemon tells of its piece with that number; it knows that the child is done with all but the latest [`MOST_PIECES`] pieces
    /// or fewer. Answers whether the child has to be woken.
    pub fn tell(&self, number: u64, placed: Placed) -> bool {
        if let Some(place) = self.place(number) {
            place.store(placed.encode(), Ordering::Relaxed);
        }
        // Sequentially consistent, as in `listen`: of the two, one sees what the other has done.
        self.told.store(number + 1, Ordering::SeqCst);
        self.listens.load(Ordering::SeqCst) != 0 && self.listens.swap(0, Ordering::SeqCst) != 0
    }

    /// How many pieces the child is done with.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// The daemon is going to wait until the child is done with more than `done` pieces. `false` where it is already, and need not
    /// be waited for.
    #[must_use]
    pub fn wait(&self, done: u64) -> bool {
        self.waits.store(1, Ordering::SeqCst);
        // Where the child has seen it meanwhile, word of it is under way and has to be taken.
        self.done() == done || self.waits.swap(0, Ordering::SeqCst) == 0
    }

    /// The piece with that number, which the child has not had; `None` where it has not been told of yet.
    ///
    /// # Errors
    /// [`WireError::BadValue`] where the ledger makes no sense.
    pub fn piece(&self, number: u64) -> Result<Option<Placed>, WireError> {
        match self.told.load(Ordering::SeqCst).wrapping_sub(number) {
            0 => Ok(None),
            1..=MOST_PIECES => {
                let word = self.place(number).map_or(0, |place| place.load(Ordering::Relaxed));
                Placed::decode(word).map(Some)
            }
            _ => Err(WireError::BadValue("number of pieces in a window")),
        }
    }

    /// The child is going to wait to be told of the piece with that number. `false` where it has been already.
    #[must_use]
    pub fn listen(&self, number: u64) -> bool {
        self.listens.store(1, Ordering::SeqCst);
        self.told.load(Ordering::SeqCst) == number
    }

    /// The child goes in the middle of a response, and has closed the connection: the daemon is to send a frame with its next piece,
    /// which fails.
    pub fn abandon(&self) {
        self.listens.store(1, Ordering::SeqCst);
    }

    /// The child is done with all pieces before the one with that number. Answers whether the daemon has to be woken.
    #[must_use]
    pub fn finish(&self, number: u64) -> bool {
        self.done.store(number, Ordering::SeqCst);
        self.waits.load(Ordering::SeqCst) != 0 && self.waits.swap(0, Ordering::SeqCst) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn words() -> Vec<AtomicU64> {
        (0..Ledger::WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn the_ledger_has_room_before_the_pieces() {
        const { assert!(Ledger::WORDS * 8 <= WINDOW_BEGIN as usize) };
        assert!(Ledger::new(&words()[1..]).is_none());
    }

    #[test]
    fn a_piece_comes_back_as_it_was_told() {
        let words = words();
        let ledger = Ledger::new(&words).unwrap();
        let pieces = [Placed { at: 0, length: WINDOW_ROOM }, Placed { at: WINDOW_ROOM - 1, length: 1 }];
        for (number, piece) in (0..).zip(pieces) {
            assert_eq!(ledger.piece(number), Ok(None));
            assert!(!ledger.tell(number, piece));
            assert_eq!(ledger.piece(number), Ok(Some(piece)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let words = words();
        let ledger = Ledger::new(&words).unwrap();
        for (at, length) in [(0, 0), (0, WINDOW_ROOM + 1), (WINDOW_ROOM, 1), (u32::MAX, 2), (1, u32::MAX)] {
            ledger.tell(0, Placed { at, length });
            assert_eq!(ledger.piece(0), Err(WireError::BadValue("place of a piece")));
        }
        ledger.tell(0, Placed { at: 0, length: 1 });
        for number in [2, u64::MAX - MOST_PIECES] {
            assert_eq!(ledger.piece(number), Err(WireError::BadValue("number of pieces in a window")));
        }
    }

    #[test]
    fn each_side_is_woken_once_when_it_waits() {
        let words = words();
        let ledger = Ledger::new(&words).unwrap();
        let piece = Placed { at: 0, length: 1 };
        assert!(ledger.listen(0));
        assert!(ledger.tell(0, piece));
        assert!(!ledger.tell(1, piece));
        assert!(!ledger.listen(1), "it has been told already");
        assert!(ledger.wait(0));
        assert!(ledger.finish(1));
        assert!(!ledger.finish(2));
        assert!(!ledger.wait(1), "it is done already");
    }

    #[test]
    fn a_window_is_lent_until_it_is_released() {
        let words = words();
        let ledger = Ledger::new(&words).unwrap();
        assert!(!ledger.is_lent());
        ledger.lend();
        assert!(ledger.is_lent());
        ledger.release();
        assert!(!ledger.is_lent());
    }

    /// Whoever sleeps without being woken hangs, and the test with it.
    #[test]
    fn nobody_sleeps_for_ever() {
        const COUNT: u64 = 20_000;
        let words = words();
        let ledger = Ledger::new(&words).unwrap();
        ledger.lend();
        let (wake_child, child_wakes) = channel();
        let (wake_daemon, daemon_wakes) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..COUNT {
                    while number - ledger.done() >= 8 {
                        if ledger.wait(number - 8) {
                            daemon_wakes.recv().unwrap();
                        }
                    }
                    let length = 1 + (number % 1000) as u32;
                    if ledger.tell(number, Placed { at: 0, length }) {
                        wake_child.send(()).unwrap();
                    }
                }
            });
            for number in 0..COUNT {
                let piece = loop {
                    if let Some(piece) = ledger.piece(number).unwrap() {
                        break piece;
                    }
                    if ledger.listen(number) {
                        child_wakes.recv().unwrap();
                    }
                };
                assert_eq!(u64::from(piece.length), 1 + number % 1000);
                if ledger.finish(number + 1) {
                    // The daemon may have told of everything and gone.
                    wake_daemon.send(()).ok();
                }
            }
        });
    }
}
