//! The datagram of every interval: what requests have cost since the one before.

use super::datagram::{Datagram, Header, Kind};
use super::fields as field;
use super::lifecycle::Identity;
use super::settings::Telemetry;
use crate::histogram::BUCKETS;

/// The most threads that are told one by one.
pub const SLOTS: usize = 128;

/// How many phases a request's time has: server, queue, daemon, application, request, wait for Python, input, output.
pub const PHASES: usize = 8;

/// Those there are in daemon mode only, by number.
const DAEMON_ONLY: [usize; 2] = [1, 2];

/// The times of one phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseFigures {
    /// Mean in seconds; 0 where no request has ended.
    pub mean: f64,
    /// The shortest and the longest in microseconds, if any was recorded.
    pub extremes: Option<(u64, u64)>,
    /// How many fell into each bucket.
    pub buckets: [u64; BUCKETS],
}

impl Default for PhaseFigures {
    fn default() -> Self {
        Self { mean: 0.0, extremes: None, buckets: [0; BUCKETS] }
    }
}

/// What one thread has done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slot {
    /// Requests that ended.
    pub completed: u64,
    /// How long it had requests, in microseconds.
    pub busy: u64,
    /// CPU time of its requests, in microseconds.
    pub cpu: u64,
    /// How long the request has lasted that it has now, in microseconds; 0 for none.
    pub elapsed: u64,
    /// The longest request that ended, in microseconds.
    pub longest: u64,
}

/// What requests have cost in a window of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Length of the window in seconds.
    pub period: f64,
    /// Requests that ended, also those that never got to an application.
    pub requests: u64,
    /// Requests that got through an application.
    pub completed: u64,
    /// Share of the threads that were busy.
    pub capacity: f64,
    /// CPU time in the program and in the system, in seconds for each second.
    pub cpu: [f64; 2],
    /// Memory that is resident, and the most that was, in bytes.
    pub memory: [u64; 2],
    /// Threads there may be, that there are, and that had requests.
    pub threads: [u64; 3],
    /// The phases in their order.
    pub phases: [PhaseFigures; PHASES],
    /// Bytes and reads of request bodies, bytes and writes of responses.
    pub transfer: [u64; 4],
    /// The threads by their numbers.
    pub slots: Vec<Slot>,
    /// Responses by the class of their status, from 1xx on.
    pub statuses: [u64; 5],
}

