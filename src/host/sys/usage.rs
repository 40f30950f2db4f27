//! What this process and this thread have used: CPU time and memory.

use std::time::Duration;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{ThreadClock, process, resident, thread};
#[cfg(windows)]
pub use windows::{ThreadClock, process, resident, thread};

/// CPU time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the system, for the program.
    pub system: Duration,
}

impl Cpu {
    /// What was used since then.
    pub fn since(self, then: Self) -> Self {
        Self { user: self.user.saturating_sub(then.user), system: self.system.saturating_sub(then.system) }
    }
}
