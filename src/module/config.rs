//! What the directives have said: per server, and per place within it. "Not set here" is `None`; merging is "child, else
//! parent".

#[cfg(unix)]
mod daemon_process;
pub mod directives;
pub mod mention;
mod scripts;

use std::sync::Arc;

use mod_wsgi_core::daemon_options::DaemonOptions;
use mod_wsgi_core::interpreter_options::InterpreterOptions;
use mod_wsgi_core::launch::Preload;
use mod_wsgi_core::telemetry::settings::Directives as TelemetryDirectives;
use mod_wsgi_core::trusted_proxy::{Header, Network};

use self::mention::{Mention, Position, Said};
use crate::apache::request::Pattern;
use crate::startup::Runtime;

/// The configuration of a server. What belongs to the whole of httpd stands in the main server's.
#[derive(Debug, Clone, Default)]
pub struct ServerConfig {
    /// `WSGIScriptAlias` and `WSGIScriptAliasMatch`, in the order in which they are tried.
    pub aliases: Vec<Alias>,
    /// How Python is started; main server only.
    pub python: PythonConfig,
    /// `WSGISocketPrefix`, made absolute; main server only.
    pub socket_prefix: Option<Vec<u8>>,
    /// `WSGIRestrictEmbedded`; main server only.
    pub restrict_embedded: Option<bool>,
    /// `WSGIServerMetrics`; main server only.
    pub server_metrics: Option<bool>,
    /// `WSGITelemetryService`, `WSGISlowRequests`, `WSGITelemetryOptions`; main server only.
    pub telemetry: TelemetryDirectives,
    /// What `post_config` made of it all; the same in every server.
    pub runtime: Option<Arc<Runtime>>,
}

/// How Python is started, in every mode where nothing else is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PythonConfig {
    /// `WSGIPythonHome`.
    pub home: Option<String>,
    /// `WSGIPythonPath`; embedded mode only.
    pub path: Option<String>,
    /// `WSGIPythonEggs`; embedded mode only.
    pub eggs: Option<String>,
    /// `WSGIPythonOptimize`.
    pub optimize: Option<u32>,
    /// `WSGIPythonWarnings`, in order.
    pub warnings: Vec<String>,
    /// `WSGIPythonHashSeed`; `Some(None)` is `random`.
    pub hash_seed: Option<Option<u32>>,
    /// `WSGIDontWriteBytecode`.
    pub dont_write_bytecode: Option<bool>,
    /// `WSGISwitchInterval`, in microseconds.
    pub switch_interval: Option<u64>,
    /// `WSGIDestroyInterpreter`.
    pub destroy_interpreters: Option<bool>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
    /// `WSGICaseSensitivity`.
    pub case_sensitive: Option<bool>,
}

impl PythonConfig {
    const EMPTY: Self = Self {
        home: None,
        path: None,
        eggs: None,
        optimize: None,
        warnings: Vec::new(),
        hash_seed: None,
        dont_write_bytecode: None,
        switch_interval: None,
        destroy_interpreters: None,
        restrict_stdin: None,
        restrict_stdout: None,
        restrict_signal: None,
        case_sensitive: None,
    };

    /// Whether script names that differ in case are different scripts.
    #[must_use]
    pub fn is_case_sensitive(&self) -> bool {
        self.case_sensitive.unwrap_or(!cfg!(any(target_os = "macos", windows)))
    }
}

impl ServerConfig {
    /// A configuration that says nothing.
    pub const EMPTY: Self = Self {
        aliases: Vec::new(),
        python: PythonConfig::EMPTY,
        socket_prefix: None,
        restrict_embedded: None,
        server_metrics: None,
        telemetry: TelemetryDirectives::EMPTY,
        runtime: None,
    };

    /// The configuration of a virtual host over that of the main server.
    #[must_use]
    pub fn merge(base: &Self, child: &Self) -> Self {
        Self {
            aliases: child.aliases.iter().chain(&base.aliases).cloned().collect(),
            python: base.python.clone(),
            socket_prefix: base.socket_prefix.clone(),
            restrict_embedded: base.restrict_embedded,
            server_metrics: base.server_metrics,
            telemetry: base.telemetry.clone(),
            runtime: base.runtime.clone(),
        }
    }
}

/// What an alias matches.
#[derive(Debug, Clone)]
pub enum AliasUrl {
    /// A URL path, component by component.
    Path(Vec<u8>),
    /// A regular expression.
    Pattern(Pattern),
}

/// A `WSGIScriptAlias` or `WSGIScriptAliasMatch`.
#[derive(Debug, Clone)]
pub struct Alias {
    /// What it matches.
    pub url: AliasUrl,
    /// The file or directory it stands for.
    pub target: Vec<u8>,
    /// Its options.
    pub routing: Routing,
}

