//! Without daemon process groups: Windows has neither the sockets nor the processes for them, and `WSGIDaemonProcess` is
//! refused there. Nobody can make a value of the types here.

use std::path::{Path, PathBuf};

use crate::apache::pool::Pool;
use crate::apache::server::Server;
use crate::config::{Definitions, GroupDefinition};
use crate::figures::PerProcess;
use crate::sys::board::Board;

/// A daemon process group.
#[derive(Debug)]
pub enum ClientGroup {}

impl ClientGroup {
    /// Its directive.
    pub fn definition(&self) -> &GroupDefinition {
        match *self {}
    }

    /// State of its processes.
    pub fn board(&self) -> &Board {
        match *self {}
    }

    /// Its processes.
    pub fn processes(&self) -> Vec<PerProcess> {
        match *self {}
    }

    /// Who its processes are.
    pub fn user(&self) -> &str {
        match *self {}
    }

    /// Which program they are.
    pub fn program(&self) -> Option<&Path> {
        match *self {}
    }
}

/// How the processes of a group are started.
#[derive(Debug)]
pub enum Plan {}

impl Plan {
    /// The name of its group.
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// What would keep its processes from starting.
    pub fn fault(&self) -> Option<String> {
        match *self {}
    }

    /// Who its processes are, and the first part of a path that does not let them read the file.
    pub fn refusal(&self, _script: &Path) -> Option<(String, PathBuf)> {
        match *self {}
    }

    /// Why the owner of a script forbids it.
    pub fn owner_fault(&self, _script: &Path) -> Option<(&'static str, String)> {
        match *self {}
    }
}

/// The folder of daemon sockets.
pub fn socket_folder(_pconf: Pool<'_>, _main: Server<'_>) -> Option<PathBuf> {
    None
}

/// That the Python a group names has no host.
pub fn version_fault(_main: Server<'_>, plan: &Plan) -> Option<String> {
    match *plan {}
}

/// What keeps the processes of a group from entering their working folder.
pub fn folder_fault(plan: &Plan) -> Option<String> {
    match *plan {}
}

/// The groups of a configuration.
///
/// # Errors
/// None.
pub fn configure(_pconf: Pool<'_>, _main: Server<'_>, _definitions: &Definitions) -> Result<Vec<ClientGroup>, String> {
    Ok(Vec::new())
}

/// In an Apache child: there is nothing that only the parent needs.
pub fn child_init() {}

/// How each group of a configuration is started.
pub fn plans(_main: Server<'_>, _definitions: &Definitions) -> Vec<Plan> {
    Vec::new()
}
