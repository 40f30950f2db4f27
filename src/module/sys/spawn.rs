//! Starts a daemon process: fork, become the group's user, keep nothing of httpd's, execute Python.
//!
//! Between fork and exec nothing allocates and nothing but system calls happens; what went wrong comes back through a
//! pipe, so that the parent can say it in one line. The order of the steps is the C module's
//! (`daemon-mode`: title, priority, chroot, groups, user, folder, umask, limits).
//!
//! `posix_spawn` would be the choice where fork is unsafe, as with macOS's frameworks; it can neither change the user nor the
//! root. It is not needed either: the new process calls none of them, nor anything else that POSIX does not allow there.

use std::ffi::{CString, c_char, c_int};
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Everything a new process is made from.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The program, absolute.
    pub program: CString,
    /// Its arguments, the program's name first.
    pub arguments: Vec<CString>,
    /// Its whole environment, `NAME=value`.
    pub environment: Vec<CString>,
    /// Who it becomes; `None` where httpd was not started as root.
    pub become_user: Option<Principal>,
    /// New root folder.
    pub chroot: Option<CString>,
    /// Working folder.
    pub folder: Option<CString>,
    /// Umask.
    pub umask: Option<u32>,
    /// Nice value; 0 leaves it.
    pub priority: i32,
    /// Limits: resource, soft, hard.
    pub limits: Vec<(Resource, u64, u64)>,
    /// Whether programs that it executes may have more rights than it has (set-user-ID and the like).
    pub may_gain_rights: bool,
}

/// What is limited, a `RLIMIT_` of the system.
#[cfg(target_os = "linux")]
pub type Resource = u32;
/// What is limited, a `RLIMIT_` of the system.
#[cfg(not(target_os = "linux"))]
pub type Resource = libc::c_int;

/// User id, group id and all groups of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// The descriptors a process gets besides `/dev/null` as 0.
#[derive(Debug)]
pub struct Descriptors<'d> {
    /// Becomes 1 and 2.
    pub log: RawFd,
    /// The control socket becomes 3.
    pub listener: BorrowedFd<'d>,
    /// The group's page becomes 5.
    pub board: BorrowedFd<'d>,
    /// The bell becomes 6.
    pub bell: BorrowedFd<'d>,
    /// Control sockets of predecessors become 7 and on.
    pub predecessors: Vec<BorrowedFd<'d>>,
}

