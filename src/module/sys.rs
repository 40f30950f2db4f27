//! The room around what is unsafe and not httpd's: system calls between fork and exec, shared memory, libraries loaded at run
//! time and the functions they call back. Everything else of the module sees safe functions. What systems do in different
//! ways is told apart here, and only here.

#![allow(unsafe_code)]

pub mod board;
pub mod bridge;
pub mod descriptors;
pub mod groups;
pub mod library;
pub mod mapped_file;
pub mod shared_file;
pub mod spawn;
pub mod stay;
pub mod wake;
