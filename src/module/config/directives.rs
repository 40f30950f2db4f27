//! What each directive sets. A refusal is a sentence fragment; httpd prints it behind the file and the line.

use mod_wsgi_core::daemon_options::positive_seconds;
use mod_wsgi_core::directive::{Words, on_off};
use mod_wsgi_core::group_name::literal;
use mod_wsgi_core::trusted_proxy::{Header, Network};

use super::mention::Said;
use super::{Definitions, DirConfig, GroupDefinition, InterpreterSection, MapHead, ServerConfig, TraceContext};
use crate::apache::command::Command;

pub(super) type Outcome = Result<(), String>;

pub use super::scripts::{
    access_script, auth_group_script, auth_user_script, dispatch_script, handler_script, import_script, script_alias,
    script_alias_match,
};

pub(super) fn find_group<'d>(definitions: &'d Definitions, name: &[u8]) -> Result<&'d GroupDefinition, String> {
    definitions.groups.iter().find(|group| group.options.name.as_bytes() == name).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        format!("the daemon process group '{name}' is not defined yet: put its WSGIDaemonProcess before this line")
    })
}

/// `WSGIDaemonProcess name [option=value …]`
#[cfg(unix)]
pub use super::daemon_process::daemon_process;

/// `WSGIDaemonProcess name [option=value …]`
#[cfg(not(unix))]
pub fn daemon_process(_command: Command<'_>, _config: &mut ServerConfig, _text: &str) -> Outcome {
    Err("WSGI7082: daemon processes need Unix, and this is Windows: take this line and WSGIProcessGroup out, so that embedded mode serves".into())
}

/// `WSGISocketPrefix path`
pub fn socket_prefix(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    let path =
        command.server_root_path(text).ok_or_else(|| format!("'{text}' cannot be made a path below ServerRoot"))?;
    config.socket_prefix = Some(path);
    command.mention(Said::Value);
    Ok(())
}

/// `WSGISocketRotation On|Off`, for configurations of the C module.
pub fn socket_rotation(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    on_off("WSGISocketRotation", text).map(drop)
}