/// Where a script runs, as far as it is said in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// `process-group`, `WSGIProcessGroup`.
    pub process_group: Option<Vec<u8>>,
    /// `application-group`, `WSGIApplicationGroup`.
    pub application_group: Option<Vec<u8>>,
    /// `callable-object`, `WSGICallableObject`.
    pub callable: Option<Vec<u8>>,
    /// `pass-authorization`, `WSGIPassAuthorization`.
    pub pass_authorization: Option<bool>,
}

impl Routing {
    const EMPTY: Self = Self { process_group: None, application_group: None, callable: None, pass_authorization: None };

    /// What an inner place says over what an outer one does.
    #[must_use]
    pub fn merge(base: &Self, child: &Self) -> Self {
        Self {
            process_group: child.process_group.clone().or_else(|| base.process_group.clone()),
            application_group: child.application_group.clone().or_else(|| base.application_group.clone()),
            callable: child.callable.clone().or_else(|| base.callable.clone()),
            pass_authorization: child.pass_authorization.or(base.pass_authorization),
        }
    }
}

/// A `WSGIHandlerScript`: a script that answers for a handler's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerScript {
    /// The handler's name, as `SetHandler` and `AddHandler` give it.
    pub name: Vec<u8>,
    /// Path of the script.
    pub script: Vec<u8>,
    /// Its options.
    pub routing: Routing,
}

/// An access, authentication, group or dispatch script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceScript {
    /// Its path.
    pub script: Vec<u8>,
    /// `application-group`; `None` is the main interpreter.
    pub application_group: Option<Vec<u8>>,
}

/// `WSGIMapHEADToGET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapHead {
    /// Only where a filter needs the body.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// `WSGITraceContext`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceContext {
    /// Traces are nothing to us.
    Off,
    /// The trace that a client names is taken.
    Accept,
    /// So it is, and where it names none one is begun.
    On,
}

/// The configuration of a place: a directory, a location, a file; the server's own is the outermost.
#[derive(Debug, Clone, Default)]
pub struct DirConfig {
    /// Where scripts run.
    pub routing: Routing,
    /// `WSGIRestrictProcess`.
    pub restrict_process: Option<Vec<Vec<u8>>>,
    /// `WSGIScriptReloading`.
    pub script_reloading: Option<bool>,
    /// `WSGIErrorOverride`.
    pub error_override: Option<bool>,
    /// `WSGIChunkedRequest`.
    pub chunked_request: Option<bool>,
    /// `WSGIMapHEADToGET`.
    pub map_head: Option<MapHead>,
    /// `WSGITrustedProxyHeaders`.
    pub trusted_headers: Option<Vec<Header>>,
    /// `WSGITrustedProxies`.
    pub trusted_proxies: Option<Vec<Network>>,
    /// `WSGIEnableSendfile`.
    pub enable_sendfile: Option<bool>,
    /// `WSGIPassApacheRequest`.
    pub pass_apache_request: Option<bool>,
    /// `WSGIIgnoreActivity`.
    pub ignore_activity: Option<bool>,
    /// `WSGITraceContext`.
    pub trace_context: Option<TraceContext>,
    /// `WSGIServerTiming`.
    pub server_timing: Option<bool>,
    /// `WSGIAccessScript`.
    pub access_script: Option<PlaceScript>,
    /// `WSGIAuthUserScript`.
    pub auth_user_script: Option<PlaceScript>,
    /// `WSGIAuthGroupScript`.
    pub auth_group_script: Option<PlaceScript>,
    /// `WSGIDispatchScript`.
    pub dispatch_script: Option<PlaceScript>,
    /// `WSGIHandlerScript`, the innermost first.
    pub handlers: Vec<HandlerScript>,
}

impl DirConfig {
    /// A configuration that says nothing.
    pub const EMPTY: Self = Self {
        routing: Routing::EMPTY,
        restrict_process: None,
        script_reloading: None,
        error_override: None,
        chunked_request: None,
        map_head: None,
        trusted_headers: None,
        trusted_proxies: None,
        enable_sendfile: None,
        pass_apache_request: None,
        ignore_activity: None,
        trace_context: None,
        server_timing: None,
        access_script: None,
        auth_user_script: None,
        auth_group_script: None,
        dispatch_script: None,
        handlers: Vec::new(),
    };

