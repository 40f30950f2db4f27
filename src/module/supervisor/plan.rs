//! How a group's processes are started: from its directive and the server's to a [`Recipe`] and a [`Launch`].

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mod_wsgi_core::launch::{Launch, Preload};

use crate::apache::child;
use crate::apache::server::Server;
use crate::config::{GroupDefinition, PythonConfig};
use crate::identity::{self, Identity, User};
use crate::launch::{shared, split_path};
use crate::python::{self, START_SCRIPT};
use crate::sys::spawn::{Principal, Recipe, Resource};

/// What of httpd's environment a daemon keeps; nothing else of it, so that no secret of the server's goes along.
///
/// Differs from mod_wsgi, whose daemons get it all: see docs/differences.md.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "LANG", "LANGUAGE", "TZ"];
const KEPT_PREFIXES: [&str; 2] = ["LC_", "PYTHON"];

/// How the processes of one group are started.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The group's directive.
    pub definition: GroupDefinition,
    /// Number of processes.
    pub processes: u32,
    /// How to start one, or why not.
    pub recipe: Result<Recipe, String>,
    /// What one is told; slot and predecessors are filled in for each.
    pub launch: Launch,
    /// Who they are, for messages.
    pub identity: Identity,
    /// The program, for messages.
    pub program: Option<PathBuf>,
    /// Where script aliases lead that may be for this group.
    pub targets: Vec<Vec<u8>>,
    /// The descriptor of the log of the server the group stands in; 2 is the main one.
    pub log: i32,
}

impl Plan {
    /// The plan of a group.
    pub fn new(
        main: Server<'_>,
        server: Server<'_>,
        definition: GroupDefinition,
        python: &PythonConfig,
        preload: Vec<Preload>,
        hosts: Option<&Path>,
    ) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let (apache_uid, apache_gid) = if is_root { child::unix_identity() } else { own_identity() };
        let user = match &definition.named.user {
            Some(user) if is_root => Some(user.clone()),
            _ => identity::user_by_id(apache_uid),
        };
        let uid = user.as_ref().map_or(apache_uid, |user| user.uid);
        let gid = definition.named.group.filter(|_| is_root).unwrap_or(apache_gid);
        let groups = match &definition.named.supplementary_groups {
            Some(groups) => std::iter::once(gid).chain(groups.iter().copied()).collect(),
            None => identity::groups_of(user.as_ref(), gid),
        };
        let principal = Principal { uid, gid, groups: groups.clone() };

        let options = &definition.options;
        let home = options.python_home.as_deref().or(python.home.as_deref());
        let identity = Identity { uid, groups: groups.clone() };
        let program = python::program(home, |path| identity.first_refusal(path, 1).is_none());
        let hosts = hosts
            .ok_or_else(|| format!("WSGI7058: {START_SCRIPT} is not found beside mod_wsgi.so; reinstall the package"));
        let recipe = match (&program, hosts) {
            (Ok(program), Ok(hosts)) => Ok(Recipe {
                program: c_string(program.as_os_str().as_bytes()),
                arguments: arguments(program, hosts, python, &options.name),
                environment: environment(options, python, user.as_ref()),
                become_user: is_root.then_some(principal),
                chroot: options.chroot.as_ref().map(|path| c_string(path.as_bytes())),
                folder: folder(options.home.as_deref(), user.as_ref(), uid != apache_uid),
                umask: options.umask,
                priority: options.cpu_priority,
                limits: limits(options),
                may_gain_rights: !options.no_new_privileges,
            }),
            (Err(reason), _) => Err(format!("WSGI7051: {reason}")),
            (_, Err(reason)) => Err(reason),
        };
        let launch = launch(main, &definition, python, preload, apache_uid);
        Self {
            processes: options.processes.unwrap_or(1),
            recipe,
            launch,
            identity,
            program: program.ok(),
            targets: Vec::new(),
            log: server.error_log().or_else(|| main.error_log()).unwrap_or(2),
            definition,
        }
    }
}

