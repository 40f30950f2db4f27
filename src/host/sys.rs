//! System calls that need `unsafe`, each behind a safe function. Nothing here knows Python.

pub mod apache;
pub mod board;
pub mod clock;
pub mod descriptors;
pub mod fork;
pub mod library;
pub mod locale;
pub mod native_stack;
pub mod signal_mask;
pub mod signals;
pub mod title;
pub mod usage;
