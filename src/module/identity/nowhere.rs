//! Where there are no Unix users: nobody knows there what another process may reach.

use std::path::{Path, PathBuf};

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity;

/// Who Apache's children are.
pub fn apache() -> Identity {
    Identity
}

impl Identity {
    /// As messages show it.
    #[must_use]
    pub fn describe(&self) -> String {
        "Apache's user".into()
    }

    /// The first part of the path that refuses.
    #[must_use]
    pub fn first_refusal(&self, _path: &Path, _bit: u32) -> Option<PathBuf> {
        None
    }
}
