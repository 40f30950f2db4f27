//! What a process is told before it runs Python: by the Apache parent to a daemon it starts, by an Apache child to the
//! host it loads for embedded mode. Also the few messages on a daemon's control socket.

use crate::interpreter_options::InterpreterOptions;
use crate::telemetry::Telemetry;
use crate::wire::{Reader, WireError, put_bytes};

/// The open files a daemon process starts with, besides `/dev/null` as 0 and its error log as 1 and 2.
pub mod descriptors {
    /// Control socket: the parent's [`super::Launch`] comes in, [`super::Message`]s go both ways.
    pub const CONTROL: i32 = 3;
    /// The group's listening socket.
    pub const LISTENER: i32 = 4;
    /// The group's [`crate::board`], shared memory.
    pub const BOARD: i32 = 5;
    /// A pipe without waiting; a newline in it wakes the parent, which then looks at its control sockets.
    pub const BELL: i32 = 6;
    /// The first of [`super::Launch::predecessors`] control sockets of processes that this one replaces.
    pub const FIRST_PREDECESSOR: i32 = 7;
}

/// A value in a [`Launch`].
pub(crate) trait Value: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError>;
}

macro_rules! number_value {
    ($($type:ident)*) => {$(
        impl Value for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                reader.$type()
            }
        }
    )*};
}
number_value! { u8 u32 u64 }

impl Value for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(reader.u8()? != 0)
    }
}

impl Value for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.bytes().map(<[u8]>::to_vec)
    }
}

impl<T: Value> Value for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        bool::take(reader)?.then(|| T::take(reader)).transpose()
    }
}

/// A value that stands in a list, so that a list of bytes is not taken for a byte string.
pub(crate) trait Item: Value {}
impl Item for Vec<u8> {}
impl Item for u32 {}
impl Item for Preload {}
impl Item for InterpreterOptions {}

impl<T: Item> Value for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let length = u32::take(reader)?;
        (0..length).map(|_| T::take(reader)).collect()
    }
}

/// A script to load before the process takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preload {
    /// Path of the script.
    pub script: Vec<u8>,
    /// Which interpreter; empty is the main one.
    pub application_group: Vec<u8>,
}

impl Preload {
    /// The bytes of this.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::take(&mut Reader::new(bytes))
    }
}

macro_rules! value_of_fields {
    ($type:ident { $($name:ident,)* }) => {
        impl $crate::launch::Value for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::launch::Value::put(&self.$name, out);)*
            }
            fn take(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($name: $crate::launch::Value::take(reader)?,)* })
            }
        }
    };
}
pub(crate) use value_of_fields;

value_of_fields! { Preload { script, application_group, } }
value_of_fields! { InterpreterOptions {
    names_process_group, application_group, per_interpreter_gil, switch_interval, python_path,
    restrict_stdin, restrict_stdout, restrict_signal,
} }

macro_rules! launch {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// Everything a process is told before it runs Python. Paths and names are bytes, as the system has them.
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct Launch {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Launch {
            /// The bytes of this block, without its length.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let mut out = Vec::new();
                put_bytes(&mut out, crate::BUILD.as_bytes());
                $(self.$name.put(&mut out);)*
                out
            }

            /// Decodes a block.
            ///
            /// # Errors
            /// [`WireError::BadValue`] where another release wrote it, [`WireError::Truncated`].
            pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
                let mut reader = Reader::new(payload);
                if reader.bytes()? != crate::BUILD.as_bytes() {
                    return Err(WireError::BadValue("release of the module"));
                }
                Ok(Self { $($name: Value::take(&mut reader)?,)* })
            }
        }
    };
}