impl Plan {
    /// The name of its group.
    pub fn name(&self) -> &str {
        &self.definition.options.name
    }

    /// What would keep its processes from starting, as far as can be told without.
    pub fn fault(&self) -> Option<String> {
        let name = self.name();
        if let Err(reason) = &self.recipe {
            let (number, reason) = reason.split_once(": ").unwrap_or(("WSGI7051", reason));
            return Some(format!("{number}: daemon process group '{name}': {reason}; requests for it get 503"));
        }
        let program = self.program.as_ref()?;
        let refusing = self.identity.first_refusal(program, 1)?;
        Some(format!(
            "WSGI7054: daemon process group '{name}': {} may not pass '{}' on the way to '{}'; requests for it get 503",
            self.identity.describe(),
            refusing.display(),
            program.display()
        ))
    }

    /// Who its processes are, and the first part of a path that does not let them read the file.
    pub fn refusal(&self, script: &Path) -> Option<(String, PathBuf)> {
        Some((self.identity.describe(), self.identity.first_refusal(script, 4)?))
    }

    /// Why `script-user` or `script-group` forbids a script: the number of the message, and its text.
    pub fn owner_fault(&self, script: &Path) -> Option<(&'static str, String)> {
        identity::owner_fault(&self.definition.options, script)
    }

    /// Whether an alias that may be for this group leads to a script.
    pub fn leads_to(&self, script: &[u8]) -> bool {
        let is_under = |rest: &[u8], target: &[u8]| rest.is_empty() || rest.starts_with(b"/") || target.ends_with(b"/");
        self.targets.iter().any(|target| script.strip_prefix(&target[..]).is_some_and(|rest| is_under(rest, target)))
    }

    /// Whether a free-threaded Python does without its lock; any other Python knows no such option.
    pub fn set_free_threading(&mut self, on: bool) {
        let is_free_threaded = self.program.as_deref().is_some_and(python::is_free_threaded);
        if let Some(recipe) = self.recipe.as_mut().ok().filter(|_| is_free_threaded) {
            let option = if on { c"-Xgil=0" } else { c"-Xgil=1" };
            // Behind the program's own name.
            recipe.arguments.insert(1, option.to_owned());
        }
    }
}

