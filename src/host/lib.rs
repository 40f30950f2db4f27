//! `mod_wsgi_host`: runs WSGI applications in one CPython version.
//!
//! As the extension module `mod_wsgi_host` it makes a `python3` a daemon process ([`daemon`]); loaded by `mod_wsgi.so`
//! into an Apache child it serves embedded mode ([`embedded`]). Both call the application through [`application`], which
//! knows Python only through [`python`]. Nothing here knows Apache.
//!
//! Unsafe code lives in `python` and `sys` only.

#![deny(unsafe_code)]
// Windows has embedded mode only. What daemon processes alone use of the modules for both is not told apart there.
#![cfg_attr(not(unix), allow(dead_code, unused_imports))]

mod application;
#[cfg(unix)]
mod daemon;
mod embedded;
mod log;
#[allow(unsafe_code, reason = "the room that names pyo3::ffi")]
mod python;
#[allow(unsafe_code, reason = "the room of system calls that have no safe wrapper")]
mod sys;

/// Takes a result that changes nothing; the place says why.
fn ignore<T>(_result: T) {}
