//! What is counted of each interpreter of a group.

use super::record::{self, Words};
use std::sync::atomic::Ordering;

/// An interpreter, and what was counted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its application group; empty is the main one.
    pub name: Vec<u8>,
    /// Requests by the class of their status, 1xx first.
    pub statuses: [u64; 5],
    /// How long they have taken, in microseconds.
    pub time: u64,
}

/// A table of interpreters. The first request of each takes a row.
#[derive(Debug, Clone, Copy)]
pub struct Interpreters<'b>(pub Words<'b>);

const ROWS: usize = 64;
const ROW: usize = 32;
const TAKEN: usize = 0;
const STATUSES: usize = 1;
const TIME: usize = STATUSES + 5;
const NAME: usize = TIME + 1;
const FREE: u64 = 0;
const BEING_NAMED: u64 = 1;
const NAMED: u64 = 2;

fn is_named(row: Words<'_>, name: &[u8]) -> bool {
    let words = row.get(NAME..).unwrap_or_default();
    if record::get(words, 0) != name.len() as u64 {
        return false;
    }
    name.chunks(8).zip(words.iter().skip(1)).all(|(part, word)| {
        let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        bytes.get(..part.len()) == Some(part)
    })
}

impl<'b> Interpreters<'b> {
    /// How many numbers it takes.
    pub const WORDS: usize = ROWS * ROW;
    /// The longest name there is room for, in bytes; longer ones are cut.
    pub const LONGEST: usize = (ROW - NAME - 1) * 8;

    fn rows(self) -> impl Iterator<Item = Words<'b>> {
        self.0.chunks_exact(ROW)
    }

    fn row(self, name: &[u8]) -> Option<Words<'b>> {
        for row in self.rows() {
            let taken = row.get(TAKEN)?;
            match taken.compare_exchange(FREE, BEING_NAMED, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => {
                    record::set_text(row.get(NAME..).unwrap_or_default(), name);
                    taken.store(NAMED, Ordering::Release);
                    return Some(row);
                }
                Err(NAMED) if is_named(row, name) => return Some(row),
                // Of another name, or being named by somebody who may have ended: another row is found.
                Err(_) => {}
            }
        }
        None
    }

    /// Counts a request of an interpreter. Where the table is full it is counted nowhere.
    pub fn count(self, name: &[u8], status: u16, time: u64) {
        let name = name.get(..Self::LONGEST).unwrap_or(name);
        let Some(row) = self.row(name) else { return };
        if let class @ 1..=5 = usize::from(status / 100) {
            record::add(row, STATUSES + class - 1, 1);
        }
        record::add(row, TIME, time);
    }

    /// What was counted of each. An interpreter that two children met first at the same time may have had two rows.
    #[must_use]
    pub fn read(self) -> Vec<Interpreter> {
        let mut all: Vec<Interpreter> = Vec::new();
        for row in self.rows().filter(|row| row.first().is_some_and(|taken| taken.load(Ordering::Acquire) == NAMED)) {
            let name = record::get_text(row.get(NAME..).unwrap_or_default());
            let statuses: [u64; 5] = std::array::from_fn(|class| record::get(row, STATUSES + class));
            let time = record::get(row, TIME);
            match all.iter_mut().find(|known| known.name == name) {
                Some(known) => {
                    known.statuses.iter_mut().zip(statuses).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
                    known.time = known.time.wrapping_add(time);
                }
                None => all.push(Interpreter { name, statuses, time }),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn each_interpreter_has_counts_of_its_own() {
        let words: Vec<_> = (0..Interpreters::WORDS).map(|_| AtomicU64::new(0)).collect();
        let table = Interpreters(&words);
        table.count(b"", 200, 5);
        table.count(b"site|/app", 200, 5);
        table.count(b"site|/app", 404, 7);
        table.count(&[b'x'; 500], 500, 1);
        let read = table.read();
        assert_eq!(read[0], Interpreter { name: Vec::new(), statuses: [0, 1, 0, 0, 0], time: 5 });
        assert_eq!(read[1], Interpreter { name: b"site|/app".to_vec(), statuses: [0, 1, 0, 1, 0], time: 12 });
        assert_eq!(read[2].name.len(), Interpreters::LONGEST);
        for number in 0..100 {
            table.count(format!("group {number}").as_bytes(), 200, 1);
        }
        assert_eq!(table.read().len(), ROWS);
    }
}
