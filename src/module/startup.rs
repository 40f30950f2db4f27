//! What happens between reading the configuration and serving: groups are started, and requests get what they need to
//! find them.

#[cfg(unix)]
mod groups;
#[cfg(not(unix))]
#[path = "startup/no_groups.rs"]
mod groups;

#[cfg(unix)]
pub use groups::retry_recipe;
pub use groups::{ClientGroup, Plan, folder_fault, plans, socket_folder, version_fault};

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use mod_wsgi_core::wire::LogLevel;

use crate::apache::command::definitions;
use crate::apache::log;
use crate::apache::pool::Pool;
use crate::apache::server::{self, Server};
use crate::config::{Definitions, InterpreterSection};
use crate::sys::board::Board;
use crate::sys::itself;

/// The oldest httpd this module runs under, as the minor module magic number: 2.4.38, what the structures we read had in
/// Debian 10. Older ones of the 2.4 line are refused.
const OLDEST_MAGIC: i32 = 83;

/// What requests need of the configuration in force.
#[derive(Debug)]
pub struct Runtime {
    groups: Vec<ClientGroup>,
    /// Embedded mode's settings.
    pub embedded: crate::embedded::Settings,
    /// Where embedded requests are counted.
    pub embedded_board: Arc<Board>,
}

impl Runtime {
    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&ClientGroup> {
        self.groups.iter().find(|group| group.definition().options.name.as_bytes() == name)
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[ClientGroup] {
        &self.groups
    }

    /// Where requests of a group are counted; the empty name is embedded mode.
    #[must_use]
    pub fn board(&self, group: &[u8]) -> Option<&Board> {
        if group.is_empty() {
            return Some(&self.embedded_board);
        }
        self.group(group).map(ClientGroup::board)
    }

    /// Whether there is any group.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }
}

/// In the parent, when a configuration has been read.
///
/// # Errors
/// A sentence; httpd does not start.
pub fn post_config(pconf: Pool<'_>, main: Server<'_>) -> Result<Option<Arc<Runtime>>, String> {
    check_magic()?;
    server::announce(pconf);
    if server::is_first_pass() {
        return Ok(None);
    }
    let definitions = definitions(pconf);
    let config = main.config();
    let hosts = hosts_folder();
    warn_of_sections(main, definitions);
    let groups = groups::configure(pconf, main, definitions)?;
    let embedded = crate::embedded::Settings::new(config, definitions, hosts);
    let embedded_board = crate::embedded::board()?;
    Ok(Some(Arc::new(Runtime { groups, embedded, embedded_board })))
}

/// Free threading is of a whole process, so a section for some of its interpreters cannot set it.
pub fn warn_of_sections(main: Server<'_>, definitions: &Definitions) {
    let is_for_some = |section: &&InterpreterSection| section.options.application_group.is_some();
    for section in definitions.sections.iter().filter(is_for_some) {
        if let Some((_, position)) = &section.free_threading {
            let text = format!(
                "WSGI0201: {position}: without effect in a section with application-group=, since it is for whole processes"
            );
            log::server(main, LogLevel::Warning, &text);
        }
    }
}

fn check_magic() -> Result<(), String> {
    let ((running, running_minor), (built, built_minor)) = server::magic_numbers();
    if running != built || running_minor < OLDEST_MAGIC {
        return Err(format!(
            "WSGI7060: this mod_wsgi is for httpd with module magic number {built}, from {built}:{OLDEST_MAGIC} on (built with {built}:{built_minor}); the httpd that runs has {running}:{running_minor}. Install the package for this httpd"
        ));
    }
    Ok(())
}

/// In an Apache child, before it serves.
pub fn child_init(main: Server<'_>) {
    groups::child_init();
    if let Some(runtime) = &main.config().runtime {
        runtime.embedded.child_init(main);
    }
}

/// The folder of the hosts: the one this library was loaded from, or as packages have it `../../mod_wsgi` from there, on
/// openSUSE `../mod_wsgi`.
#[must_use]
pub fn hosts_folder() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let own = itself::path()?;
        let beside = own.parent()?.to_path_buf();
        let above = beside.ancestors().skip(1).take(2).map(|folder| folder.join("mod_wsgi"));
        let packaged: Vec<_> = above.collect();
        [beside].into_iter().chain(packaged.into_iter().rev()).find(|folder| crate::python::has_hosts(folder))
    };
    FOLDER.get_or_init(find).clone()
}
