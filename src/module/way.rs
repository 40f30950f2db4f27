//! Where the way to a file ends for this process.

use std::path::Path;

use mod_wsgi_core::obstacle::{self, Obstacle};

/// What stands in this process's way to a file.
#[must_use]
pub fn obstacle(path: &Path) -> Option<Obstacle> {
    obstacle::first(path, |place| {
        let is_link = std::fs::symlink_metadata(place)?.is_symlink();
        if is_link { std::fs::read_link(place).map(Some) } else { Ok(None) }
    })
}
