//! Which Python a configuration means: for a daemon the program to execute, for embedded mode the library to load.
//!
//! Nothing is executed to find out; the layouts of venv, virtualenv, conda and plain prefixes are known, those of Windows too.

use std::path::{Path, PathBuf};

#[cfg(unix)]
mod unix;
#[cfg(any(windows, test))]
mod windows;

#[cfg(unix)]
pub use unix::{START_SCRIPT, embedded, has_hosts, host_name, is_free_threaded, library_name, program};
#[cfg(windows)]
pub use windows::{embedded, has_hosts, host_name, library_name};

/// A Python for embedded mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// `3.11`, or `3.14t` for a free-threaded one.
    pub version: String,
    /// Where its library may be, in the order in which to try; the last is a bare name for the system's search path.
    pub libraries: Vec<PathBuf>,
    /// `PyConfig.program_name`.
    pub program: Option<PathBuf>,
    /// `PyConfig.home`.
    pub home: Option<PathBuf>,
}

/// The value behind a name in `pyvenv.cfg`.
fn setting<'s>(settings: &'s str, wanted: &str) -> Option<&'s str> {
    settings.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == wanted).then(|| value.trim())
    })
}

/// `version = 3.11.2` of venv, `version_info = 3.11.2.final.0` of virtualenv and uv.
fn version_of_environment(settings: &str) -> Option<String> {
    settings.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        matches!(name.trim(), "version" | "version_info").then(|| minor_version(value.trim()))?
    })
}

/// `python3.11`, `python3.14t`.
fn version_of_name(program: &Path) -> Option<String> {
    let name = program.file_name()?.to_str()?.strip_prefix("python")?;
    let version = minor_version(name)?;
    Some(if name.ends_with('t') { format!("{version}t") } else { version })
}

/// `3.11` of `3.11.2`, of `3.11`, and of `3.14t`.
fn minor_version(text: &str) -> Option<String> {
    let mut parts = text.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let digits = minor.trim_end_matches('t');
    let valid = major == "3" && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| format!("{major}.{digits}"))
}

/// Whether there is a host for a version such as `3.11` or `3.14t`.
#[must_use]
pub fn is_supported(version: &str) -> bool {
    let minor = version.trim_end_matches('t').strip_prefix("3.").and_then(|minor| minor.parse().ok());
    minor.is_some_and(|minor: u32| mod_wsgi_core::PYTHON_MINORS.contains(&minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_layout() {
        assert_eq!(version_of_environment("home = /usr/bin\nversion = 3.11.2\n").as_deref(), Some("3.11"));
        assert_eq!(version_of_environment("version_info = 3.12.1.final.0").as_deref(), Some("3.12"));
        assert_eq!(version_of_name(Path::new("/usr/bin/python3.13")).as_deref(), Some("3.13"));
        assert_eq!(version_of_name(Path::new("/usr/bin/python3.14t")).as_deref(), Some("3.14t"));
        assert_eq!(version_of_name(Path::new("/usr/bin/python3")), None);
    }

    #[test]
    fn supported_versions_are_those_with_a_host() {
        assert!(is_supported("3.10") && is_supported("3.14") && is_supported("3.14t"));
        assert!(!is_supported("3.9") && !is_supported("3.15") && !is_supported("2.7"));
    }
}
