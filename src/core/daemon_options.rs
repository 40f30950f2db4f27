//! The options of `WSGIDaemonProcess`: types, ranges, defaults and units.
//!
//! Differs from mod_wsgi: a number must be a number. The C module reads `threads=abc` as 0 and `1.5` as 1; here the
//! configuration is refused. Tests: `a_number_that_the_c_module_misreads_is_refused`.

use std::time::Duration;

use crate::board::SLOTS;
use crate::directive::{Refused, Words, on_off};

/// A user or group as written: a name, or `#` and a number.
pub type Principal = String;

/// What a `WSGIDaemonProcess` directive says. What it does not say is `None` where the default comes from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct DaemonOptions {
    /// Name of the group.
    pub name: String,
    /// Who runs the processes; default Apache's `User`.
    pub user: Option<Principal>,
    /// Their primary group; default Apache's `Group`.
    pub group: Option<Principal>,
    /// Their other groups; default those the system gives the user.
    pub supplementary_groups: Option<Vec<Principal>>,
    /// Number of processes; `None` is 1, and `wsgi.multiprocess` false.
    pub processes: Option<u32>,
    /// Worker threads per process.
    pub threads: u32,
    /// Process umask; default Apache's.
    pub umask: Option<u32>,
    /// New root directory.
    pub chroot: Option<String>,
    /// Working directory, put in front of `sys.path`.
    pub home: Option<String>,
    /// `LANG`.
    pub lang: Option<String>,
    /// `LC_ALL`.
    pub locale: Option<String>,
    /// Virtual environment or prefix of the Python to run; default `WSGIPythonHome`.
    pub python_home: Option<String>,
    /// Directories for `site.addsitedir()`, joined by colons.
    pub python_path: Option<String>,
    /// `PYTHON_EGG_CACHE`.
    pub python_eggs: Option<String>,
    /// `sys.setswitchinterval()`.
    pub switch_interval: Option<Duration>,
    /// Stack size of worker threads in bytes; 0 is the platform's.
    pub stack_size: u64,
    /// Requests after which a process is replaced; 0 is never.
    pub maximum_requests: u64,
    /// Time until a script must have loaded, from the first request; zero is no limit.
    pub startup_timeout: Duration,
    /// Time for the end of a process; zero is no limit.
    pub shutdown_timeout: Duration,
    /// Time without progress of the interpreter after which the process is replaced; zero is no limit.
    pub deadlock_timeout: Duration,
    /// Idle time after which the process is replaced; zero is no limit.
    pub inactivity_timeout: Duration,
    /// Time for one request; zero is no limit.
    pub request_timeout: Duration,
    /// Time for a request to end after `mod_wsgi.RequestTimeout`; zero injects nothing.
    pub interrupt_timeout: Duration,
    /// Time for running requests to end when a process is replaced.
    pub graceful_timeout: Duration,
    /// As `graceful_timeout`, for SIGUSR1; zero takes that one.
    pub eviction_timeout: Duration,
    /// Uptime after which a process is replaced; zero is never.
    pub restart_interval: Duration,
    /// Total time of an Apache child's attempts to connect.
    pub connect_timeout: Duration,
    /// Time for one read or write between child and daemon; zero takes the server's `Timeout`.
    pub socket_timeout: Duration,
    /// Time a request may have waited when a thread takes it; zero is no limit.
    pub queue_timeout: Duration,
    /// Length of the listening socket's queue, in connections.
    pub listen_backlog: u32,
    /// Title of the processes; `%{GROUP}` is `(wsgi:name)`.
    pub display_name: Option<String>,
    /// `SO_SNDBUF` of the socket in bytes; 0 is the system's.
    pub send_buffer_size: u32,
    /// `SO_RCVBUF` of the socket in bytes; 0 is the system's.
    pub receive_buffer_size: u32,
    /// The C module's buffer for a response header in bytes. No meaning here: headers of any length pass.
    pub header_buffer_size: u32,
    /// Bytes of a response that may wait unflushed in an Apache child; 0 is 8 MiB.
    pub response_buffer_size: u64,
    /// Time for one write to the client; zero takes `socket_timeout`.
    pub response_socket_timeout: Duration,
    /// Time to wait for more of a response before what is there is flushed.
    pub response_flush_delay: Duration,
    /// Owner of the socket file; default Apache's `User`.
    pub socket_user: Option<Principal>,
    /// Required owner of script and directory.
    pub script_user: Option<Principal>,
    /// Required group of script and directory.
    pub script_group: Option<Principal>,
    /// CPU time of a process; zero is no limit.
    pub cpu_time_limit: Duration,
    /// Nice value; 0 leaves it.
    pub cpu_priority: i32,
    /// Data segment in bytes; 0 is no limit.
    pub memory_limit: u64,
    /// Address space in bytes; 0 is no limit.
    pub virtual_memory_limit: u64,
    /// Whether `mod_wsgi.server_metrics()` answers.
    pub server_metrics: bool,
    /// Whether programs that a process executes cannot have more rights than it has. Ours alone; the C module has no such
    /// option, and its processes have no such limit.
    pub no_new_privileges: bool,
}