fn own_identity() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// A C string of what comes from a configuration, which holds no NUL.
fn c_string(bytes: &[u8]) -> CString {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

fn arguments(program: &Path, hosts: &Path, python: &PythonConfig, group: &str) -> Vec<CString> {
    let mut arguments = vec![program.as_os_str().as_bytes().to_vec()];
    match python.optimize {
        Some(1) => arguments.push(b"-O".to_vec()),
        Some(2) => arguments.push(b"-OO".to_vec()),
        _ => {}
    }
    if python.dont_write_bytecode == Some(true) {
        arguments.push(b"-B".to_vec());
    }
    for filter in &python.warnings {
        arguments.push([b"-W", filter.as_bytes()].concat());
    }
    arguments.push(hosts.join(START_SCRIPT).as_os_str().as_bytes().to_vec());
    arguments.push(format!("wsgi:{group}").into_bytes());
    arguments.iter().map(|argument| c_string(argument)).collect()
}

fn environment(
    options: &mod_wsgi_core::daemon_options::DaemonOptions,
    python: &PythonConfig,
    user: Option<&User>,
) -> Vec<CString> {
    let kept = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        KEPT_VARIABLES.contains(&&*name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let mut variables: Vec<(Vec<u8>, Vec<u8>)> =
        kept.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let mut set = |name: &str, value: &[u8]| {
        variables.retain(|(other, _)| other != name.as_bytes());
        variables.push((name.as_bytes().to_vec(), value.to_vec()));
    };
    if let Some(user) = user {
        for name in ["USER", "USERNAME", "LOGNAME"] {
            set(name, user.name.as_bytes());
        }
        set("HOME", user.home.as_os_str().as_bytes());
    }
    if let Some(lang) = &options.lang {
        set("LANG", lang.as_bytes());
    }
    if let Some(locale) = &options.locale {
        set("LC_ALL", locale.as_bytes());
    }
    match python.hash_seed {
        Some(Some(seed)) => set("PYTHONHASHSEED", seed.to_string().as_bytes()),
        Some(None) => set("PYTHONHASHSEED", b"random"),
        None => {}
    }
    // A Python home belongs to one Python; ours is the program's own.
    variables.retain(|(name, _)| name != b"PYTHONHOME" && name != b"PYTHONEXECUTABLE");
    variables.into_iter().map(|(name, value)| c_string(&[&name[..], b"=", &value].concat())).collect()
}

/// `home`, else the user's home folder where that user is not Apache's.
fn folder(home: Option<&str>, user: Option<&User>, is_other_user: bool) -> Option<CString> {
    match (home, user) {
        (Some(home), _) => Some(c_string(home.as_bytes())),
        (None, Some(user)) if is_other_user => Some(c_string(user.home.as_os_str().as_bytes())),
        _ => None,
    }
}

fn limits(options: &mod_wsgi_core::daemon_options::DaemonOptions) -> Vec<(Resource, u64, u64)> {
    let mut limits = Vec::new();
    let seconds = options.cpu_time_limit.as_secs();
    if seconds > 0 {
        limits.push((libc::RLIMIT_CPU, seconds, seconds + 1 + options.shutdown_timeout.as_secs()));
    }
    if options.memory_limit > 0 {
        limits.push((libc::RLIMIT_DATA, options.memory_limit, options.memory_limit));
    }
    if options.virtual_memory_limit > 0 {
        limits.push((libc::RLIMIT_AS, options.virtual_memory_limit, options.virtual_memory_limit));
    }
    limits
}

fn launch(
    main: Server<'_>,
    definition: &GroupDefinition,
    python: &PythonConfig,
    preload: Vec<Preload>,
    apache_uid: u32,
) -> Launch {
    let options = &definition.options;
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let socket_timeout = milliseconds(options.socket_timeout);
    Launch {
        process_group: options.name.clone().into_bytes(),
        processes: options.processes.unwrap_or(1),
        threads: options.threads,
        multiprocess: options.processes.is_some(),
        peers: vec![apache_uid],
        home: options.home.clone().map(String::into_bytes),
        python_path: split_path(options.python_path.as_deref()),
        python_eggs: options.python_eggs.clone().map(String::into_bytes),
        // As with the C module, the server's interval counts in daemons too, unless the group has its own.
        switch_interval: match options.switch_interval {
            Some(interval) => Some(u64::try_from(interval.as_micros()).unwrap_or(u64::MAX)),
            None => python.switch_interval,
        },
        display_name: options.title().map(String::into_bytes),
        stack_size: options.stack_size,
        locale: options.locale.clone().map(String::into_bytes),
        socket_timeout: if socket_timeout == 0 { main.timeout() } else { socket_timeout },
        queue_timeout: milliseconds(options.queue_timeout),
        maximum_requests: options.maximum_requests,
        restart_interval: milliseconds(options.restart_interval),
        inactivity_timeout: milliseconds(options.inactivity_timeout),
        request_timeout: milliseconds(options.request_timeout),
        interrupt_timeout: milliseconds(options.interrupt_timeout),
        startup_timeout: milliseconds(options.startup_timeout),
        deadlock_timeout: milliseconds(options.deadlock_timeout),
        eviction_timeout: milliseconds(options.eviction_timeout),
        graceful_timeout: milliseconds(options.graceful_timeout),
        shutdown_timeout: milliseconds(options.shutdown_timeout),
        server_metrics: options.server_metrics,
        preload,
        ..shared(main, python)
    }
}
