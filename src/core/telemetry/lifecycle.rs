//! Datagrams about the process: who it is, its begin and end, its garbage collector.

use super::datagram::{Datagram, Header, Kind};
use super::fields as field;

/// Who sends datagrams; read once, when the process is ready.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Identity {
    /// Version of this release.
    pub mod_wsgi_version: Vec<u8>,
    /// Such as `3.11.2`.
    pub python_version: Vec<u8>,
    /// Such as `Apache/2.4.62`.
    pub apache_version: Vec<u8>,
    /// Such as `event`.
    pub mpm_name: Vec<u8>,
    /// Name of the machine.
    pub hostname: Vec<u8>,
    /// Name of the daemon process group; empty in embedded mode.
    pub process_group: Vec<u8>,
    /// The Apache parent.
    pub parent_pid: u32,
    /// `sys.getswitchinterval()` of the main interpreter, in seconds.
    pub switch_interval: f64,
}

impl Identity {
    /// Whether the process is a daemon.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        !self.process_group.is_empty()
    }

    fn put_place(&self, out: &mut Datagram) {
        out.text(field::HOSTNAME, &self.hostname);
        out.text(field::PROCESS_GROUP, &self.process_group);
    }

    pub(super) fn put(&self, out: &mut Datagram) {
        out.text(field::MOD_WSGI_VERSION, &self.mod_wsgi_version);
        out.text(field::PYTHON_VERSION, &self.python_version);
        out.text(field::APACHE_VERSION, &self.apache_version);
        out.text(field::MPM_NAME, &self.mpm_name);
        self.put_place(out);
        out.count(field::PROCESS_PARENT_PID, self.parent_pid.into());
        if self.switch_interval > 0.0 {
            out.amount(field::SWITCH_INTERVAL, self.switch_interval);
        }
    }
}

/// The process takes requests.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a>(pub &'a Identity);

impl Started<'_> {
    /// The datagram.
    #[must_use]
    pub fn encode(&self, header: Header) -> Datagram {
        let mut out = Datagram::new(Kind::Started, header);
        self.0.put(&mut out);
        out
    }
}

/// It was decided that the process ends.
#[derive(Debug, Clone, Copy)]
pub struct Stopping<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// Why, as applications are told; empty in embedded mode.
    pub reason: &'a str,
    /// Requests that run then.
    pub active: u64,
}

impl Stopping<'_> {
    /// The datagram.
    #[must_use]
    pub fn encode(&self, header: Header) -> Datagram {
        let mut out = Datagram::new(Kind::Stopping, header);
        self.identity.put_place(&mut out);
        out.text(field::SHUTDOWN_REASON, self.reason.as_bytes());
        out.count(field::ACTIVE_REQUESTS_AT_DECISION, self.active);
        out
    }
}

/// The process ends; nothing comes after this.
#[derive(Debug, Clone, Copy)]
pub struct Stopped<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// Why, as applications are told; empty in embedded mode.
    pub reason: &'a str,
    /// Since it was ready, in microseconds.
    pub uptime: u64,
    /// Requests it has had.
    pub requests: u64,
    /// Requests that still run.
    pub active: u64,
    /// Whether it ends as it should, and not because its time is over.
    pub in_time: bool,
}

impl Stopped<'_> {
    /// The datagram.
    #[must_use]
    pub fn encode(&self, header: Header) -> Datagram {
        let mut out = Datagram::new(Kind::Stopped, header);
        self.identity.put_place(&mut out);
        out.text(field::SHUTDOWN_REASON, self.reason.as_bytes());
        out.time(field::PROCESS_UPTIME, self.uptime);
        out.count(field::LIFETIME_REQUEST_COUNT, self.requests);
        out.count(field::ACTIVE_REQUESTS_AT_EXIT, self.active);
        out.count(field::GRACEFUL_DRAIN, (self.in_time && self.active == 0).into());
        out
    }
}

/// What garbage collectors have done so far, by generation where there are three numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcSnapshot {
    /// `gc.get_count()`
    pub count: [u64; 3],
    /// `gc.get_threshold()`
    pub threshold: [u64; 3],
    /// `collections` of `gc.get_stats()`
    pub collections: [u64; 3],
    /// `collected` of `gc.get_stats()`
    pub collected: [u64; 3],
    /// `uncollectable` of `gc.get_stats()`
    pub uncollectable: [u64; 3],
    /// `gc.isenabled()`
    pub is_enabled: bool,
    /// `gc.get_freeze_count()`
    pub freeze_count: u64,
    /// Collections since the snapshot before that there was no room for.
    pub dropped: u64,
}

