//! The room around what is unsafe and not httpd's: system calls between fork and exec, shared memory, libraries loaded at run
//! time and the functions they call back. Everything else of the module sees safe functions. What systems do in different
//! ways is told apart here, and only here.

#![allow(unsafe_code)]

pub mod board;
pub mod bridge;
pub mod bytes;
#[cfg(unix)]
pub mod descriptors;
#[cfg(unix)]
pub mod groups;
pub mod itself;
pub mod library;
#[cfg(unix)]
pub mod mapped_file;
pub mod memory;
pub mod process;
#[cfg(unix)]
pub mod shared_file;
#[cfg(unix)]
pub mod spawn;
#[cfg(unix)]
pub mod wake;
#[cfg(unix)]
pub mod window;
