//! `mod_wsgi.so`: the part of mod_wsgi that lives in the Apache HTTP Server.
//!
//! It reads the directives, starts and watches daemon processes, and answers requests: in a daemon process over a
//! socket, or in this process with a host for the right Python. It never links Python itself.
//!
//! Rooms: `apache` is the only one that names httpd's symbols; `config` is what directives have said; `startup` and
//! `supervisor` run in httpd's parent; `translate`, `handler`, `environ`, `response`, `daemon` and `embedded` run in its
//! children, per request; `figures` and `seat` keep what `metrics` and `status` tell.

#![deny(unsafe_code)]
// Windows has embedded mode only. What groups of daemon processes alone use of the modules for both is not told apart there.
#![cfg_attr(not(unix), allow(dead_code))]
#![allow(clippy::missing_errors_doc, reason = "an error of a directive setter is the sentence httpd prints")]

mod access;
mod apache;
mod clock;
mod config;
mod configtest;
#[cfg(unix)]
mod daemon;
#[cfg(not(unix))]
#[path = "daemon/nowhere.rs"]
mod daemon;
mod embedded;
mod environ;
mod figures;
mod guard;
mod handler;
#[cfg(unix)]
mod identity;
#[cfg(not(unix))]
#[path = "identity/nowhere.rs"]
mod identity;
mod launch;
mod metrics;
mod python;
#[cfg(unix)]
mod reading;
mod response;
mod seat;
mod startup;
mod status;
#[cfg(unix)]
mod supervisor;
mod sys;
mod trace;
mod translate;
mod way;