/// A step that did not work, and what the system answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Which step.
    pub step: Step,
    /// The `errno`.
    pub errno: i32,
}

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A step between fork and exec.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Step { $($(#[$doc])* $name,)* }

        impl Step {
            fn from_byte(byte: u8) -> Self {
                $(if byte == Step::$name as u8 { return Self::$name; })*
                Self::Exec
            }

            /// What was tried, as a sentence fragment.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

steps! {
    /// Pipes, sockets and fork, in the parent.
    Fork = "a new process cannot be made",
    /// The nice value.
    Priority = "its priority cannot be set to cpu-priority",
    /// The new root folder.
    Chroot = "its root cannot be set to chroot",
    /// The group id.
    Group = "it cannot change to its group",
    /// The other groups.
    Groups = "it cannot take its supplementary groups",
    /// The user id.
    User = "it cannot change to its user",
    /// The working folder.
    Folder = "it cannot enter its working folder",
    /// The rights of the system's administrator.
    Rights = "it cannot give up the rights that programs of others could give it",
    /// The limits.
    Limits = "its limits cannot be set",
    /// The descriptors.
    Descriptors = "its descriptors cannot be set up",
    /// Python itself.
    Exec = "its Python cannot be executed",
}

/// Starts a process; answers its id and this end of its control socket.
///
/// # Errors
/// The step that failed, and how.
pub fn spawn(recipe: &Recipe, descriptors: &Descriptors<'_>) -> Result<(i32, UnixStream), Failure> {
    let (ours, theirs) = UnixStream::pair().map_err(cannot_fork)?;
    let null = null()?;
    let mut sources = vec![null.as_raw_fd(), descriptors.log, descriptors.log, theirs.as_raw_fd()];
    sources.push(descriptors.listener.as_raw_fd());
    sources.push(descriptors.board.as_raw_fd());
    sources.push(descriptors.bell.as_raw_fd());
    sources.extend(descriptors.predecessors.iter().map(AsRawFd::as_raw_fd));
    Ok((start(recipe, sources)?, ours))
}

/// Starts a program that does nothing but end at the right moment; answers its id. Its input is `input`, or empty.
///
/// # Errors
/// The step that failed, and how.
pub fn spawn_helper(recipe: &Recipe, input: Option<BorrowedFd<'_>>) -> Result<i32, Failure> {
    let null = null()?;
    let input = input.map_or(null.as_raw_fd(), |input| input.as_raw_fd());
    start(recipe, vec![input, null.as_raw_fd(), null.as_raw_fd()])
}

fn cannot_fork(error: std::io::Error) -> Failure {
    Failure { step: Step::Fork, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

fn null() -> Result<std::fs::File, Failure> {
    std::fs::File::options().read(true).write(true).open("/dev/null").map_err(cannot_fork)
}

/// Starts a process whose descriptors 0, 1 and so on are the sources; answers its id.
fn start(recipe: &Recipe, sources: Vec<RawFd>) -> Result<i32, Failure> {
    let (report, reporter) = super::descriptors::pipe().map_err(cannot_fork)?;
    let child = Child::new(recipe, sources, reporter.as_raw_fd());
    // SAFETY: httpd's parent has one thread when it starts processes; the child only makes system calls on what was
    // prepared before (see `Child::run`), and never returns.
    match unsafe { libc::fork() } {
        -1 => Err(cannot_fork(std::io::Error::last_os_error())),
        0 => child.run(),
        pid => {
            drop(reporter);
            let mut said = [0_u8; 5];
            match std::fs::File::from(report).read_exact(&mut said) {
                // The pipe was closed by exec.
                Err(_) => Ok(pid),
                Ok(()) => {
                    let [step, a, b, c, d] = said;
                    // SAFETY: a child of ours that has reported its failure and is about to exit.
                    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
                    Err(Failure { step: Step::from_byte(step), errno: i32::from_ne_bytes([a, b, c, d]) })
                }
            }
        }
    }
}

/// What the new process needs, all of it made before the fork.
struct Child<'r> {
    recipe: &'r Recipe,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// The descriptor that becomes 0, the one that becomes 1, and so on; overwritten while they are moved.
    sources: Vec<RawFd>,
    reporter: RawFd,
}

impl<'r> Child<'r> {
    fn new(recipe: &'r Recipe, sources: Vec<RawFd>, reporter: RawFd) -> Self {
        let pointers =
            |texts: &'r [CString]| texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        let (arguments, environment) = (pointers(&recipe.arguments), pointers(&recipe.environment));
        Self { recipe, arguments, environment, sources, reporter }
    }

    fn run(mut self) -> ! {
        let failure = match self.prepare() {
            Err(failure) => failure,
            Ok(()) => {
                // SAFETY: all three are NUL-terminated and outlive the call.
                unsafe {
                    libc::execve(self.recipe.program.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr());
                }
                last(Step::Exec)
            }
        };
        let [a, b, c, d] = failure.errno.to_ne_bytes();
        let said = [failure.step as u8, a, b, c, d];
        // SAFETY: plain system calls; the parent reads the other end.
        unsafe {
            libc::write(self.reporter, said.as_ptr().cast(), said.len());
            libc::_exit(78)
        }
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        let recipe = self.recipe;
        // SAFETY: plain system calls on values that live until exec.
        unsafe {
            // Signals for httpd's whole process group, of MPMs and terminals, are not for daemons.
            libc::setpgid(0, 0);
            if recipe.priority != 0 {
                check(libc::setpriority(libc::PRIO_PROCESS, 0, recipe.priority), Step::Priority)?;
            }
            if let Some(root) = &recipe.chroot {
                check(libc::chroot(root.as_ptr()), Step::Chroot)?;
                check(libc::chdir(c"/".as_ptr()), Step::Chroot)?;
            }
            if recipe.become_user.is_some() {
                drop_bounding_set(recipe.may_gain_rights)?;
            }
            if let Some(principal) = &recipe.become_user {
                check(libc::setgid(principal.gid), Step::Group)?;
                check(libc::setgroups(principal.groups.len() as _, principal.groups.as_ptr()), Step::Groups)?;
                check(libc::setuid(principal.uid), Step::User)?;
            }
            if let Some(folder) = &recipe.folder {
                check(libc::chdir(folder.as_ptr()), Step::Folder)?;
            }
            if let Some(mask) = recipe.umask {
                libc::umask(mask as libc::mode_t);
            }
            for (resource, soft, hard) in &recipe.limits {
                let limit = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
                check(libc::setrlimit(*resource as _, &raw const limit), Step::Limits)?;
            }
        }
        forbid_new_rights(recipe.may_gain_rights)?;
        reset_signals();
        self.move_descriptors()
    }

    /// Puts each source where it belongs and closes everything else at exec.
    fn move_descriptors(&mut self) -> Result<(), Failure> {
        let count = self.sources.len() as RawFd;
        // SAFETY: plain system calls on this process's descriptors.
        unsafe {
            // Above all targets first, so that none is overwritten before it was moved.
            for source in &mut self.sources {
                *source = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, count);
                check(*source, Step::Descriptors)?;
            }
            self.reporter = libc::fcntl(self.reporter, libc::F_DUPFD_CLOEXEC, count);
            check(self.reporter, Step::Descriptors)?;
            for (target, source) in self.sources.iter().enumerate() {
                check(libc::dup2(*source, target as c_int), Step::Descriptors)?;
            }
        }
        close_at_exec(count);
        Ok(())
    }
}

/// Takes away what the system would let set-user-ID programs of the new process do as administrator.
#[cfg(target_os = "linux")]
fn drop_bounding_set(may_gain_rights: bool) -> Result<(), Failure> {
    const MORE_THAN_THERE_ARE: libc::c_ulong = 64;
    if may_gain_rights {
        return Ok(());
    }
    for capability in 0..MORE_THAN_THERE_ARE {
        // SAFETY: plain system calls. EINVAL is the end of those the kernel knows, EPERM a container that has none to give up.
        unsafe {
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                let failure = last(Step::Rights);
                return if matches!(failure.errno, libc::EINVAL | libc::EPERM) { Ok(()) } else { Err(failure) };
            }
        }
    }
    Ok(())
}

/// Lets no program give the process more rights than it has.
#[cfg(target_os = "linux")]
fn forbid_new_rights(may_gain_rights: bool) -> Result<(), Failure> {
    if may_gain_rights {
        return Ok(());
    }
    // SAFETY: a plain system call.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, Step::Rights)
}

/// Other systems have no capabilities.
#[cfg(not(target_os = "linux"))]
fn drop_bounding_set(_may_gain_rights: bool) -> Result<(), Failure> {
    Ok(())
}

/// Other systems have no such promise.
#[cfg(not(target_os = "linux"))]
fn forbid_new_rights(_may_gain_rights: bool) -> Result<(), Failure> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn close_at_exec(from: RawFd) {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: a system call on this process's descriptors; where the kernel is too old for it, one by one.
    unsafe {
        if libc::syscall(libc::SYS_close_range, from, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) != 0 {
            close_one_by_one(from);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn close_at_exec(from: RawFd) {
    close_one_by_one(from);
}

fn close_one_by_one(from: RawFd) {
    // SAFETY: plain system calls; descriptors that are not open answer an error that changes nothing.
    unsafe {
        let most = libc::sysconf(libc::_SC_OPEN_MAX).clamp(1024, 1 << 16) as RawFd;
        for descriptor in from..most {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// httpd ignores and catches signals; Python is to start as from a shell.
fn reset_signals() {
    // SAFETY: plain system calls; signals that cannot be changed answer an error that changes nothing.
    unsafe {
        for signal in 1..=31 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn last(step: Step) -> Failure {
    Failure { step, errno: std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }
}

fn check(answer: c_int, step: Step) -> Result<(), Failure> {
    if answer < 0 { Err(last(step)) } else { Ok(()) }
}

/// Sends a signal to a process of ours.
pub fn signal(pid: i32, signal: c_int) {
    // SAFETY: the process is a child that has not been waited for, so its id is still its own.
    unsafe { libc::kill(pid, signal) };
}

/// Whether a child has ended; its status is then gone.
#[must_use]
pub fn has_ended(pid: i32) -> bool {
    // SAFETY: a plain system call; -1 says that it is no child any more.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) != 0 }
}

/// Signals that end a process by themselves.
const DEADLY: [i32; 10] = [
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGKILL,
    libc::SIGSEGV,
    libc::SIGXFSZ,
    libc::SIGSYS,
];

/// How a process ended. httpd's MPMs hand over one number, the exit status or the signal; which it was, they log themselves
/// (AH00052 for a signal), so that a number that could be either is called both.
#[must_use]
pub fn describe(status: Option<i32>) -> String {
    match status {
        None => "its status is not known".to_owned(),
        Some(number) if DEADLY.contains(&number) => {
            let name = nix::sys::signal::Signal::try_from(number).map_or("unknown", nix::sys::signal::Signal::as_str);
            format!(
                "signal {number} ({name}), or exit status {number} unless AH00052 before this line tells of the signal"
            )
        }
        Some(number) => format!("exit status {number}"),
    }
}

/// How a process ended, as figures have it.
#[must_use]
pub fn kind_of_end(status: Option<i32>) -> &'static str {
    if status.is_some_and(|number| DEADLY.contains(&number)) { "crash" } else { "exit" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// Starts `/bin/sh -c` with what `change` makes of a plain recipe; answers what the shell wrote.
    fn started(script: &str, change: impl FnOnce(&mut Recipe)) -> Result<String, Failure> {
        let text = |text: &str| CString::new(text).unwrap();
        let mut recipe = Recipe {
            program: text("/bin/sh"),
            arguments: vec![text("sh"), text("-c"), text(script)],
            environment: vec![text("PATH=/usr/bin:/bin")],
            become_user: None,
            chroot: None,
            folder: None,
            umask: None,
            priority: 0,
            limits: Vec::new(),
            may_gain_rights: false,
        };
        change(&mut recipe);
        let path = std::env::temp_dir().join(format!("mod_wsgi-spawn-{:?}", std::thread::current().id()));
        let log = std::fs::File::create(&path).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let descriptors = Descriptors {
            log: log.as_raw_fd(),
            listener: null.as_fd(),
            board: null.as_fd(),
            bell: null.as_fd(),
            predecessors: Vec::new(),
        };
        let (pid, _control) = spawn(&recipe, &descriptors)?;
        while !has_ended(pid) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        Ok(written)
    }

    #[test]
    fn a_process_has_its_own_descriptors_and_environment_only() {
        let kept = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: takes the flag off a descriptor of this test, so that only `spawn` closes it.
        unsafe { libc::fcntl(kept.as_raw_fd(), libc::F_SETFD, 0) };
        let written = started("ls /proc/$$/fd; env", |_| {}).unwrap();
        let open: Vec<_> = written.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
        assert_eq!(open, ["0", "1", "2", "3", "4", "5", "6"]);
        assert!(!written.contains("CARGO"), "{written}");
    }

    #[test]
    fn a_program_that_is_not_there_is_told_to_the_parent() {
        let failure = started("", |recipe| recipe.program = CString::new("/no/such/python3").unwrap()).unwrap_err();
        assert_eq!(failure, Failure { step: Step::Exec, errno: libc::ENOENT });
    }

    /// CVE-2014-8583 and CVE-2014-0240: the C module went on with the rights of root where it could not give them up.
    #[test]
    #[ignore = "needs root, who alone changes the user: as root, cargo test -p mod_wsgi -- --ignored"]
    fn a_process_that_cannot_change_its_group_or_user_runs_nothing() {
        assert!(rustix::process::geteuid().is_root(), "only root changes its user: run this test as root");
        let as_nobody = |uid, gid| {
            move |recipe: &mut Recipe| {
                recipe.become_user = Some(Principal { uid, gid, groups: vec![65534] });
            }
        };
        assert_eq!(started("id -u; id -g", as_nobody(65534, 65534)).unwrap(), "65534\n65534\n");
        let failed = |uid, gid| started("id", as_nobody(uid, gid)).unwrap_err().step;
        // The one number that is no id: the system refuses it.
        assert_eq!(failed(65534, u32::MAX), Step::Group);
        assert_eq!(failed(u32::MAX, 65534), Step::User);
    }

    #[test]
    fn a_folder_that_cannot_be_entered_ends_the_process() {
        let failure = started("", |recipe| recipe.folder = Some(CString::new("/no/such/folder").unwrap())).unwrap_err();
        assert_eq!(failure.step, Step::Folder);
    }
}
