//! What `apachectl configtest` warns of beyond its syntax: what would fail at the first request. Each warning names the
//! directive, its file and its line.

mod scripts;

use mod_wsgi_core::group_name::{is_literal, literal};
use mod_wsgi_core::obstacle::LET_IN;
use mod_wsgi_core::wire::LogLevel;

use crate::apache::command::definitions;
use crate::apache::log;
use crate::apache::pool::Pool;
use crate::apache::server::Server;
use crate::config::mention::{Loader, Mention, Position, Purpose, Said};
use crate::config::{Definitions, GroupDefinition};
use crate::embedded::Settings;
use crate::identity::{self, Identity};
use crate::startup::{self, Plan};

/// A configuration that has been read and will not be run.
struct Look<'c> {
    pconf: Pool<'c>,
    main: Server<'c>,
    definitions: &'c Definitions,
    plans: Vec<Plan>,
    /// Who Apache's children are.
    apache: Identity,
}

/// Looks over a configuration that has been read and will not be run.
pub fn hook_test_config(pconf: Pool<'_>, main: Server<'_>) {
    let definitions = definitions(pconf);
    startup::warn_of_sections(main, definitions);
    let plans = startup::plans(main, definitions);
    let look = Look { pconf, main, definitions, plans, apache: identity::apache() };
    look.telemetry();
    look.sockets();
    look.groups();
    let mut uses_embedded = definitions.groups.is_empty();
    for mention in &definitions.mentions {
        match &mention.said {
            Said::ProcessGroup(name) => look.group_name(mention, name, true),
            Said::Script(script) => {
                if let Loader::Group(name) = &script.loader {
                    // A service has its script from WSGIImportScript.
                    look.group_name(mention, name, script.purpose != Purpose::Import);
                }
                uses_embedded |= look.script(mention, script);
            }
            Said::Defines(_) | Said::Value => {}
        }
    }
    if uses_embedded {
        look.embedded();
    }
}

impl Look<'_> {
    /// Writes a warning of a directive.
    fn warn(&self, number: &str, position: &Position, text: &str) {
        log::server(self.main, LogLevel::Warning, &format!("{number}: {position}: {text}"));
    }

    /// Writes a warning that has its number already.
    fn warn_numbered(&self, position: Option<&Position>, text: &str) {
        match (text.split_once(": "), position) {
            (Some((number, text)), Some(position)) => self.warn(number, position, text),
            _ => log::server(self.main, LogLevel::Warning, text),
        }
    }

    fn telemetry(&self) {
        if !self.main.config().telemetry.lack_a_service() {
            return;
        }
        let of = |name| self.definitions.position(name);
        for position in [of("WSGISlowRequests"), of("WSGITelemetryOptions")].into_iter().flatten() {
            self.warn("WSGI7069", position, "without effect: no WSGITelemetryService says where to report");
        }
    }

    /// The folder that `WSGISocketPrefix` names is there, and Apache's children reach it.
    fn sockets(&self) {
        let Some(position) = self.definitions.position("WSGISocketPrefix").filter(|_| !self.plans.is_empty()) else {
            return;
        };
        let Some(folder) = startup::socket_folder(self.pconf, self.main) else { return };
        let shown = folder.display();
        if !folder.is_dir() {
            let text = format!(
                "there is no folder '{shown}' for the sockets of daemon processes: Apache does not start; create it, or name another"
            );
            self.warn("WSGI7052", position, &text);
        } else if let Some(refusing) = self.apache.first_refusal(&folder, 1) {
            let text = format!(
                "{}, who Apache's children are, may not enter '{}' on the way to the sockets in '{shown}'; requests for daemon process groups get 503",
                self.apache.describe(),
                refusing.display()
            );
            self.warn("WSGI0117", position, &text);
        }
    }

    fn groups(&self) {
        for plan in &self.plans {
            let faults = [plan.fault(), startup::version_fault(self.main, plan), startup::folder_fault(plan)];
            for fault in faults.into_iter().flatten() {
                self.warn_numbered(self.definitions.position_of_group(plan.name()), &fault);
            }
        }
    }

    fn group(&self, name: &[u8]) -> Option<&GroupDefinition> {
        self.definitions.groups.iter().find(|group| group.options.name.as_bytes() == name)
    }

    /// The process group that a directive names is there, may be used where it stands, and takes requests.
    fn group_name(&self, mention: &Mention, written: &[u8], is_for_requests: bool) {
        let Some(name) = is_literal(written).then(|| literal(written)).filter(|name| !name.is_empty()) else { return };
        let shown = String::from_utf8_lossy(name);
        let Some(group) = self.group(name) else {
            let text = format!(
                "no WSGIDaemonProcess defines the process group '{shown}'; requests get 500: define it, or mend the name"
            );
            return self.warn("WSGI0151", &mention.position, &text);
        };
        // What stands outside of virtual hosts may be meant for the one that has the group.
        let server = self.server(mention);
        let is_foreign = group.is_virtual
            && server.is_virtual()
            && group.server != mention.server
            && group.server_name.as_deref() != server.server_name();
        if is_foreign {
            let text = format!(
                "the process group '{shown}' belongs to a virtual host with another ServerName; requests get 500: define it outside of virtual hosts, or in this one"
            );
            self.warn("WSGI0152", &mention.position, &text);
        } else if is_for_requests && group.options.threads == 0 {
            let text = format!(
                "the process group '{shown}' has threads=0 and takes no requests; they get 500: name another group for the application"
            );
            self.warn("WSGI7081", &mention.position, &text);
        }
    }

    /// The server that a directive stands in.
    fn server(&self, mention: &Mention) -> Server<'_> {
        self.main.chain().find(|server| server.identity() == mention.server).unwrap_or(self.main)
    }

    /// The Python that `WSGIPythonHome` names for embedded mode is there, and Apache's children may run it.
    fn embedded(&self) {
        let Some(position) = self.definitions.position("WSGIPythonHome") else { return };
        let settings = Settings::new(self.main.config(), self.definitions, startup::hosts_folder());
        let found = match settings.find() {
            Ok((found, _)) => found,
            Err(reason) => {
                return self.warn_numbered(Some(position), &format!("{reason}; requests in embedded mode get 500"));
            }
        };
        let Some(place) = found.program.or(found.home) else { return };
        if let Some(refusing) = self.apache.first_refusal(&place, 1) {
            let text = format!(
                "embedded mode: {}, who Apache's children are, may not pass '{}' on the way to '{}'; requests in embedded mode get 500: {LET_IN}",
                self.apache.describe(),
                refusing.display(),
                place.display()
            );
            self.warn("WSGI7064", position, &text);
        }
    }
}