/// `WSGIAcceptMutex method`, for configurations of the C module.
pub fn accept_mutex(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    const METHODS: [&str; 6] = ["default", "flock", "fcntl", "sysvsem", "posixsem", "pthread"];
    command.must_be_global()?;
    if METHODS.iter().any(|method| method.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    Err(format!("'{text}' is not a lock method: {} are", METHODS.join(", ")))
}

/// `WSGILazyInitialization On|Off`, for configurations of the C module before 6.0, which has it no more.
pub fn lazy_initialization(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    on_off("WSGILazyInitialization", text).map(drop)
}

/// `WSGIVerboseDebugging On|Off`, for configurations of the C module.
pub fn verbose_debugging(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    on_off("WSGIVerboseDebugging", text).map(drop)
}

/// `WSGIPythonOptimize level`
pub fn python_optimize(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    let level = text.parse().ok().filter(|level| *level <= 2);
    config.python.optimize = Some(level.ok_or_else(|| format!("the level must be 0, 1 or 2, not '{text}'"))?);
    Ok(())
}

/// `WSGIPythonWarnings filter`
pub fn python_warnings(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    config.python.warnings.push(text.to_owned());
    Ok(())
}

/// `WSGIPythonHashSeed random|number`
///
/// Differs from mod_wsgi: `random` is random; the C module makes it the fixed seed 0.
pub fn python_hash_seed(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    let seed = if text == "random" { Ok(None) } else { text.parse().map(Some) };
    let refused = |_| format!("the seed must be the word random or a number from 0 to {}, not '{text}'", u32::MAX);
    config.python.hash_seed = Some(seed.map_err(refused)?);
    Ok(())
}

/// `WSGISwitchInterval seconds`
pub fn switch_interval(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    let interval = positive_seconds("WSGISwitchInterval", text)?;
    let interval = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
    in_section_or(
        command,
        |section| section.options.switch_interval = Some(interval),
        || {
            config.python.switch_interval = Some(interval);
        },
    )
}

/// `WSGIPythonPath folder[:folder…]`
pub fn python_path(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    let folders = crate::launch::split_path(Some(text));
    in_section_or(
        command,
        |section| section.options.python_path = folders,
        || {
            config.python.path = Some(text.to_owned());
        },
    )
}

/// Sets something of the section that is being read, or else of the whole server.
fn in_section_or(
    command: Command<'_>,
    inside: impl FnOnce(&mut InterpreterSection),
    outside: impl FnOnce(),
) -> Outcome {
    let is_inside = command.definitions(|definitions| definitions.open_section().map(inside).is_some());
    if is_inside {
        return Ok(());
    }
    command.must_be_global()?;
    outside();
    Ok(())
}

/// `<WSGIInterpreterOptions [process-group=G] [application-group=G]>`
pub fn interpreter_options(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    let arguments = text.trim_end().strip_suffix('>').ok_or("the opening line must end with >")?;
    let mut section = InterpreterSection::default();
    let mut words = Words::new(arguments);
    while let Some(option) = words.option() {
        let (name, value) = option?;
        let value = literal(value.as_bytes()).to_vec();
        let field = match name.to_ascii_lowercase().as_str() {
            "process-group" => &mut section.process_group,
            "application-group" => &mut section.options.application_group,
            _ => return Err(format!("'{name}' selects nothing here: process-group= and application-group= do")),
        };
        if field.replace(value).is_some() {
            return Err(format!("'{name}' stands there twice"));
        }
    }
    section.options.names_process_group = section.process_group.is_some();
    let is_nested = command.definitions(|definitions| {
        let is_nested = definitions.in_section;
        if !is_nested {
            definitions.sections.push(section);
            definitions.in_section = true;
        }
        is_nested
    });
    if is_nested {
        return Err("sections of interpreter options cannot stand inside of each other".into());
    }
    let read = command.read_inner();
    command.definitions(|definitions| definitions.in_section = false);
    read
}

/// `WSGIPerInterpreterGIL On|Off`
pub fn per_interpreter_gil(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    let on = on_off("WSGIPerInterpreterGIL", text)?;
    of_interpreters(command, |section| section.options.per_interpreter_gil = Some(on))
}

/// `WSGIFreeThreading On|Off`; in a section only where that is for whole processes.
pub fn free_threading(command: Command<'_>, _config: &mut ServerConfig, text: &str) -> Outcome {
    let on = on_off("WSGIFreeThreading", text)?;
    let position = command.position();
    of_interpreters(command, |section| section.free_threading = Some((on, position)))
}

/// Sets something of the section that is being read, or else of all interpreters.
fn of_interpreters(command: Command<'_>, set: impl FnOnce(&mut InterpreterSection)) -> Outcome {
    if !command.definitions(|definitions| definitions.in_section) {
        command.must_be_global()?;
    }
    command.definitions(|definitions| {
        if definitions.in_section {
            definitions.sections.last_mut().map(set);
        } else {
            set(&mut definitions.all_interpreters);
        }
    });
    Ok(())
}

macro_rules! telemetry {
    ($($(#[$doc:meta])* $name:ident = $set:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
            command.must_be_global()?;
            command.mention(Said::Value);
            config.telemetry.$set(text)
        }
    )*};
}

/// `WSGITelemetryService unix:/path [interval=seconds]`
pub fn telemetry_service(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
    command.must_be_global()?;
    if cfg!(not(unix)) {
        return Err(
            "WSGI7083: reports go to a datagram socket with a path, which Windows does not have: take this line out"
                .into(),
        );
    }
    config.telemetry.set_service(text)
}

telemetry! {
    /// `WSGISlowRequests seconds`
    slow_requests = set_slow_requests;
    /// `WSGITelemetryOptions [+|-]flag …|None|All`
    telemetry_options = set_options;
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $($field:ident).+;)*) => {$(
        $(#[$doc])*
        pub fn $name(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
            command.must_be_global()?;
            command.mention(Said::Value);
            config.$($field).+ = Some(text.to_owned());
            Ok(())
        }
    )*};
}

texts! {
    /// `WSGIPythonHome folder`
    python_home = python.home;
    /// `WSGIPythonEggs folder`
    python_eggs = python.eggs;
}

