//! The buckets of the histograms: four for each doubling of the time.
//!
//! Source: mod_wsgi 6.1.1. Bucket 0 is everything below 1.25 ms, bucket 64 everything from 65536 ms on; in between a time of
//! `m` ms is in the bucket `4·o + q`, `o` being how often 1 ms can be doubled, and `q` how many quarters of the next
//! doubling are reached.

/// How many there are.
pub const BUCKETS: usize = 65;

/// The bucket of a time in microseconds.
pub fn bucket(microseconds: u64) -> usize {
    const FIRST: u64 = 1000;
    const BEYOND: u64 = 65536 * 1000;
    match microseconds {
        ..FIRST => 0,
        BEYOND.. => BUCKETS - 1,
        _ => {
            let octave = (microseconds / 1000).ilog2() as usize;
            let quarter = (microseconds * 4 / (1000 << octave)).saturating_sub(4) as usize;
            octave * 4 + quarter
        }
    }
}
