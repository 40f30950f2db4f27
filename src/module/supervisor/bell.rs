//! How httpd's parent is woken. It looks for ended children, and calls nobody else in between: so a child of it ends when
//! there is something for us to do. Daemons ring by a byte in a pipe, which a sleeping shell reads; a time that is to pass
//! is another sleeping program.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mod_wsgi_core::wire::LogLevel;

use crate::apache::child::{self, Watch};
use crate::apache::log;
use crate::apache::server::Server;
use crate::sys::spawn::{self, Principal, Recipe};

/// How often the bell may ring in a second, so that a daemon gone wild does not keep the parent busy. Beyond that it is
/// answered a second later.
const MOST_RINGS: u32 = 20;

/// A child that only sleeps.
#[derive(Debug)]
struct Sleeper {
    pid: i32,
    watch: Option<Watch>,
}

impl Sleeper {
    fn start(main: Server<'_>, name: &CString, command: &[&str], input: Option<BorrowedFd<'_>>) -> Option<Self> {
        let c_string = |text: &str| CString::new(text).unwrap_or_default();
        let (uid, gid) = child::unix_identity();
        let principal = rustix::process::geteuid().is_root().then(|| Principal { uid, gid, groups: vec![gid] });
        let recipe = Recipe {
            program: c_string("/bin/sh"),
            arguments: [name.clone()].into_iter().chain(command.iter().map(|word| c_string(word))).collect(),
            environment: vec![c_string("PATH=/usr/bin:/bin")],
            become_user: principal,
            chroot: None,
            folder: Some(c_string("/")),
            umask: None,
            priority: 0,
            limits: Vec::new(),
            may_gain_rights: false,
        };
        match spawn::spawn_helper(&recipe, input) {
            Ok(pid) => Some(Self { pid, watch: Watch::start(main, pid) }),
            Err(failure) => {
                let error = std::io::Error::from_raw_os_error(failure.errno);
                let text = format!(
                    "WSGI7080: daemon processes are looked after every ten seconds only, since /bin/sh cannot be started to \
                     wake httpd: {}: {error}",
                    failure.step.text()
                );
                log::main_server(LogLevel::Warning, text.as_bytes());
                None
            }
        }
    }

    fn end(self) {
        spawn::signal(self.pid, libc::SIGKILL);
        while !spawn::has_ended(self.pid) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.forget();
    }

    fn forget(self) {
        if let Some(watch) = self.watch {
            watch.end();
        }
    }
}

/// The bell of this httpd, and its alarm clocks.
#[derive(Debug)]
pub struct Bell {
    heard: OwnedFd,
    rope: Arc<OwnedFd>,
    sleeper: Option<Sleeper>,
    alarms: Vec<Sleeper>,
    second: Instant,
    rings: u32,
}

impl Bell {
    /// A bell that nobody listens to yet.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new() -> std::io::Result<Self> {
        let (heard, rope) = crate::sys::descriptors::pipe()?;
        // A daemon does not wait for somebody to hear it.
        rustix::io::ioctl_fionbio(&rope, true)?;
        Ok(Self { heard, rope: Arc::new(rope), sleeper: None, alarms: Vec::new(), second: Instant::now(), rings: 0 })
    }

    /// What daemons ring with.
    #[must_use]
    pub fn rope(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.rope)
    }

    /// Listens, if nobody does.
    pub fn listen(&mut self, main: Server<'_>) {
        if self.sleeper.is_some() {
            return;
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.rings) = (Instant::now(), 0);
        }
        self.rings += 1;
        if self.rings > MOST_RINGS {
            if self.alarms.is_empty() {
                self.set_alarm(main, Duration::from_secs(1));
            }
        } else {
            self.drain();
            self.sleeper =
                Sleeper::start(main, &CString::from(c"(wsgi:bell)"), &["-c", "read -r line"], Some(self.heard.as_fd()));
        }
    }

    /// Forgets how often it was rung.
    fn drain(&self) {
        let mut bytes = [0; 256];
        while rustix::io::ioctl_fionread(&self.heard).is_ok_and(|waiting| waiting > 0) {
            if !rustix::io::read(&self.heard, &mut bytes).is_ok_and(|length| length > 0) {
                return;
            }
        }
    }

    /// Wakes the parent after that time.
    pub fn set_alarm(&mut self, main: Server<'_>, after: Duration) {
        let command = format!("exec sleep {}", after.as_secs().max(1));
        self.alarms.extend(Sleeper::start(main, &CString::from(c"(wsgi:alarm)"), &["-c", &command], None));
    }

    /// Whether the child that has ended was one of these.
    pub fn was_it(&mut self, pid: i32) -> bool {
        if let Some(sleeper) = self.sleeper.take_if(|sleeper| sleeper.pid == pid) {
            sleeper.forget();
            return true;
        }
        let Some(at) = self.alarms.iter().position(|alarm| alarm.pid == pid) else { return false };
        self.alarms.remove(at).forget();
        true
    }

    /// Ends the sleeping children.
    pub fn stop(self) {
        self.sleeper.into_iter().chain(self.alarms).for_each(Sleeper::end);
    }
}
