//! Why a process takes no more requests.

use std::sync::atomic::{AtomicU8, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $text:literal;)*) => {
        /// Why a process takes no more requests.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// How applications are told, as in mod_wsgi 6.1.1.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How the log has it.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    /// A successor is ready, or the group is no longer configured.
    Replaced = "shutdown_signal", "another process takes its place";
    /// The control socket was closed.
    ApacheGone = "shutdown_signal", "Apache is gone";
    /// SIGTERM or SIGINT.
    Told = "shutdown_signal", "it was told to end";
    /// SIGUSR1 without eviction-timeout.
    Graceful = "graceful_signal", "it was told to end gracefully";
    /// SIGUSR1 with eviction-timeout.
    Evicted = "eviction_signal", "it was told to end gracefully";
    /// SIGXCPU.
    CpuTime = "cpu_time_limit", "its limit of CPU time is reached";
    /// maximum-requests.
    MaximumRequests = "maximum_requests", "maximum-requests is reached";
    /// restart-interval.
    RestartInterval = "restart_interval", "restart-interval has passed";
    /// inactivity-timeout.
    Inactivity = "inactivity_timeout", "inactivity-timeout has passed";
    /// request-timeout.
    RequestTimeout = "request_timeout", "a request ran longer than request-timeout allows";
    /// startup-timeout.
    StartupTimeout = "startup_timeout", "no script could be loaded within startup-timeout";
    /// deadlock-timeout.
    Deadlock = "deadlock_timeout", "its interpreter stood still for deadlock-timeout";
    /// Somebody has closed the pipe that signals come through.
    SignalPipe = "signal_pipe_error", "signals do not reach it any more";
    /// A changed script.
    ScriptReload = "script_reload", "a script has changed";
}

/// The first reason that was given.
#[derive(Debug, Default)]
pub struct FirstReason(AtomicU8);

impl FirstReason {
    /// Gives a reason; whether it is the first one.
    pub fn give(&self, reason: Reason) -> bool {
        self.0.compare_exchange(0, reason as u8 + 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The first one, if any was given.
    pub fn get(&self) -> Option<Reason> {
        let number = self.0.load(Ordering::Acquire).checked_sub(1)?;
        Reason::ALL.get(usize::from(number)).copied()
    }
}
