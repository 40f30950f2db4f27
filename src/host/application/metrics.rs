//! What the requests of this process have cost.
//!
//! Each thread counts for itself, in numbers that nobody else writes; who asks for figures adds them up and subtracts what was
//! there when somebody asked before. So requests wait for nobody. Names, units and buckets are those of mod_wsgi 6.1.1.

mod record;
mod report;
mod sample;
mod server;
mod thread;
mod window;

pub use record::{PHASES, Phase, Sample};
pub use report::{process_metrics, request_metrics};
pub use sample::{lifetime, sample};
pub use server::server_metrics;
pub use thread::{Bracket, be_thread, record, this_thread};
pub use window::{arm, is_armed, note_ready};