impl GcSnapshot {
    /// Adds what another interpreter of the process has done; its thresholds, and whether it is enabled, are its own.
    pub fn add(&mut self, other: &Self) {
        let lists = [
            (&mut self.count, &other.count),
            (&mut self.collections, &other.collections),
            (&mut self.collected, &other.collected),
            (&mut self.uncollectable, &other.uncollectable),
        ];
        for (sums, numbers) in lists {
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum = sum.saturating_add(*number));
        }
        self.freeze_count = self.freeze_count.saturating_add(other.freeze_count);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }

    /// The datagram.
    #[must_use]
    pub fn encode(&self, header: Header) -> Datagram {
        let mut out = Datagram::new(Kind::GcSnapshot, header);
        for (first, numbers) in [
            (field::GC_COUNT, self.count),
            (field::GC_THRESHOLD, self.threshold),
            (field::GC_COLLECTIONS, self.collections),
            (field::GC_COLLECTED, self.collected),
            (field::GC_UNCOLLECTABLE, self.uncollectable),
        ] {
            (0..).zip(numbers).for_each(|(generation, number)| out.count(first.behind(generation), number));
        }
        out.count(field::GC_IS_ENABLED, self.is_enabled.into());
        out.count(field::GC_FREEZE_COUNT, self.freeze_count);
        out.count(field::GC_DROPPED_EVENTS, self.dropped);
        out
    }
}

/// One garbage collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcEvent {
    /// When it began, in microseconds since the epoch.
    pub start: u64,
    /// How long it took, in microseconds.
    pub duration: u64,
    /// Which generation.
    pub generation: u64,
    /// Objects that were freed.
    pub collected: u64,
    /// Objects that could not be.
    pub uncollectable: u64,
}

impl GcEvent {
    /// The datagram.
    #[must_use]
    pub fn encode(&self, header: Header) -> Datagram {
        let mut out = Datagram::new(Kind::GcEvent, header);
        out.time(field::GC_EVENT_START_STAMP, self.start);
        out.time(field::GC_EVENT_DURATION, self.duration);
        out.count(field::GC_EVENT_GENERATION, self.generation);
        out.count(field::GC_EVENT_COLLECTED, self.collected);
        out.count(field::GC_EVENT_UNCOLLECTABLE, self.uncollectable);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::datagram::tests::{Value, read};
    use super::*;

    fn identity() -> Identity {
        Identity { hostname: b"web1".to_vec(), process_group: b"app".to_vec(), ..Identity::default() }
    }

    #[test]
    fn the_end_is_announced_as_the_reference_has_it() {
        let header = Header { pid: 4660, sequence: 7, stamp: 1_700_000_000_500_000 };
        let datagram = Stopping { identity: &identity(), reason: "graceful_signal", active: 2 }.encode(header);
        let expected = concat!(
            "57534749010600003412000007000000",
            "00002040fc54d941",
            "050004040077656231",
            "0600040300617070",
            "8200040f00677261636566756c5f7369676e616c",
            "8500010200000000000000"
        );
        let hex: String = datagram.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
        assert_eq!(datagram.bytes().len(), 72);
    }

    #[test]
    fn a_process_that_is_cut_off_did_not_drain() {
        let stopped = |active, in_time| {
            let identity = identity();
            let stopped = Stopped { identity: &identity, reason: "", uptime: 1_500_000, requests: 9, active, in_time };
            read(&stopped.encode(Header::default()))
        };
        let good = stopped(0, true);
        assert_eq!(good[&135], Value::U64(1));
        assert_eq!(good[&131], Value::F64(1.5));
        assert_eq!(good.get(&130), None, "embedded mode has no reason");
        assert_eq!(stopped(1, true)[&135], Value::U64(0));
        assert_eq!(stopped(0, false)[&135], Value::U64(0));
    }

    #[test]
    fn a_process_says_who_it_is() {
        let identity = Identity { switch_interval: 0.005, parent_pid: 7, ..identity() };
        let with = read(&Started(&identity).encode(Header::default()));
        assert_eq!(with.keys().copied().collect::<Vec<_>>(), [5, 6, 7, 13]);
        let without = Identity { switch_interval: 0.0, process_group: Vec::new(), ..identity };
        assert_eq!(read(&Started(&without).encode(Header::default())).keys().copied().collect::<Vec<_>>(), [5, 7]);
    }

    #[test]
    fn snapshots_of_interpreters_add_up() {
        let mut all =
            GcSnapshot { count: [1, 2, 3], threshold: [700, 10, 10], is_enabled: true, ..GcSnapshot::default() };
        all.add(&GcSnapshot { count: [10, 20, 30], threshold: [1, 1, 1], dropped: 4, ..GcSnapshot::default() });
        let read = read(&all.encode(Header::default()));
        assert_eq!(read.keys().copied().collect::<Vec<_>>(), (300..=317).collect::<Vec<_>>());
        assert_eq!((&read[&300], &read[&302], &read[&303]), (&Value::U64(11), &Value::U64(33), &Value::U64(700)));
        assert_eq!((&read[&315], &read[&317]), (&Value::U64(1), &Value::U64(4)));
    }
}
