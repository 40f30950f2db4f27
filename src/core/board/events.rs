//! The last faults of a group: requests that it could not answer, and processes that ended of themselves.

use super::record::{self, Words};

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in microseconds since the epoch.
    pub time: u64,
    /// The process that it was seen in, or that has ended.
    pub pid: u32,
    /// The status of the request; 0 where it was none.
    pub status: u16,
    /// What was asked for; empty where it was no request.
    pub request: Vec<u8>,
    /// What the log has said, its last line.
    pub text: Vec<u8>,
}

/// A ring of [`Event`]s: how many there were, then a place for each of the last ones.
#[derive(Debug, Clone, Copy)]
pub struct Events<'b>(pub Words<'b>);

const KEPT: usize = 16;
const PLACE: usize = 96;
const TIME: usize = 1;
const WHO: usize = 2;
const REQUEST: usize = 3;
const TEXT: usize = REQUEST + 26;

impl Events<'_> {
    /// How many numbers it takes.
    pub const WORDS: usize = 8 + KEPT * PLACE;

    fn place(&self, number: u64) -> Words<'_> {
        // The remainder fits.
        let begin = 8 + (number % KEPT as u64) as usize * PLACE;
        self.0.get(begin..begin + PLACE).unwrap_or_default()
    }

    /// Adds one.
    pub fn add(&self, event: &Event) {
        let Some(count) = self.0.first() else { return };
        let place = self.place(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        record::try_write(place, || {
            record::set(place, TIME, event.time);
            record::set(place, WHO, u64::from(event.status) << 32 | u64::from(event.pid));
            record::set_text(place.get(REQUEST..TEXT).unwrap_or_default(), &event.request);
            record::set_text(place.get(TEXT..).unwrap_or_default(), &event.text);
        });
    }

    /// The last ones, the newest first.
    #[must_use]
    pub fn read(&self) -> Vec<Event> {
        let count = record::get(self.0, 0);
        let numbers = (count.saturating_sub(KEPT as u64)..count).rev();
        let read = |number| {
            let place = self.place(number);
            record::read(place, || {
                let who = record::get(place, WHO);
                Event {
                    time: record::get(place, TIME),
                    pid: who as u32,
                    status: (who >> 32) as u16,
                    request: record::get_text(place.get(REQUEST..TEXT).unwrap_or_default()),
                    text: record::get_text(place.get(TEXT..).unwrap_or_default()),
                }
            })
        };
        numbers.filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn the_last_events_are_kept_and_the_newest_comes_first() {
        let words = [const { AtomicU64::new(0) }; Events::WORDS];
        let events = Events(&words);
        assert_eq!(events.read(), []);
        let event = |time| Event {
            time,
            pid: 9,
            status: 500,
            request: b"GET /x HTTP/1.1".to_vec(),
            text: format!("ValueError: {time}").into_bytes(),
        };
        for time in 0..40 {
            events.add(&event(time));
        }
        assert_eq!(events.read(), (24..40).rev().map(event).collect::<Vec<_>>());
    }
}
