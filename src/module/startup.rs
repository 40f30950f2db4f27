//! What happens between reading the configuration and serving: groups are started, and requests get what they need to
//! find them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use mod_wsgi_core::wire::LogLevel;

use crate::apache::command::definitions;
use crate::apache::pool::Pool;
use crate::apache::server::{self, Server};
use crate::apache::{self, log};
use crate::config::{Definitions, GroupDefinition, InterpreterSection, PythonConfig};
use crate::daemon::Pooled;
use crate::supervisor::{self, Plan, START_SCRIPT, SocketPlan};

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
    pub embedded_board: Arc<supervisor::Board>,
}

impl Runtime {
    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&ClientGroup> {
        self.groups.iter().find(|group| group.definition.options.name.as_bytes() == name)
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[ClientGroup] {
        &self.groups
    }

    /// Where requests of a group are counted; the empty name is embedded mode.
    #[must_use]
    pub fn board(&self, group: &[u8]) -> Option<&supervisor::Board> {
        if group.is_empty() {
            return Some(&self.embedded_board);
        }
        self.group(group).map(|group| &*group.reach.board)
    }

    /// Whether there is any group.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }
}

/// A daemon process group, as an Apache child sees it.
#[derive(Debug)]
pub struct ClientGroup {
    /// Its directive.
    pub definition: GroupDefinition,
    /// Its socket and its processes' state.
    pub reach: supervisor::Reach,
    /// Connections that are open and idle.
    pub pooled: Pooled,
    /// Who its processes are, for messages.
    pub user: String,
    /// Which program they are.
    pub program: Option<PathBuf>,
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
    let prefix = match &config.socket_prefix {
        Some(prefix) => prefix.clone(),
        None => {
            main.runtime_path(pconf, c"wsgi").ok_or("WSGI7052: there is no DefaultRuntimeDir for daemon sockets")?
        }
    };
    let hosts = hosts_folder();
    warn_of_sections(main, definitions);
    let plans: Vec<_> = plans(main, definitions)
        .into_iter()
        .map(|plan| {
            let socket = socket_plan(&plan.definition, &prefix);
            (plan, socket)
        })
        .collect();
    let shown: Vec<_> = plans.iter().map(|(plan, _)| (plan.identity.describe(), plan.program.clone())).collect();
    let reaches = supervisor::configure(main, plans)?;
    let groups = definitions.groups.iter().zip(reaches).zip(shown).map(|((definition, reach), (user, program))| {
        ClientGroup { definition: definition.clone(), reach, pooled: Pooled::default(), user, program }
    });
    let embedded = crate::embedded::Settings::new(config, definitions, hosts);
    let embedded_board = supervisor::embedded_board()?;
    Ok(Some(Arc::new(Runtime { groups: groups.collect(), embedded, embedded_board })))
}

/// Free threading is of a whole process, so a section for some of its interpreters cannot set it.
pub fn warn_of_sections(main: Server<'_>, definitions: &Definitions) {
    let is_for_some = |section: &&InterpreterSection| section.options.application_group.is_some();
    if definitions.sections.iter().filter(is_for_some).any(|section| section.free_threading.is_some()) {
        let text = "WSGI0201: WSGIFreeThreading in a section with application-group= is without effect: it is for whole processes";
        log::server(main, LogLevel::Warning, text);
    }
}

/// How each group of a configuration is started.
pub fn plans(main: Server<'_>, definitions: &Definitions) -> Vec<Plan> {
    let hosts = hosts_folder();
    let python = &main.config().python;
    let groups = definitions.groups.iter();
    let plan = |group: &GroupDefinition| {
        let name = group.options.name.as_bytes();
        let free = definitions.free_threading_of(name);
        let mut plan = plan(main, group.clone(), python, &definitions.preload, hosts.as_deref());
        plan.launch.interpreter_options = definitions.interpreters_of(name);
        plan.set_free_threading(free);
        plan
    };
    groups.map(plan).collect()
}

fn plan(
    main: Server<'_>,
    definition: GroupDefinition,
    python: &PythonConfig,
    preload: &[(Vec<u8>, mod_wsgi_core::launch::Preload)],
    hosts: Option<&Path>,
) -> Plan {
    let server = main.chain().find(|server| server.identity() == definition.server).unwrap_or(main);
    let preload = preload.iter().filter(|(group, _)| group == definition.options.name.as_bytes());
    let preload = preload.map(|(_, script)| script.clone()).collect();
    Plan::new(main, server, definition, python, preload, hosts)
}

/// How a process of the group is to be started now, after it could not be started before: a virtual environment may have
/// been made meanwhile.
///
/// # Errors
/// Why it cannot be started.
pub fn retry_recipe(main: Server<'_>, definition: GroupDefinition) -> Result<crate::supervisor::Recipe, String> {
    let hosts = hosts_folder();
    plan(main, definition, &main.config().python, &[], hosts.as_deref()).recipe
}

fn socket_plan(definition: &GroupDefinition, prefix: &[u8]) -> SocketPlan {
    use std::os::unix::ffi::OsStrExt;
    let options = &definition.options;
    let is_root = rustix::process::geteuid().is_root();
    SocketPlan {
        prefix: PathBuf::from(std::ffi::OsStr::from_bytes(prefix)),
        owner: is_root.then(|| definition.socket_user.unwrap_or(server::unix_identity().0)),
        backlog: options.listen_backlog,
        send_buffer: options.send_buffer_size,
        receive_buffer: options.receive_buffer_size,
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
    supervisor::forget_in_child();
    if let Some(runtime) = &main.config().runtime {
        runtime.embedded.child_init(main);
    }
}

/// The folder of the hosts: the one this library was loaded from, or `../../mod_wsgi` from there, as packages have it.
#[must_use]
pub fn hosts_folder() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let own = apache::library_path()?;
        let own = std::fs::canonicalize(&own).unwrap_or(own);
        let beside = own.parent()?.to_path_buf();
        let packaged = beside.parent()?.parent()?.join("mod_wsgi");
        [beside, packaged].into_iter().find(|folder| folder.join(START_SCRIPT).is_file())
    };
    FOLDER.get_or_init(find).clone()
}
