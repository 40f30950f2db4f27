//! What a process tells the receiver of `WSGITelemetryService`: datagrams of named figures, as `mod_wsgi-telemetry` reads them.
//!
//! Source: the wire format of mod_wsgi 6.1.1, version 1.

pub mod datagram;
pub mod fields;
pub mod lifecycle;
pub mod sample;
pub mod settings;
pub mod slow;

pub use datagram::{Datagram, Header, Kind};
pub use lifecycle::{GcEvent, GcSnapshot, Identity, Started, Stopped, Stopping};
pub use sample::{PhaseFigures, Sample, Slot};
pub use settings::Telemetry;
pub use slow::{Costs, SlowRequest, records_kept};
