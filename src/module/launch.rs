//! What every process with Python is told alike, in daemon and in embedded mode.

use mod_wsgi_core::launch::Launch;

use crate::apache::log;
use crate::apache::server::{self, MpmQuery, Server};
use crate::config::PythonConfig;

/// What is the same for every process of this server, embedded mode included.
#[must_use]
pub fn shared(main: Server<'_>, python: &PythonConfig) -> Launch {
    let description = server::description();
    Launch {
        apache_version: server::compiled_version(),
        apache_processes: server::mpm_answer(MpmQuery::Processes),
        apache_threads: server::mpm_answer(MpmQuery::Threads),
        apache_description: description.banner,
        apache_mpm: description.mpm,
        apache_built: description.built,
        log_level: log::level_of(main),
        case_sensitive: python.is_case_sensitive(),
        destroy_interpreters: python.destroy_interpreters.unwrap_or(true),
        restrict_stdin: python.restrict_stdin.unwrap_or(false),
        restrict_stdout: python.restrict_stdout.unwrap_or(false),
        restrict_signal: python.restrict_signal.unwrap_or(true),
        switch_interval: python.switch_interval,
        telemetry: main.config().telemetry.settings(),
        ..Launch::default()
    }
}

/// What stands between the folders of a list, as in `PATH`.
const BETWEEN_FOLDERS: char = if cfg!(windows) { ';' } else { ':' };

/// Folders joined by colons, on Windows by semicolons, each one by itself.
#[must_use]
pub fn split_path(joined: Option<&str>) -> Vec<Vec<u8>> {
    let folders = joined.unwrap_or_default().split(BETWEEN_FOLDERS).filter(|folder| !folder.is_empty());
    folders.map(|folder| folder.as_bytes().to_vec()).collect()
}
