//! What `WSGIDaemonProcess` sets.

use mod_wsgi_core::daemon_options::DaemonOptions;

use super::directives::{Outcome, find_group};
use super::mention::Said;
use super::{GroupDefinition, ServerConfig};
use crate::apache::command::Command;
use crate::identity::Named;

/// `WSGIDaemonProcess name [option=value …]`
pub fn daemon_process(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    let options = DaemonOptions::parse(text)?;
    let named = Named::look_up(&options)?;
    if options.chroot.is_some() && !rustix::process::geteuid().is_root() {
        return Err("chroot needs an Apache that is started as root".into());
    }
    let server = command.server();
    let name = options.name.clone();
    command.definitions(|definitions| {
        if find_group(definitions, options.name.as_bytes()).is_ok() {
            return Err(format!(
                "the daemon process group '{}' is already defined: names are one for the whole server",
                options.name
            ));
        }
        definitions.groups.push(GroupDefinition {
            options,
            server: server.identity(),
            server_name: server.server_name().map(<[u8]>::to_vec),
            is_virtual: server.is_virtual(),
            named,
        });
        Ok(())
    })?;
    command.mention(Said::Defines(name));
    Ok(())
}
