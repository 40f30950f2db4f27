//! The buckets of the histograms of times: four for each doubling.
//!
//! Source: mod_wsgi 6.1.1. Bucket 0 is everything below 1.25 ms, bucket 64 everything from 65536 ms on; in between a time of
//! `m` ms is in the bucket `4·o + q`, `o` being how often 1 ms can be doubled, and `q` how many quarters of the next
//! doubling are reached. A time on a boundary is in the upper one of its two buckets.

/// How many there are.
pub const BUCKETS: usize = 65;

/// The bucket of a time in microseconds.
#[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The upper bounds in ms, as the C module's reference lists them.
    const BOUNDS: [f64; BUCKETS - 1] = [
        1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 24.0, 28.0, 32.0,
        40.0, 48.0, 56.0, 64.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 224.0, 256.0, 320.0, 384.0, 448.0, 512.0,
        640.0, 768.0, 896.0, 1024.0, 1280.0, 1536.0, 1792.0, 2048.0, 2560.0, 3072.0, 3584.0, 4096.0, 5120.0, 6144.0,
        7168.0, 8192.0, 10240.0, 12288.0, 14336.0, 16384.0, 20480.0, 24576.0, 28672.0, 32768.0, 40960.0, 49152.0,
        57344.0, 65536.0,
    ];

    #[test]
    fn a_bound_belongs_to_the_bucket_above_it() {
        for (index, bound) in BOUNDS.into_iter().enumerate() {
            let microseconds = (bound * 1000.0) as u64;
            assert_eq!((bucket(microseconds - 1), bucket(microseconds)), (index, index + 1), "{bound} ms");
        }
    }

    #[test]
    fn the_ends_are_open() {
        assert_eq!((bucket(0), bucket(999), bucket(u64::MAX)), (0, 0, BUCKETS - 1));
    }
}