    /// The configuration of an inner place over that of an outer one.
    #[must_use]
    pub fn merge(base: &Self, child: &Self) -> Self {
        Self {
            routing: Routing::merge(&base.routing, &child.routing),
            restrict_process: child.restrict_process.clone().or_else(|| base.restrict_process.clone()),
            script_reloading: child.script_reloading.or(base.script_reloading),
            error_override: child.error_override.or(base.error_override),
            chunked_request: child.chunked_request.or(base.chunked_request),
            map_head: child.map_head.or(base.map_head),
            trusted_headers: child.trusted_headers.clone().or_else(|| base.trusted_headers.clone()),
            trusted_proxies: child.trusted_proxies.clone().or_else(|| base.trusted_proxies.clone()),
            enable_sendfile: child.enable_sendfile.or(base.enable_sendfile),
            pass_apache_request: child.pass_apache_request.or(base.pass_apache_request),
            ignore_activity: child.ignore_activity.or(base.ignore_activity),
            trace_context: child.trace_context.or(base.trace_context),
            server_timing: child.server_timing.or(base.server_timing),
            access_script: child.access_script.clone().or_else(|| base.access_script.clone()),
            auth_user_script: child.auth_user_script.clone().or_else(|| base.auth_user_script.clone()),
            auth_group_script: child.auth_group_script.clone().or_else(|| base.auth_group_script.clone()),
            dispatch_script: child.dispatch_script.clone().or_else(|| base.dispatch_script.clone()),
            handlers: child.handlers.iter().chain(&base.handlers).cloned().collect(),
        }
    }
}

/// A `WSGIDaemonProcess`, and where it stands.
#[derive(Debug, Clone)]
pub struct GroupDefinition {
    /// What it says.
    pub options: DaemonOptions,
    /// The server it stands in, by [`crate::apache::server::Server::identity`].
    pub server: usize,
    /// That server's `ServerName`.
    pub server_name: Option<Vec<u8>>,
    /// Whether that server is a virtual host.
    pub is_virtual: bool,
    /// Who is named in it.
    #[cfg(unix)]
    pub named: crate::identity::Named,
}

/// A `<WSGIInterpreterOptions>` section, or what stands outside of all of them.
#[derive(Debug, Clone, Default)]
pub struct InterpreterSection {
    /// The process group it is for, empty for embedded mode; `None` is for all.
    pub process_group: Option<Vec<u8>>,
    /// What it says, for the interpreters it is for.
    pub options: InterpreterOptions,
    /// `WSGIFreeThreading`, and where it stands.
    pub free_threading: Option<(bool, Position)>,
}

/// All `WSGIDaemonProcess` and all scripts to load early, of the whole of httpd; lives in the configuration's pool.
#[derive(Debug, Default)]
pub struct Definitions {
    /// The groups in the order of their definition.
    pub groups: Vec<GroupDefinition>,
    /// Scripts to load when a process starts: the process group (empty is embedded mode) and what to load.
    pub preload: Vec<(Vec<u8>, Preload)>,
    /// What is said of interpreters outside of sections.
    pub all_interpreters: InterpreterSection,
    /// `<WSGIInterpreterOptions>`, in order.
    pub sections: Vec<InterpreterSection>,
    /// Whether the last of them is being read.
    pub in_section: bool,
    /// What may turn out wrong, in the order in which it is said.
    pub mentions: Vec<Mention>,
}

impl Definitions {
    /// Where a directive stands that is in force: the last of its name.
    #[must_use]
    pub fn position(&self, directive: &str) -> Option<&Position> {
        let said = self.mentions.iter().rev().map(|mention| &mention.position);
        said.into_iter().find(|position| position.directive.eq_ignore_ascii_case(directive))
    }

    /// Where a process group is defined.
    #[must_use]
    pub fn position_of_group(&self, name: &str) -> Option<&Position> {
        let defines = |said: &Said| matches!(said, Said::Defines(defined) if defined == name);
        self.mentions.iter().find(|mention| defines(&mention.said)).map(|mention| &mention.position)
    }

    /// The section that directives are for now, if one is being read.
    pub fn open_section(&mut self) -> Option<&mut InterpreterSection> {
        self.sections.last_mut().filter(|_| self.in_section)
    }

    /// What is said of the interpreters of a process group, empty for embedded mode; the least specific first in case of
    /// a tie, as it stands in the configuration.
    #[must_use]
    pub fn interpreters_of(&self, process_group: &[u8]) -> Vec<InterpreterOptions> {
        self.sections_of(process_group).map(|section| section.options.clone()).collect()
    }

    /// Whether a free-threaded Python may do without its lock in a process group: the most specific word counts.
    #[must_use]
    pub fn free_threading_of(&self, process_group: &[u8]) -> bool {
        let said = self.sections_of(process_group).filter(|section| section.options.application_group.is_none());
        let said =
            said.filter_map(|section| Some((section.process_group.is_some(), section.free_threading.as_ref()?.0)));
        said.max_by_key(|(is_specific, _)| *is_specific).is_some_and(|(_, on)| on)
    }

    fn sections_of<'d>(&'d self, process_group: &'d [u8]) -> impl Iterator<Item = &'d InterpreterSection> {
        let is_for = move |section: &&InterpreterSection| {
            section.process_group.as_deref().is_none_or(|group| group == process_group)
        };
        std::iter::once(&self.all_interpreters).chain(&self.sections).filter(is_for)
    }
}
