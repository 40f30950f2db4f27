//! The room around what is unsafe and not httpd's: system calls between fork and exec, shared memory, libraries loaded at run
//! time and the functions they call back. Everything else of the module sees safe functions.

#![allow(unsafe_code)]

pub mod board;
pub mod bridge;
pub mod library;
pub mod spawn;
pub mod wake;
