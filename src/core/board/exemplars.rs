//! A request for each bucket of a histogram: which trace it belongs to.

use super::record::{self, Words};

/// How many buckets have one.
pub const EXEMPLAR_BUCKETS: usize = 16;

/// The request that was seen last in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// The id of its trace.
    pub trace: u128,
    /// How long it took, in microseconds.
    pub value: u64,
    /// When it ended, in microseconds since the epoch.
    pub time: u64,
}

/// An [`Exemplar`] for each bucket.
#[derive(Debug, Clone, Copy)]
pub struct Exemplars<'b>(pub Words<'b>);

const PLACE: usize = 5;

impl Exemplars<'_> {
    /// How many numbers it takes.
    pub const WORDS: usize = EXEMPLAR_BUCKETS * PLACE;

    fn place(&self, bucket: usize) -> Words<'_> {
        self.0.get(bucket * PLACE..(bucket + 1) * PLACE).unwrap_or_default()
    }

    /// Replaces that of a bucket.
    pub fn put(&self, bucket: usize, exemplar: Exemplar) {
        let place = self.place(bucket);
        record::try_write(place, || {
            // The two halves of the number.
            record::set(place, 1, (exemplar.trace >> 64) as u64);
            record::set(place, 2, exemplar.trace as u64);
            record::set(place, 3, exemplar.value);
            record::set(place, 4, exemplar.time);
        });
    }

    /// That of a bucket, if it has one.
    #[must_use]
    pub fn get(&self, bucket: usize) -> Option<Exemplar> {
        let place = self.place(bucket);
        record::read(place, || Exemplar {
            trace: u128::from(record::get(place, 1)) << 64 | u128::from(record::get(place, 2)),
            value: record::get(place, 3),
            time: record::get(place, 4),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_bucket_keeps_its_last_exemplar() {
        let words = [const { AtomicU64::new(0) }; Exemplars::WORDS];
        let exemplars = Exemplars(&words);
        assert_eq!(exemplars.get(3), None);
        let last = Exemplar { trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, value: 1500, time: 9 };
        exemplars.put(3, Exemplar { value: 1, ..last });
        exemplars.put(3, last);
        assert_eq!((exemplars.get(3), exemplars.get(2)), (Some(last), None));
    }
}
