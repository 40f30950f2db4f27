//! System calls that need `unsafe`, each behind a safe function, and all that Linux, macOS and Windows do in different ways.
//! Nothing here knows Python.

pub mod apache;
#[cfg(unix)]
pub mod board;
pub mod clock;
pub mod descriptors;
#[cfg(unix)]
pub mod errno;
pub mod fork;
pub mod library;
#[cfg(unix)]
pub mod locale;
#[cfg(unix)]
pub mod native_stack;
#[cfg(unix)]
pub mod pipe;
#[cfg(unix)]
pub mod poller;
pub mod process;
#[cfg(unix)]
pub mod reopen;
#[cfg(unix)]
pub mod shared;
pub mod signal_mask;
#[cfg(unix)]
pub mod signals;
#[cfg(unix)]
pub mod socket;
#[cfg(unix)]
pub mod title;
pub mod usage;
#[cfg(unix)]
pub mod wakeup;