/// Worker threads per process when nothing is said.
pub const DEFAULT_THREADS: u32 = 15;
/// The most worker threads a process can have.
pub const MOST_THREADS: u32 = 65533;

impl DaemonOptions {
    /// The group `name` with every option at its default.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            user: None,
            group: None,
            supplementary_groups: None,
            processes: None,
            threads: DEFAULT_THREADS,
            umask: None,
            chroot: None,
            home: None,
            lang: None,
            locale: None,
            python_home: None,
            python_path: None,
            python_eggs: None,
            switch_interval: None,
            stack_size: 0,
            maximum_requests: 0,
            startup_timeout: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(5),
            deadlock_timeout: Duration::from_secs(300),
            inactivity_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            interrupt_timeout: Duration::ZERO,
            graceful_timeout: Duration::from_secs(15),
            eviction_timeout: Duration::ZERO,
            restart_interval: Duration::ZERO,
            connect_timeout: Duration::from_secs(15),
            socket_timeout: Duration::ZERO,
            queue_timeout: Duration::ZERO,
            listen_backlog: 100,
            display_name: None,
            send_buffer_size: 0,
            receive_buffer_size: 0,
            header_buffer_size: 0,
            response_buffer_size: 0,
            response_socket_timeout: Duration::ZERO,
            response_flush_delay: Duration::from_millis(5),
            socket_user: None,
            script_user: None,
            script_group: None,
            cpu_time_limit: Duration::ZERO,
            cpu_priority: 0,
            memory_limit: 0,
            virtual_memory_limit: 0,
            server_metrics: false,
            no_new_privileges: true,
        }
    }

    /// Reads the arguments of a `WSGIDaemonProcess` directive.
    ///
    /// # Errors
    /// A sentence fragment that names the option, its value, and what it takes.
    pub fn parse(line: &str) -> Result<Self, Refused> {
        let mut words = Words::new(line);
        let name = words.next().filter(|name| !name.is_empty());
        let name =
            name.ok_or("the name of the daemon process group is missing: WSGIDaemonProcess name [option=value …]")?;
        let mut options = Self::named(&name);
        while let Some(option) = words.option() {
            let (name, value) = option?;
            options.set(&name, value)?;
        }
        if options.script_user.is_some() && options.script_group.is_some() {
            return Err("script-user and script-group cannot be given together: choose one".into());
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Refused> {
        let seconds = || whole(name, &value, 0..=i32::MAX as u64).map(Duration::from_secs);
        match name {
            "user" => self.user = Some(text(name, value)?),
            "group" => self.group = Some(text(name, value)?),
            "supplementary-groups" => {
                let groups = value.split(',').map(str::to_owned).filter(|group| !group.is_empty());
                self.supplementary_groups = Some(groups.collect());
            }
            "processes" => self.processes = Some(whole(name, &value, 1..=SLOTS as u64 / 2)? as u32),
            "threads" => self.threads = whole(name, &value, 0..=u64::from(MOST_THREADS))? as u32,
            "umask" => self.umask = Some(octal(name, &value)?),
            "chroot" => self.chroot = Some(absolute(name, value)?),
            "home" => self.home = Some(absolute(name, value)?),
            "lang" => self.lang = Some(value),
            "locale" => self.locale = Some(value),
            "python-home" => self.python_home = Some(text(name, value)?),
            "python-path" => self.python_path = Some(value),
            "python-eggs" => self.python_eggs = Some(value),
            "switch-interval" => self.switch_interval = Some(positive_seconds(name, &value)?),
            "stack-size" => self.stack_size = whole(name, &value, 1..=u64::from(u32::MAX))?,
            "maximum-requests" => self.maximum_requests = whole(name, &value, 0..=i32::MAX as u64)?,
            "startup-timeout" => self.startup_timeout = seconds()?,
            "shutdown-timeout" => self.shutdown_timeout = seconds()?,
            "deadlock-timeout" => self.deadlock_timeout = seconds()?,
            "inactivity-timeout" => self.inactivity_timeout = seconds()?,
            "request-timeout" => self.request_timeout = seconds()?,
            "interrupt-timeout" => self.interrupt_timeout = seconds()?,
            "graceful-timeout" => self.graceful_timeout = seconds()?,
            "eviction-timeout" => self.eviction_timeout = seconds()?,
            "restart-interval" => self.restart_interval = seconds()?,
            "connect-timeout" => self.connect_timeout = seconds()?,
            "socket-timeout" => self.socket_timeout = seconds()?,
            "queue-timeout" => self.queue_timeout = seconds()?,
            "listen-backlog" => self.listen_backlog = whole(name, &value, 0..=i32::MAX as u64)? as u32,
            "display-name" => self.display_name = Some(text(name, value)?),
            "send-buffer-size" => self.send_buffer_size = buffer(name, &value, 512)? as u32,
            "receive-buffer-size" => self.receive_buffer_size = buffer(name, &value, 512)? as u32,
            "header-buffer-size" => self.header_buffer_size = buffer(name, &value, 8192)? as u32,
            "response-buffer-size" => self.response_buffer_size = buffer(name, &value, 65536)?,
            "response-socket-timeout" => self.response_socket_timeout = seconds()?,
            "response-flush-delay" => {
                self.response_flush_delay = Duration::from_millis(whole(name, &value, 0..=i32::MAX as u64)?);
            }
            "socket-user" => self.socket_user = Some(text(name, value)?),
            "script-user" => self.script_user = Some(text(name, value)?),
            "script-group" => self.script_group = Some(text(name, value)?),
            "cpu-time-limit" => self.cpu_time_limit = seconds()?,
            "cpu-priority" => self.cpu_priority = priority(name, &value)?,
            "memory-limit" => self.memory_limit = whole(name, &value, 0..=i64::MAX as u64)?,
            "virtual-memory-limit" => self.virtual_memory_limit = whole(name, &value, 0..=i64::MAX as u64)?,
            "server-metrics" => self.server_metrics = on_off(name, &value)?,
            "no-new-privileges" => self.no_new_privileges = on_off(name, &value)?,
            unknown => return Err(format!("'{unknown}' is not an option of WSGIDaemonProcess")),
        }
        Ok(())
    }

    /// The title the processes get, if any.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        self.display_name.as_ref().map(|name| match name.as_str() {
            "%{GROUP}" => format!("(wsgi:{})", self.name),
            name => name.to_owned(),
        })
    }
}

