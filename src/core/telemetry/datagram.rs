//! The bytes of a datagram: a header of 24 bytes, then fields with their numbers and types. All numbers are little-endian.

use super::fields::{Amount, Amounts, Count, Counts, Text};

/// What a datagram tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What requests have cost since the datagram of this kind before.
    Sample = 2,
    /// A request that runs, or has run, for long.
    SlowRequest = 4,
    /// The process takes requests.
    Started = 5,
    /// The process is to end.
    Stopping = 6,
    /// The process ends now.
    Stopped = 7,
    /// What the garbage collector has done so far.
    GcSnapshot = 8,
    /// One garbage collection.
    GcEvent = 9,
}

/// What every datagram begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The process that sends it.
    pub pid: u32,
    /// Number of the datagram among all of its process, from 1.
    pub sequence: u32,
    /// In microseconds since the epoch.
    pub stamp: u64,
}

/// The version of the format.
const VERSION: u8 = 1;

/// The types of values.
const U64: u8 = 1;
const F64: u8 = 2;
const BYTES: u8 = 4;
const I32_ARRAY: u8 = 5;
const F64_ARRAY: u8 = 6;

/// A datagram in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram(Vec<u8>);

/// Microseconds, in seconds.
#[must_use]
pub fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

impl Datagram {
    /// One without fields.
    #[must_use]
    pub fn new(kind: Kind, header: Header) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(b"WSGI");
        bytes.extend_from_slice(&[VERSION, kind as u8, 0, 0]);
        bytes.extend_from_slice(&header.pid.to_le_bytes());
        bytes.extend_from_slice(&header.sequence.to_le_bytes());
        bytes.extend_from_slice(&seconds(header.stamp).to_le_bytes());
        Self(bytes)
    }

    fn begin(&mut self, field: u16, tag: u8) {
        self.0.extend_from_slice(&field.to_le_bytes());
        self.0.push(tag);
    }

    fn put_length(&mut self, length: usize) {
        // Texts have limits, and lists as many elements as there are buckets or slots.
        self.0.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    }

    /// Adds a count.
    pub fn count(&mut self, field: Count, value: u64) {
        self.begin(field.0, U64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds an amount.
    pub fn amount(&mut self, field: Amount, value: f64) {
        self.begin(field.0, F64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds microseconds, told in seconds.
    pub fn time(&mut self, field: Amount, microseconds: u64) {
        self.amount(field, seconds(microseconds));
    }

    /// Adds a text, cut to its limit; an empty one is left out.
    pub fn text(&mut self, field: Text, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        self.begin(field.id, BYTES);
        let (kept, dots): (&[u8], &[u8]) = match value.get(..field.limit) {
            Some(kept) if value.len() > field.limit && field.has_dots => {
                (kept.get(..field.limit.saturating_sub(3)).unwrap_or_default(), b"...")
            }
            Some(kept) => (kept, b""),
            None => (value, b""),
        };
        self.put_length(kept.len() + dots.len());
        self.0.extend_from_slice(kept);
        self.0.extend_from_slice(dots);
    }

    /// Adds a list of counts.
    pub fn counts(&mut self, field: Counts, values: impl ExactSizeIterator<Item = i32>) {
        self.begin(field.0, I32_ARRAY);
        self.put_length(values.len());
        values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
    }

    /// Adds a list of amounts.
    pub fn amounts(&mut self, field: Amounts, values: impl ExactSizeIterator<Item = f64>) {
        self.begin(field.0, F64_ARRAY);
        self.put_length(values.len());
        values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fields;
    use super::*;
    use std::collections::BTreeMap;

    /// A value as it is read back.
    #[derive(Debug, Clone, PartialEq)]
    pub enum Value {
        U64(u64),
        F64(f64),
        Bytes(Vec<u8>),
        I32s(Vec<i32>),
        F64s(Vec<f64>),
    }

    /// Reads the fields of a datagram.
    pub fn read(datagram: &Datagram) -> BTreeMap<u16, Value> {
        let mut rest = &datagram.bytes()[24..];
        let mut found = BTreeMap::new();
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at(length);
            rest = left;
            taken.to_vec()
        };
        let total = datagram.bytes().len() - 24;
        let mut read = 0;
        while read < total {
            let head = take(3);
            let id = u16::from_le_bytes([head[0], head[1]]);
            let mut length = || u16::from_le_bytes(take(2).try_into().unwrap()) as usize;
            let (value, used) = match head[2] {
                U64 => (Value::U64(u64::from_le_bytes(take(8).try_into().unwrap())), 8),
                F64 => (Value::F64(f64::from_le_bytes(take(8).try_into().unwrap())), 8),
                BYTES => {
                    let length = length();
                    (Value::Bytes(take(length)), 2 + length)
                }
                I32_ARRAY => {
                    let length = length();
                    let bytes = take(4 * length);
                    let values = bytes.chunks(4).map(|chunk| i32::from_le_bytes(chunk.try_into().unwrap()));
                    (Value::I32s(values.collect()), 2 + 4 * length)
                }
                F64_ARRAY => {
                    let length = length();
                    let bytes = take(8 * length);
                    let values = bytes.chunks(8).map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap()));
                    (Value::F64s(values.collect()), 2 + 8 * length)
                }
                other => panic!("tag {other}"),
            };
            read += 3 + used;
            assert_eq!(found.insert(id, value), None, "field {id} is there twice");
        }
        found
    }

    #[test]
    fn lists_are_encoded_as_the_reference_has_them() {
        let mut datagram = Datagram::new(Kind::Sample, Header::default());
        datagram.counts(fields::REQUEST_THREADS_COMPLETED, [1, -1].into_iter());
        datagram.amounts(fields::REQUEST_THREADS_BUSY_TIME, [0.5, 2.0].into_iter());
        let expected = "6e0005020001000000ffffffff6f00060200000000000000e03f0000000000000040";
        let hex: String = datagram.bytes()[24..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn an_empty_text_is_left_out() {
        let mut datagram = Datagram::new(Kind::Stopped, Header::default());
        datagram.text(fields::SHUTDOWN_REASON, b"");
        assert_eq!(datagram.bytes().len(), 24);
    }

    #[test]
    fn a_long_text_is_cut_to_its_limit() {
        let mut datagram = Datagram::new(Kind::SlowRequest, Header::default());
        datagram.text(fields::SLOW_PATH_INFO, &[b'p'; 512]);
        datagram.text(fields::SLOW_METHOD, &[b'm'; 15]);
        datagram.text(fields::MPM_NAME, &[b'n'; 40]);
        let read = read(&datagram);
        let dotted = [&[b'p'; 508][..], b"..."].concat();
        assert_eq!(read[&214], Value::Bytes(dotted), "a text of a request shows that it is cut");
        assert_eq!(read[&210], Value::Bytes(vec![b'm'; 15]));
        assert_eq!(read[&4], Value::Bytes(vec![b'n'; 31]));
    }
}
