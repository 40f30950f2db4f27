//! The one place where panics of ours are caught, before they would cross into httpd.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body`; after a panic, logs it at `crit` with its place and answers `otherwise()`.
pub fn guarded<T>(place: &str, otherwise: impl FnOnce() -> T, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            crate::apache::log::panicked(&format!(
                "WSGI7050: mod_wsgi panicked in {place}: {what}; this is a fault in mod_wsgi, please report it"
            ));
            otherwise()
        }
    }
}
