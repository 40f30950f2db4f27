//! Daemon process groups: how each is started, and what requests need to find it.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mod_wsgi_core::group_name::{is_literal, literal};
use mod_wsgi_core::os_text::os_text;

use crate::apache::child;
use crate::apache::pool::Pool;
use crate::apache::server::Server;
use crate::config::{AliasUrl, Definitions, GroupDefinition, PythonConfig};
use crate::daemon::Pooled;
use crate::figures::{PerProcess, daemon_processes};
use crate::python;
pub use crate::supervisor::Plan;
use crate::supervisor::{self, Reach, Recipe, SocketPlan};
use crate::sys::board::Board;

use super::hosts_folder;

/// A daemon process group, as an Apache child sees it.
#[derive(Debug)]
pub struct ClientGroup {
    definition: GroupDefinition,
    board: Arc<Board>,
    user: String,
    program: Option<PathBuf>,
    /// Path of its socket.
    pub socket: PathBuf,
    /// Connections that are open and idle.
    pub pooled: Pooled,
}

impl ClientGroup {
    /// Its directive.
    pub fn definition(&self) -> &GroupDefinition {
        &self.definition
    }

    /// State of its processes.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Its processes.
    pub fn processes(&self) -> Vec<PerProcess> {
        daemon_processes(&self.board)
    }

    /// Who its processes are, for messages.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Which program they are.
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }
}

/// Starts the groups of a configuration, in the parent.
///
/// # Errors
/// A sentence; httpd does not start.
pub fn configure(pconf: Pool<'_>, main: Server<'_>, definitions: &Definitions) -> Result<Vec<ClientGroup>, String> {
    let prefix = socket_prefix(pconf, main)?;
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
        let Reach { socket, board } = reach;
        ClientGroup { definition: definition.clone(), socket, board, pooled: Pooled::default(), user, program }
    });
    Ok(groups.collect())
}

/// What the paths of daemon sockets begin with.
///
/// # Errors
/// A sentence.
fn socket_prefix(pconf: Pool<'_>, main: Server<'_>) -> Result<Vec<u8>, String> {
    match &main.config().socket_prefix {
        Some(prefix) => Ok(prefix.clone()),
        None => {
            Ok(main.runtime_path(pconf, c"wsgi").ok_or("WSGI7052: there is no DefaultRuntimeDir for daemon sockets")?)
        }
    }
}

/// The folder of daemon sockets.
pub fn socket_folder(pconf: Pool<'_>, main: Server<'_>) -> Option<PathBuf> {
    let prefix = socket_prefix(pconf, main).ok()?;
    Path::new(&os_text(&prefix)).parent().map(Path::to_path_buf)
}

/// That the Python a group names has no host, as far as its files tell.
pub fn version_fault(main: Server<'_>, plan: &Plan) -> Option<String> {
    let home = plan.definition.options.python_home.as_deref().or(main.config().python.home.as_deref())?;
    let version = python::embedded(Some(home)).ok()?.version;
    (!python::is_supported(&version)).then(|| {
        format!(
            "WSGI7001: daemon process group '{}': Python {version} of '{home}' is not supported: mod_wsgi hosts 3.{} to 3.{}; make the virtual environment with one of these; requests for it get 503",
            plan.name(),
            mod_wsgi_core::PYTHON_MINORS.start(),
            mod_wsgi_core::PYTHON_MINORS.end()
        )
    })
}

/// What keeps the processes of a group from entering their working folder.
pub fn folder_fault(plan: &Plan) -> Option<String> {
    // What another root folder holds is not looked at.
    let recipe = plan.recipe.as_ref().ok().filter(|recipe| recipe.chroot.is_none())?;
    let folder = recipe.folder.as_deref()?;
    let folder = Path::new(OsStr::from_bytes(folder.to_bytes()));
    let (who, shown) = (plan.identity.describe(), folder.display());
    let reason = match std::fs::metadata(folder) {
        Err(error) if error.kind() != ErrorKind::PermissionDenied => format!("{error}: create it"),
        Ok(metadata) if !metadata.is_dir() => "it is no folder".into(),
        _ => {
            let refusing = plan.identity.first_refusal(folder, 1)?;
            format!("'{}' refuses: let that user enter it", refusing.display())
        }
    };
    Some(format!(
        "WSGI0009: daemon process group '{}': {who} cannot enter the working folder '{shown}': {reason}, or name another with home=; requests for it get 503",
        plan.name()
    ))
}

/// In an Apache child: closes what only the parent needs.
pub fn child_init() {
    supervisor::forget_in_child();
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
        plan.targets = targets(main, name);
        plan
    };
    groups.map(plan).collect()
}

/// Where the aliases lead that may be for a group: those that name it, or no group that is known now.
fn targets(main: Server<'_>, group: &[u8]) -> Vec<Vec<u8>> {
    let mut targets = Vec::new();
    for server in main.chain() {
        let named = server.default_place().and_then(|place| place.routing.process_group.as_deref());
        for alias in server.config().aliases.iter().filter(|alias| matches!(alias.url, AliasUrl::Path(_))) {
            let named = alias.routing.process_group.as_deref().or(named);
            if named.is_none_or(|named| !is_literal(named) || literal(named) == group) {
                targets.push(alias.target.clone());
            }
        }
    }
    targets
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
pub fn retry_recipe(main: Server<'_>, definition: GroupDefinition) -> Result<Recipe, String> {
    let hosts = hosts_folder();
    plan(main, definition, &main.config().python, &[], hosts.as_deref()).recipe
}

fn socket_plan(definition: &GroupDefinition, prefix: &[u8]) -> SocketPlan {
    let options = &definition.options;
    let is_root = rustix::process::geteuid().is_root();
    SocketPlan {
        prefix: PathBuf::from(os_text(prefix).into_owned()),
        owner: is_root.then(|| definition.named.socket_user.unwrap_or(child::unix_identity().0)),
        backlog: options.listen_backlog,
        send_buffer: options.send_buffer_size,
        receive_buffer: options.receive_buffer_size,
    }
}
