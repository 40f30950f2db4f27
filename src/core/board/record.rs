//! Records that one writes and others read, without a lock: a number that is odd while it is written stands in front.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Numbers on a board.
pub type Words<'b> = &'b [AtomicU64];

/// Reads a number; 0 where there is none.
pub fn get(words: Words<'_>, at: usize) -> u64 {
    words.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
}

/// Writes a number, if there is a place for it.
pub fn set(words: Words<'_>, at: usize, value: u64) {
    if let Some(word) = words.get(at) {
        word.store(value, Ordering::Relaxed);
    }
}

/// Adds to a number.
pub fn add(words: Words<'_>, at: usize, value: u64) {
    if let Some(word) = words.get(at) {
        word.fetch_add(value, Ordering::Relaxed);
    }
}

/// Writes a record that this thread alone writes, its first number excepted.
pub fn write(words: Words<'_>, fill: impl FnOnce()) {
    let Some(sequence) = words.first() else { return };
    // One that ended within its writing has left an odd number.
    let before = sequence.load(Ordering::Relaxed) & !1;
    sequence.store(before.wrapping_add(1), Ordering::Relaxed);
    fence(Ordering::Release);
    fill();
    sequence.store(before.wrapping_add(2), Ordering::Release);
}

/// Writes a record that others may write too; not at all where one does so now.
pub fn try_write(words: Words<'_>, fill: impl FnOnce()) {
    let Some(sequence) = words.first() else { return };
    let before = sequence.load(Ordering::Relaxed);
    let take = |odd| sequence.compare_exchange(before, odd, Ordering::Acquire, Ordering::Relaxed);
    if before & 1 == 0 && take(before.wrapping_add(1)).is_ok() {
        fence(Ordering::Release);
        fill();
        sequence.store(before.wrapping_add(2), Ordering::Release);
    }
}

/// Reads a record; `None` where it is written again and again meanwhile, or was never written.
pub fn read<R>(words: Words<'_>, look: impl Fn() -> R) -> Option<R> {
    let sequence = words.first()?;
    for _ in 0..100 {
        let before = sequence.load(Ordering::Acquire);
        if before == 0 {
            return None;
        }
        let seen = look();
        fence(Ordering::Acquire);
        if before & 1 == 0 && sequence.load(Ordering::Relaxed) == before {
            return Some(seen);
        }
        std::hint::spin_loop();
    }
    None
}

/// Writes text: its length, then its bytes, as many as there is room for.
pub fn set_text(words: Words<'_>, text: &[u8]) {
    let room = words.len().saturating_sub(1) * 8;
    let text = text.get(..room).unwrap_or(text);
    set(words, 0, text.len() as u64);
    for (at, part) in (1..).zip(text.chunks(8)) {
        let mut bytes = [0; 8];
        for (byte, of_text) in bytes.iter_mut().zip(part) {
            *byte = *of_text;
        }
        set(words, at, u64::from_ne_bytes(bytes));
    }
}

/// Reads text that [`set_text`] wrote.
pub fn get_text(words: Words<'_>) -> Vec<u8> {
    let length = usize::try_from(get(words, 0)).unwrap_or(usize::MAX);
    let used = words.iter().skip(1).take(length.div_ceil(8));
    let mut text: Vec<u8> = used.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<const N: usize>() -> [AtomicU64; N] {
        [const { AtomicU64::new(0) }; N]
    }

    #[test]
    fn text_comes_back_cut_to_the_room_there_is() {
        let words = words::<3>();
        for (text, kept) in [(&b""[..], &b""[..]), (b"GET /", b"GET /"), (b"0123456789abcdefg", b"0123456789abcdef")] {
            set_text(&words, text);
            assert_eq!(get_text(&words), kept);
        }
    }

    #[test]
    fn a_length_that_lies_reads_no_further_than_the_record() {
        let words = words::<2>();
        set(&words, 0, u64::MAX);
        assert_eq!(get_text(&words), [0; 8]);
    }

    #[test]
    fn a_record_that_is_being_written_is_not_read_and_one_that_others_write_is_left_alone() {
        let words = words::<2>();
        assert_eq!(read(&words, || ()), None, "never written");
        write(&words, || set(&words, 1, 5));
        assert_eq!(read(&words, || get(&words, 1)), Some(5));
        set(&words, 0, 3);
        assert_eq!(read(&words, || ()), None, "being written");
        try_write(&words, || panic!("written by two"));
        write(&words, || set(&words, 1, 6));
        assert_eq!(read(&words, || get(&words, 1)), Some(6), "its only writer began anew");
    }

    #[test]
    fn a_reader_never_sees_half_of_a_record() {
        let words = words::<9>();
        write(&words, || ());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..20_000 {
                    write(&words, || (1..9).for_each(|at| set(&words, at, round)));
                }
            });
            for _ in 0..20_000 {
                if let Some(seen) = read(&words, || (1..9).map(|at| get(&words, at)).collect::<Vec<_>>()) {
                    assert!(seen.iter().all(|value| *value == seen[0]), "{seen:?}");
                }
            }
        });
    }
}