fn to_i32(value: u64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn seconds(microseconds: u64) -> f64 {
    super::datagram::seconds(microseconds)
}

/// Microseconds in seconds, to the millisecond.
fn to_the_millisecond(microseconds: u64) -> f64 {
    (microseconds / 1000) as f64 / 1e3
}

impl Sample {
    /// The datagram.
    #[must_use]
    pub fn encode(&self, header: Header, identity: &Identity, settings: &Telemetry) -> Datagram {
        let mut out = Datagram::new(Kind::Sample, header);
        identity.put(&mut out);
        out.amount(field::SAMPLE_PERIOD, self.period);
        out.time(field::TELEMETRY_INTERVAL, settings.interval);
        out.time(field::SLOW_REQUESTS_THRESHOLD, settings.slow_requests);
        out.count(field::REQUEST_COUNT, self.requests);
        out.amount(field::REQUEST_THROUGHPUT, self.requests as f64 / self.period);
        out.amount(field::CAPACITY_UTILIZATION, self.capacity);
        let [user, system] = self.cpu;
        out.amount(field::CPU_USER_UTILIZATION, user);
        out.amount(field::CPU_SYSTEM_UTILIZATION, system);
        out.amount(field::CPU_UTILIZATION, user + system);
        let [resident, most_resident] = self.memory;
        out.count(field::MEMORY_RSS, resident);
        out.count(field::MEMORY_MAX_RSS, most_resident);
        let [maximum, started, active] = self.threads;
        out.count(field::REQUEST_THREADS_MAXIMUM, maximum);
        out.count(field::REQUEST_THREADS_STARTED, started);
        out.count(field::REQUEST_THREADS_ACTIVE, active);
        self.put_phases(&mut out, identity.is_daemon());
        let [input_bytes, input_reads, output_bytes, output_writes] = self.transfer;
        out.count(field::INPUT_BYTES_TOTAL, input_bytes);
        out.count(field::INPUT_READS_TOTAL, input_reads);
        out.count(field::OUTPUT_BYTES_TOTAL, output_bytes);
        out.count(field::OUTPUT_WRITES_TOTAL, output_writes);
        self.put_slots(&mut out);
        (0..).zip(self.statuses).for_each(|(class, number)| out.count(field::STATUS_1XX_TOTAL.behind(class), number));
        out
    }

    fn put_phases(&self, out: &mut Datagram, is_daemon: bool) {
        for ((number, place), phase) in (0..PHASES).zip(0_u16..).zip(&self.phases) {
            let is_daemon_only = DAEMON_ONLY.contains(&number);
            if is_daemon_only && !is_daemon {
                continue;
            }
            if !is_daemon_only || self.completed > 0 {
                out.amount(field::PHASE_TIME.behind(place), phase.mean);
                out.counts(field::PHASE_BUCKETS.behind(place), phase.buckets.iter().copied().map(to_i32));
            }
            if let Some((least, most)) = phase.extremes {
                out.time(field::PHASE_MIN.behind(place), least);
                out.time(field::PHASE_MAX.behind(place), most);
            }
        }
    }

    fn put_slots(&self, out: &mut Datagram) {
        let slots = || self.slots.iter().take(SLOTS);
        out.counts(field::REQUEST_THREADS_COMPLETED, slots().map(|slot| to_i32(slot.completed)));
        out.amounts(field::REQUEST_THREADS_BUSY_TIME, slots().map(|slot| seconds(slot.busy)));
        out.amounts(field::REQUEST_THREADS_CPU_TIME, slots().map(|slot| seconds(slot.cpu)));
        out.amounts(field::REQUEST_THREADS_CURRENT_ELAPSED, slots().map(|slot| to_the_millisecond(slot.elapsed)));
        out.amounts(field::REQUEST_THREADS_MAX_DURATION, slots().map(|slot| to_the_millisecond(slot.longest)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::datagram::tests::{Value, read};
    use super::*;
    use std::collections::BTreeSet;

    fn ids(sample: &Sample, group: &str) -> BTreeSet<u16> {
        let identity = Identity { process_group: group.as_bytes().to_vec(), ..Identity::default() };
        read(&sample.encode(Header::default(), &identity, &Telemetry::default())).into_keys().collect()
    }

    fn idle() -> Sample {
        Sample { period: 1.0, slots: vec![Slot::default(); 3], ..Sample::default() }
    }

    fn busy() -> Sample {
        let phase = PhaseFigures { mean: 0.5, extremes: Some((1000, 2000)), ..PhaseFigures::default() };
        Sample { completed: 2, requests: 3, phases: [phase; PHASES], ..idle() }
    }

    #[test]
    fn a_daemon_that_is_idle_leaves_out_queue_daemon_and_extremes() {
        let found = ids(&idle(), "app");
        let phases: BTreeSet<u16> = found.iter().copied().filter(|id| (60..=97).contains(id)).collect();
        assert_eq!(phases, [60, 63, 64, 65, 66, 67, 90, 93, 94, 95, 96, 97].into());
        assert!(found.is_superset(&[10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 50, 51, 52].into()));
        assert!(found.is_superset(&[100, 101, 102, 103, 110, 111, 112, 113, 114, 120, 121, 122, 123, 124].into()));
    }

    #[test]
    fn a_daemon_that_is_busy_tells_all() {
        let found = ids(&busy(), "app");
        let phases: BTreeSet<u16> = found.into_iter().filter(|id| (60..=97).contains(id)).collect();
        let all: BTreeSet<u16> = [60, 70, 80, 90].into_iter().flat_map(|first| first..first + 8).collect();
        assert_eq!(phases, all);
    }

    #[test]
    fn embedded_mode_has_neither_queue_nor_daemon() {
        let found = ids(&busy(), "");
        assert!([61, 62, 71, 72, 81, 82, 91, 92, 6].iter().all(|id| !found.contains(id)));
        assert!([60, 70, 80, 90, 97].iter().all(|id| found.contains(id)));
    }

    #[test]
    fn numbers_have_their_units() {
        let slot = Slot { completed: 2, busy: 1_500_000, cpu: 250_000, elapsed: 1_234_567, longest: 2_999_999 };
        let sample = Sample { period: 2.0, cpu: [0.25, 0.5], slots: vec![slot], ..busy() };
        let settings = Telemetry { interval: 2_000_000, slow_requests: 500_000, ..Telemetry::default() };
        let found = read(&sample.encode(Header::default(), &Identity::default(), &settings));
        for (id, value) in [(10, 2.0), (11, 2.0), (12, 0.5), (21, 1.5), (32, 0.75), (70, 0.001), (80, 0.002)] {
            assert_eq!(found[&id], Value::F64(value), "{id}");
        }
        assert_eq!(found[&110], Value::I32s(vec![2]));
        for (id, value) in [(111, 1.5), (112, 0.25), (113, 1.234), (114, 2.999)] {
            assert_eq!(found[&id], Value::F64s(vec![value]), "{id}");
        }
        assert!(matches!(&found[&90], Value::I32s(buckets) if buckets.len() == 65));
    }

    #[test]
    fn the_largest_datagram_fits_into_8192_bytes() {
        let long = vec![b'x'; 500];
        let identity = Identity {
            mod_wsgi_version: long.clone(),
            python_version: long.clone(),
            apache_version: long.clone(),
            mpm_name: long.clone(),
            hostname: long.clone(),
            process_group: long,
            parent_pid: 1,
            switch_interval: 1.0,
        };
        let sample = Sample { slots: vec![Slot::default(); 500], ..busy() };
        let datagram = sample.encode(Header::default(), &identity, &Telemetry::default());
        assert!(datagram.bytes().len() < 8192, "{}", datagram.bytes().len());
        assert!(matches!(&read(&datagram)[&110], Value::I32s(slots) if slots.len() == SLOTS));
    }
}
