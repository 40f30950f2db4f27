//! What `mod_wsgi.so` (in Apache) and `mod_wsgi_host` (in Python) must agree on: the wire between them, what
//! directives mean, the rules of PEP 3333 that need no interpreter, and the numbers of log messages.
//!
//! Pure functions on bytes and plain values: no unsafe code, no system calls, no dependency but `std`.

#![forbid(unsafe_code)]

pub mod alias;
pub mod board;
pub mod daemon_options;
pub mod directive;
pub mod embedded;
pub mod group_name;
pub mod histogram;
pub mod interpreter_options;
pub mod launch;
pub mod obstacle;
pub mod os_text;
pub mod response_rules;
pub mod scoreboard;
pub mod script_call;
pub mod telemetry;
pub mod trace_context;
pub mod trusted_proxy;
pub mod wire;

/// The version of this release, as `mod_wsgi.version` reports it.
pub const VERSION: (u32, u32, u32) = (7, 0, 0);

/// The version as text.
pub const VERSION_TEXT: &str = env!("CARGO_PKG_VERSION");

/// The version and what it was built from; module and host carry it, and two different ones refuse each other.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("MOD_WSGI_CORE_SOURCES"));

/// [`BUILD`] with a NUL behind it, for C.
pub const BUILD_FOR_C: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("MOD_WSGI_CORE_SOURCES"), "\0");

/// The oldest and newest CPython minor version there is a host for.
pub const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 10..=14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tuple_says_what_the_manifest_says() {
        let (major, minor, patch) = VERSION;
        assert_eq!(VERSION_TEXT, format!("{major}.{minor}.{patch}"));
    }
}