macro_rules! server_flags {
    ($($(#[$doc:meta])* $name:ident $directive:literal = $($field:ident).+;)*) => {$(
        $(#[$doc])*
        pub fn $name(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
            command.must_be_global()?;
            config.$($field).+ = Some(on_off($directive, text)?);
            Ok(())
        }
    )*};
}

server_flags! {
    /// `WSGIDontWriteBytecode On|Off`
    dont_write_bytecode "WSGIDontWriteBytecode" = python.dont_write_bytecode;
    /// `WSGIDestroyInterpreter On|Off`
    destroy_interpreter "WSGIDestroyInterpreter" = python.destroy_interpreters;
    /// `WSGIRestrictEmbedded On|Off`
    restrict_embedded "WSGIRestrictEmbedded" = restrict_embedded;
    /// `WSGIServerMetrics On|Off`
    server_metrics "WSGIServerMetrics" = server_metrics;
    /// `WSGICaseSensitivity On|Off`
    case_sensitivity "WSGICaseSensitivity" = python.case_sensitive;
}

macro_rules! interpreter_flags {
    ($($(#[$doc:meta])* $name:ident $directive:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(command: Command<'_>, config: &mut ServerConfig, text: &str) -> Outcome {
            let on = on_off($directive, text)?;
            in_section_or(command, |section| section.options.$name = Some(on), || config.python.$name = Some(on))
        }
    )*};
}

interpreter_flags! {
    /// `WSGIRestrictStdin On|Off`
    restrict_stdin "WSGIRestrictStdin";
    /// `WSGIRestrictStdout On|Off`
    restrict_stdout "WSGIRestrictStdout";
    /// `WSGIRestrictSignal On|Off`
    restrict_signal "WSGIRestrictSignal";
}

macro_rules! place_flags {
    ($($(#[$doc:meta])* $name:ident $directive:literal = $($field:ident).+;)*) => {$(
        $(#[$doc])*
        pub fn $name(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
            config.$($field).+ = Some(on_off($directive, text)?);
            Ok(())
        }
    )*};
}

place_flags! {
    /// `WSGIPassAuthorization On|Off`
    pass_authorization "WSGIPassAuthorization" = routing.pass_authorization;
    /// `WSGIScriptReloading On|Off`
    script_reloading "WSGIScriptReloading" = script_reloading;
    /// `WSGIErrorOverride On|Off`
    error_override "WSGIErrorOverride" = error_override;
    /// `WSGIEnableSendfile On|Off`
    enable_sendfile "WSGIEnableSendfile" = enable_sendfile;
    /// `WSGIPassApacheRequest On|Off`
    pass_apache_request "WSGIPassApacheRequest" = pass_apache_request;
    /// `WSGIIgnoreActivity On|Off`
    ignore_activity "WSGIIgnoreActivity" = ignore_activity;
    /// `WSGIServerTiming On|Off`
    server_timing "WSGIServerTiming" = server_timing;
    /// `WSGIChunkedRequest On|Off`
    chunked_request "WSGIChunkedRequest" = chunked_request;
}

/// `WSGIProcessGroup name`
pub fn process_group(command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    command.mention(Said::ProcessGroup(text.as_bytes().to_vec()));
    config.routing.process_group = Some(text.as_bytes().to_vec());
    Ok(())
}

/// `WSGIApplicationGroup name`
pub fn application_group(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    config.routing.application_group = Some(text.as_bytes().to_vec());
    Ok(())
}

/// `WSGICallableObject name`
pub fn callable_object(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    config.routing.callable = Some(text.as_bytes().to_vec());
    Ok(())
}

/// `WSGIRestrictProcess [group …]`; without a name nothing is allowed.
pub fn restrict_process(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    config.restrict_process =
        Some(Words::new(text).map(|name| literal(name.as_bytes()).to_ascii_lowercase()).collect());
    Ok(())
}

/// `WSGITrustedProxyHeaders header …`; a second one in the same place adds to the first. Names that tell nothing are
/// accepted and without effect, as in the C module.
pub fn trusted_proxy_headers(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    config.trusted_headers.get_or_insert_default().extend(Words::new(text).filter_map(|name| Header::named(&name)));
    Ok(())
}

/// `WSGITrustedProxies address-or-network …`; a second one in the same place adds to the first.
pub fn trusted_proxies(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    let networks = Words::new(text).map(|word| Network::parse(&word)).collect::<Result<Vec<_>, _>>()?;
    config.trusted_proxies.get_or_insert_default().extend(networks);
    Ok(())
}

/// `WSGIMapHEADToGET On|Off|Auto`
pub fn map_head_to_get(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    let map = match text.to_ascii_lowercase().as_str() {
        "on" => MapHead::On,
        "off" => MapHead::Off,
        "auto" => MapHead::Auto,
        _ => return Err(format!("WSGIMapHEADToGET must be On, Off or Auto, not '{text}'")),
    };
    config.map_head = Some(map);
    Ok(())
}

/// `WSGITraceContext On|Accept|Off`
pub fn trace_context(_command: Command<'_>, config: &mut DirConfig, text: &str) -> Outcome {
    let context = match text.to_ascii_lowercase().as_str() {
        "on" => TraceContext::On,
        "accept" => TraceContext::Accept,
        "off" => TraceContext::Off,
        _ => return Err(format!("WSGITraceContext must be On, Accept or Off, not '{text}'")),
    };
    config.trace_context = Some(context);
    Ok(())
}

/// `WSGIGroupAuthoritative On|Off`, without meaning since Apache 2.4, as in the C module.
pub fn group_authoritative(_command: Command<'_>, _config: &mut DirConfig, text: &str) -> Outcome {
    on_off("WSGIGroupAuthoritative", text).map(drop)
}
