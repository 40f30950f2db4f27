//! Environ entries on the wire: name and value, the name by number where both sides know it.

use super::keys::{Key, key_for};
use super::{Reader, WireError, put_bytes};

/// Appends environ entries to a buffer.
#[derive(Debug)]
pub struct PairWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> PairWriter<'b> {
    /// Appends to `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends an entry whose name both sides know by number.
    pub fn known(&mut self, key: Key, value: &[u8]) {
        self.out.push(key.number());
        put_bytes(self.out, value);
    }

    /// Appends an entry with any name; by number if it has one.
    pub fn named(&mut self, name: &[u8], value: &[u8]) {
        match key_for(name) {
            Some(key) => self.known(key, value),
            None => {
                self.out.push(0);
                put_bytes(self.out, name);
                put_bytes(self.out, value);
            }
        }
    }
}

/// Name and value of an environ entry; the name as number or as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// A name both sides know.
    Known(Key),
    /// Any other name.
    Other(&'a [u8]),
}

impl<'a> Name<'a> {
    /// The name as text.
    #[must_use]
    pub fn text(self) -> &'a [u8] {
        match self {
            Self::Known(key) => super::key_name(key).as_bytes(),
            Self::Other(text) => text,
        }
    }
}

/// Reads environ entries; ends with the payload.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    reader: Reader<'a>,
}

impl<'a> Pairs<'a> {
    /// Reads entries from `payload`.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload) }
    }

    /// The bytes that are not read yet.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.reader.rest()
    }

    fn entry(&mut self) -> Result<(Name<'a>, &'a [u8]), WireError> {
        let name = match self.reader.u8()? {
            0 => Name::Other(self.reader.bytes()?),
            number => Name::Known(Key::from_number(number).ok_or(WireError::BadValue("number of an environ key"))?),
        };
        Ok((name, self.reader.bytes()?))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(Name<'a>, &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_order_whether_their_name_has_a_number_or_not() {
        let mut out = Vec::new();
        let mut writer = PairWriter::new(&mut out);
        writer.named(b"REQUEST_METHOD", b"GET");
        writer.named(b"MY_OWN", b"\xff");
        let read: Vec<_> =
            Pairs::new(&out).map(|entry| entry.map(|(name, value)| (name.text(), value)).unwrap()).collect();
        assert_eq!(read, [(&b"REQUEST_METHOD"[..], &b"GET"[..]), (b"MY_OWN", b"\xff")]);
    }

    #[test]
    fn a_cut_entry_is_an_error_and_then_the_end() {
        let mut out = Vec::new();
        PairWriter::new(&mut out).named(b"MY_OWN", b"value");
        let mut pairs = Pairs::new(&out[..out.len() - 1]);
        assert_eq!(pairs.next(), Some(Err(WireError::Truncated)));
        assert_eq!(pairs.next(), None);
    }
}
