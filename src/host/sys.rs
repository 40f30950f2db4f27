//! System calls that need `unsafe`, each behind a safe function, and all that Linux and macOS do in different ways. Nothing here
//! knows Python.

pub mod apache;
pub mod board;
pub mod clock;
pub mod descriptors;
pub mod errno;
pub mod fork;
pub mod library;
pub mod locale;
pub mod native_stack;
pub mod pipe;
pub mod poller;
pub mod reopen;
pub mod signal_mask;
pub mod signals;
pub mod socket;
pub mod title;
pub mod usage;
pub mod wakeup;