fn text(name: &str, value: String) -> Result<String, Refused> {
    if value.is_empty() { Err(format!("{name} is empty")) } else { Ok(value) }
}

fn absolute(name: &str, value: String) -> Result<String, Refused> {
    if value.starts_with('/') { Ok(value) } else { Err(format!("{name} must be an absolute path, not '{value}'")) }
}

fn whole(name: &str, value: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, Refused> {
    let number = Some(value)
        .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|value| value.parse().ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        format!("{name} must be a whole number from {} to {}, not '{value}'", range.start(), range.end())
    })
}

fn buffer(name: &str, value: &str, least: u64) -> Result<u64, Refused> {
    match whole(name, value, 0..=i32::MAX as u64)? {
        number if number == 0 || number >= least => Ok(number),
        number => Err(format!("{name} must be 0, for the default, or at least {least} bytes, not {number}")),
    }
}

fn octal(name: &str, value: &str) -> Result<u32, Refused> {
    u32::from_str_radix(value, 8)
        .ok()
        .filter(|mask| *mask <= 0o777 && !value.starts_with('+'))
        .ok_or_else(|| format!("{name} must be an octal number from 0 to 0777, not '{value}'"))
}

fn priority(name: &str, value: &str) -> Result<i32, Refused> {
    value
        .parse()
        .ok()
        .filter(|number| (-20..=20).contains(number))
        .ok_or_else(|| format!("{name} must be a whole number from -20 to 20, not '{value}'"))
}

