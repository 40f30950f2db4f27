//! Runs WSGI applications, in the way both modes share: from the head of a request to the last byte of its response.
//!
//! What carries a request is behind [`exchange::Exchange`]; interpreters, scripts and the objects an application sees are
//! here. Source: PEP 3333.

pub mod events;
pub mod exchange;
pub mod interpreters;
pub mod metrics;

mod adapter;
mod advice;
mod call;
mod entries;
mod environ;
mod failure;
mod file_wrapper;
mod input;
mod members;
mod observe;
mod output;
mod preload;
pub mod progress;
mod request;
mod response;
pub mod roster;
mod run;
mod script;
#[cfg(unix)]
mod send_file;
#[cfg(not(unix))]
#[path = "application/send_file/never.rs"]
mod send_file;
mod set_up;
mod spare;
mod state;
pub mod telemetry;

pub use call::call;
pub use preload::preload;
pub use run::{Outcome, run};
pub use script::{has_loaded, has_news, keep, take_loaded};
