//! What `apachectl configtest` warns of beyond its syntax: what would fail at the first request.

use std::path::Path;

use mod_wsgi_core::group_name::{is_literal, literal};
use mod_wsgi_core::os_text::os_text;
use mod_wsgi_core::wire::LogLevel;

use crate::apache::command::definitions;
use crate::apache::log;
use crate::apache::pool::Pool;
use crate::apache::server::Server;
use crate::config::{Alias, AliasUrl, Definitions};
use crate::startup::{self, Plan};

/// Looks over a configuration that has been read and will not be run.
pub fn hook_test_config(pconf: Pool<'_>, main: Server<'_>) {
    let definitions = definitions(pconf);
    startup::warn_of_sections(main, definitions);
    if main.config().telemetry.lack_a_service() {
        warn(
            main,
            "WSGI7069: WSGISlowRequests and WSGITelemetryOptions are without effect: no WSGITelemetryService says where to report",
        );
    }
    let plans = startup::plans(main, definitions);
    for fault in plans.iter().filter_map(Plan::fault) {
        warn(main, &fault);
    }
    for server in main.chain() {
        let named = server.default_place().and_then(|place| place.routing.process_group.as_deref());
        if let Some(name) = named.and_then(|name| missing_group(definitions, name)) {
            warn(
                server,
                &format!(
                    "WSGI0151: WSGIProcessGroup names '{name}', which no WSGIDaemonProcess defines; requests get 500"
                ),
            );
        }
        // A virtual host has the main server's aliases too, which are looked at there.
        let inherited = if server.is_virtual() { main.config().aliases.len() } else { 0 };
        let own = server.config().aliases.len().saturating_sub(inherited);
        for alias in server.config().aliases.iter().take(own) {
            check_alias(server, definitions, &plans, named, alias);
        }
    }
}

fn warn(server: Server<'_>, text: &str) {
    log::server(server, LogLevel::Warning, text);
}

/// The name of a group that is named and nowhere defined.
fn missing_group(definitions: &Definitions, name: &[u8]) -> Option<String> {
    let name = is_literal(name).then(|| literal(name)).filter(|name| !name.is_empty())?;
    let defined = definitions.groups.iter().any(|group| group.options.name.as_bytes() == name);
    (!defined).then(|| String::from_utf8_lossy(name).into_owned())
}

/// A script of a fixed path must be there, and readable for whoever loads it.
fn check_alias(server: Server<'_>, definitions: &Definitions, plans: &[Plan], named: Option<&[u8]>, alias: &Alias) {
    let group = alias.routing.process_group.as_deref();
    if let Some(name) = group.and_then(|name| missing_group(definitions, name)) {
        warn(
            server,
            &format!(
                "WSGI0151: a script alias names the process group '{name}', which no WSGIDaemonProcess defines; requests get 500"
            ),
        );
    }
    let is_service = |name: &[u8]| {
        definitions.groups.iter().any(|group| group.options.name.as_bytes() == name && group.options.threads == 0)
    };
    if let Some(name) = group.or(named).filter(|name| is_literal(name)).map(literal).filter(|name| is_service(name)) {
        let name = String::from_utf8_lossy(name);
        let text = format!(
            "WSGI7081: a script alias names the process group '{name}', which has threads=0 and takes no requests: they get 500"
        );
        warn(server, &text);
    }
    let AliasUrl::Path(url) = &alias.url else { return };
    let script = os_text(&alias.target);
    let script = Path::new(&script);
    let shown = String::from_utf8_lossy(url);
    if let Err(error) = std::fs::metadata(script) {
        warn(
            server,
            &format!(
                "WSGI0135: the script '{}' of the alias '{shown}' is not there: {error}; requests get 404",
                script.display()
            ),
        );
        return;
    }
    let group = group.or(named).filter(|name| is_literal(name)).map(literal);
    let plan = plans.iter().find(|plan| Some(plan.name().as_bytes()) == group);
    if let Some((who, refusing)) = plan.filter(|_| script.is_file()).and_then(|plan| plan.refusal(script)) {
        let text = format!(
            "WSGI0105: the script '{}' of the alias '{shown}' cannot be read by {who}, since '{}' refuses; requests get 500",
            script.display(),
            refusing.display()
        );
        warn(server, &text);
    }
}