launch! {
    /// Name of the process group; empty in embedded mode.
    process_group: Vec<u8>,
    /// Which of the group's processes this is, from 0; its place on the [`board`](crate::board).
    slot: u32,
    /// How many predecessors' control sockets follow [`descriptors::FIRST_PREDECESSOR`].
    predecessors: u32,
    /// `mod_wsgi.maximum_processes`.
    processes: u32,
    /// `mod_wsgi.threads_per_process`; in a daemon the number of worker threads.
    threads: u32,
    /// `wsgi.multiprocess`.
    multiprocess: bool,
    /// `apache.version`: major, minor, patch.
    apache_version: Vec<u32>,
    /// The module `apache`: `maximum_processes`, what the MPM answers.
    apache_processes: u32,
    /// The module `apache`: `threads_per_process`, what the MPM answers.
    apache_threads: u32,
    /// The module `apache`: `description`, the server's banner.
    apache_description: Vec<u8>,
    /// The module `apache`: `mpm_name`.
    apache_mpm: Vec<u8>,
    /// The module `apache`: `build_date`.
    apache_built: Vec<u8>,
    /// User ids that may connect to a daemon, besides its own.
    peers: Vec<u32>,
    /// `home` option: the daemon's working directory, put in front of `sys.path`.
    home: Option<Vec<u8>>,
    /// `WSGIPythonPath` or `python-path`: directories for `site.addsitedir()`, in order.
    python_path: Vec<Vec<u8>>,
    /// `WSGIPythonEggs` or `python-eggs`: `PYTHON_EGG_CACHE`.
    python_eggs: Option<Vec<u8>>,
    /// Embedded mode: `PyConfig.home`.
    python_home: Option<Vec<u8>>,
    /// Embedded mode: `PyConfig.program_name`, the virtual environment's python.
    python_program: Option<Vec<u8>>,
    /// Embedded mode: `PyConfig.optimization_level`.
    python_optimize: u32,
    /// Embedded mode: `PyConfig.warnoptions`.
    python_warnings: Vec<Vec<u8>>,
    /// Embedded mode: `PyConfig.write_bytecode` is 0.
    dont_write_bytecode: bool,
    /// Embedded mode: `PyConfig.hash_seed`; `None` leaves it random.
    hash_seed: Option<u32>,
    /// `sys.setswitchinterval()`, in microseconds.
    switch_interval: Option<u64>,
    /// Title of the process; `None` leaves it.
    display_name: Option<Vec<u8>>,
    /// Stack size of worker threads in bytes; 0 is the platform's.
    stack_size: u64,
    /// Value for `setlocale(LC_ALL, …)`.
    locale: Option<Vec<u8>>,
    /// Limit of one read or write on a connection, in milliseconds; 0 is none.
    socket_timeout: u64,
    /// Limit of the wait for a thread since the request was read by Apache, in milliseconds; 0 is none.
    queue_timeout: u64,
    /// Requests after which the process is to be replaced; 0 is none.
    maximum_requests: u64,
    /// Uptime after which the process is to be replaced, in milliseconds; 0 is none.
    restart_interval: u64,
    /// Time without a request after which the process is to be replaced, in milliseconds, once it has had one; 0 is none.
    inactivity_timeout: u64,
    /// Time for one request with one thread, in milliseconds; with more threads it is longer. 0 is no limit.
    request_timeout: u64,
    /// Time for a request to end after `mod_wsgi.RequestTimeout` was raised in it, in milliseconds; 0 raises nothing.
    interrupt_timeout: u64,
    /// Time for the first script to be loaded, from a request for it, in milliseconds; 0 is no limit.
    startup_timeout: u64,
    /// Time without a chance to run Python after which the process is replaced, in milliseconds; 0 is no limit.
    deadlock_timeout: u64,
    /// Time for the running requests to end once the process retires, in milliseconds.
    graceful_timeout: u64,
    /// The same after SIGUSR1, in milliseconds; 0 takes `graceful_timeout`.
    eviction_timeout: u64,
    /// Time from the decision to end until the process is gone, in milliseconds; 0 is no limit.
    shutdown_timeout: u64,
    /// The least important level that is logged outside of a request, a number of httpd's.
    log_level: u32,
    /// Whether `mod_wsgi.server_metrics()` answers: `WSGIServerMetrics`, or the group's `server-metrics`.
    server_metrics: bool,
    /// Where this process reports, with `WSGITelemetryService`.
    telemetry: Option<Telemetry>,
    /// Embedded mode: whether applications are kept out of this process (`WSGIRestrictEmbedded`). Python is there for Apache's
    /// own scripts then, and reports nothing.
    restrict_embedded: bool,
    /// Whether script names that differ in case are different (`WSGICaseSensitivity`).
    case_sensitive: bool,
    /// Whether interpreters are ended at exit (`WSGIDestroyInterpreter`).
    destroy_interpreters: bool,
    /// `WSGIRestrictStdin`.
    restrict_stdin: bool,
    /// `WSGIRestrictStdout`.
    restrict_stdout: bool,
    /// `WSGIRestrictSignal`.
    restrict_signal: bool,
    /// `<WSGIInterpreterOptions>`: the sections that are for this process group, in the order of the configuration. Their
    /// values go before those above.
    interpreter_options: Vec<InterpreterOptions>,
    /// Embedded mode: `PyConfig.enable_gil` of a free-threaded Python is 0 (`WSGIFreeThreading`). A daemon's start decides it.
    free_threading: bool,
    /// Scripts to load before the process takes requests.
    preload: Vec<Preload>,
    /// Scripts that the processes have loaded whose place this one takes, to load as well, if they are still there.
    inherited: Vec<Preload>,
}

