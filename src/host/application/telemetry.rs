//! Reports what this process does to the receiver of `WSGITelemetryService`, on a thread of its own.
//!
//! No request ever waits for it, nor does the end of the process: a datagram that the receiver has no room for is lost after a
//! moment, and what has to go into Python is the work of another thread. Source: mod_wsgi 6.1.1; what is in a datagram is in [`mod_wsgi_core::telemetry`].

pub mod collections;
mod collector;
mod identity;
mod reporter;
#[cfg(unix)]
mod sender;
#[cfg(not(unix))]
#[path = "telemetry/sender/nowhere.rs"]
mod sender;
pub mod slow;

pub use reporter::{cut_off, start, stopped, stopping};