/// A positive number of seconds, with fractions.
///
/// # Errors
/// Names the directive or option.
pub fn positive_seconds(name: &str, value: &str) -> Result<Duration, Refused> {
    value
        .parse::<f64>()
        .ok()
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{name} must be a number of seconds above 0, not '{value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_options_has_the_defaults() {
        let options = DaemonOptions::parse("site").unwrap();
        assert_eq!(options, DaemonOptions::named("site"));
        assert_eq!((options.threads, options.processes, options.listen_backlog), (15, None, 100));
    }

    #[test]
    fn options_are_read_with_their_units() {
        let options = DaemonOptions::parse(
            r#"site user=#33 threads=3 processes=2 home="/srv/a b" umask=0027 response-flush-delay=7 queue-timeout=9"#,
        )
        .unwrap();
        assert_eq!(options.user.as_deref(), Some("#33"));
        assert_eq!((options.threads, options.processes, options.umask), (3, Some(2), Some(0o027)));
        assert_eq!(options.home.as_deref(), Some("/srv/a b"));
        assert_eq!(options.response_flush_delay, Duration::from_millis(7));
        assert_eq!(options.queue_timeout, Duration::from_secs(9));
    }

    #[test]
    fn a_number_that_the_c_module_misreads_is_refused() {
        for option in
            ["threads=abc", "threads=1.5", "threads=-1", "threads=", "threads=65534", "processes=0", "umask=9"]
        {
            let refused = DaemonOptions::parse(&format!("site {option}")).unwrap_err();
            let name = option.split('=').next().unwrap();
            assert!(refused.starts_with(&format!("{name} must be")), "{refused}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, said) in [
            ("", "the name of the daemon process group is missing"),
            ("site thread=3", "'thread' is not an option of WSGIDaemonProcess"),
            ("site threads", "'threads' is not an option of the form name=value"),
            ("site home=relative", "home must be an absolute path, not 'relative'"),
            (
                "site send-buffer-size=100",
                "send-buffer-size must be 0, for the default, or at least 512 bytes, not 100",
            ),
            ("site stack-size=0", "stack-size must be a whole number from 1"),
            ("site script-user=a script-group=b", "script-user and script-group cannot be given together"),
        ] {
            let refused = DaemonOptions::parse(line).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn the_group_gives_the_title() {
        let options = DaemonOptions::parse("site display-name=%{GROUP}").unwrap();
        assert_eq!(options.title().as_deref(), Some("(wsgi:site)"));
    }
}