/// A message on a daemon's control socket: a kind byte, the length of the text as little-endian `u32`, the text. The
/// [`Launch`] goes to the daemon in the same envelope, with kind [`Message::LAUNCH`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// To the daemon, first: its [`Launch`] block.
    Launch(Vec<u8>),
    /// To the daemon, from its parent or its successor: take no more requests, finish, end.
    Retire,
    /// To the daemon: the process that was to take its place could not; it serves on. Another attempt follows by itself.
    Declined,
    /// From the daemon: it takes requests.
    Ready,
    /// From the daemon: it has loaded a script for requests; the text is that of [`Preload::encode`].
    Loaded(Vec<u8>),
    /// From the daemon: another process is to take its place, for a reason that [`crate::board::ENDS`] has; until that one says
    /// [`Message::Retire`] this one may still serve.
    Renew(Vec<u8>),
    /// From the daemon: it cannot run, and ends; the text says why, with its WSGI number in front.
    Failed(Vec<u8>),
}

impl Message {
    /// The kind byte of [`Message::Launch`].
    pub const LAUNCH: u8 = b'l';
    const RETIRE: u8 = b't';
    const DECLINED: u8 = b'd';
    const LOADED: u8 = b's';
    const READY: u8 = b'r';
    const RENEW: u8 = b'n';
    /// The kind byte of [`Message::Failed`], which the daemon's start script writes too.
    pub const FAILED: u8 = b'f';

    /// The bytes of this message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, text): (u8, &[u8]) = match self {
            Self::Launch(block) => (Self::LAUNCH, block),
            Self::Retire => (Self::RETIRE, b""),
            Self::Declined => (Self::DECLINED, b""),
            Self::Loaded(script) => (Self::LOADED, script),
            Self::Ready => (Self::READY, b""),
            Self::Renew(reason) => (Self::RENEW, reason),
            Self::Failed(text) => (Self::FAILED, text),
        };
        let mut out = vec![kind];
        put_bytes(&mut out, text);
        out
    }

    /// Takes the first message off `buffer`; `None` while it is not whole. Also answers how many bytes it took.
    ///
    /// # Errors
    /// [`WireError::UnknownKind`].
    pub fn split(buffer: &[u8]) -> Result<Option<(Self, usize)>, WireError> {
        let mut reader = Reader::new(buffer);
        let (Ok(kind), Ok(text)) = (reader.u8(), reader.bytes()) else { return Ok(None) };
        let message = match kind {
            Self::LAUNCH => Self::Launch(text.to_vec()),
            Self::RETIRE => Self::Retire,
            Self::DECLINED => Self::Declined,
            Self::LOADED => Self::Loaded(text.to_vec()),
            Self::READY => Self::Ready,
            Self::RENEW => Self::Renew(text.to_vec()),
            Self::FAILED => Self::Failed(text.to_vec()),
            other => return Err(WireError::UnknownKind(other)),
        };
        Ok(Some((message, buffer.len() - reader.rest().len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_block_comes_back_as_it_was_written() {
        let launch = Launch {
            process_group: b"site".to_vec(),
            threads: 15,
            python_path: vec![b"/a".to_vec(), b"/b".to_vec()],
            hash_seed: Some(7),
            telemetry: Some(Telemetry { path: b"/run/t".to_vec(), interval: 5, slow_requests: 6, user_agent: true }),
            preload: vec![Preload { script: b"/s.wsgi".to_vec(), application_group: Vec::new() }],
            inherited: vec![Preload { script: b"/t.wsgi".to_vec(), application_group: b"t".to_vec() }],
            interpreter_options: vec![InterpreterOptions {
                application_group: Some(Vec::new()),
                per_interpreter_gil: Some(false),
                python_path: vec![b"/c".to_vec()],
                ..InterpreterOptions::default()
            }],
            ..Launch::default()
        };
        assert_eq!(Launch::decode(&launch.encode()), Ok(launch));
    }

    #[test]
    fn a_cut_launch_block_is_refused() {
        let block = Launch { process_group: b"site".to_vec(), ..Launch::default() }.encode();
        for cut in 0..block.len() {
            assert!(Launch::decode(&block[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn messages_come_back_one_by_one() {
        let script = Preload { script: b"/s.wsgi".to_vec(), application_group: b"s".to_vec() };
        assert_eq!(Preload::decode(&script.encode()).as_ref(), Ok(&script));
        let mut out = Message::Loaded(script.encode()).encode();
        let (loaded, _) = Message::split(&out).unwrap().unwrap();
        assert_eq!(loaded, Message::Loaded(script.encode()));
        out = Message::Ready.encode();
        out.extend(Message::Failed(b"WSGI7000: why".to_vec()).encode());
        let (first, taken) = Message::split(&out).unwrap().unwrap();
        assert_eq!(first, Message::Ready);
        let (second, _) = Message::split(&out[taken..]).unwrap().unwrap();
        assert_eq!(second, Message::Failed(b"WSGI7000: why".to_vec()));
        assert_eq!(Message::split(&out[..2]), Ok(None));
    }
}
