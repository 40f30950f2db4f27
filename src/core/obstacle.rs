//! Where the way to a file ends, for whoever cannot reach it. The caller looks at the files; here is what that means.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing is there; with the link that leads there, if one does.
    Missing(PathBuf, Option<PathBuf>),
    /// A folder that does not let in who looks.
    Closed(PathBuf),
    /// Something where a folder should be, that is none.
    NoFolder(PathBuf),
    /// A link that leads to itself.
    Circle(PathBuf),
}

/// The most links on one way, as Linux has it.
const LINKS: u32 = 40;

/// The first obstacle on the way to `path`, links followed. `look` answers for one place, whose own links have been followed,
/// as `lstat` and `readlink` do: where it leads if it is a link.
pub fn first(path: &Path, mut look: impl FnMut(&Path) -> Result<Option<PathBuf>, Error>) -> Option<Obstacle> {
    let mut ahead = VecDeque::new();
    let mut here = PathBuf::new();
    // Links whose targets are still being gone, and how much of the way lies behind each.
    let mut within: Vec<(PathBuf, usize)> = Vec::new();
    let mut links = 0;
    push_front(&mut ahead, path);
    while let Some(part) = ahead.pop_front() {
        while within.last().is_some_and(|(_, behind)| ahead.len() < *behind) {
            within.pop();
        }
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        match look(&next) {
            Ok(None) => here = next,
            Ok(Some(_)) if links == LINKS => return Some(Obstacle::Circle(next)),
            Ok(Some(target)) => {
                links += 1;
                within.push((next, ahead.len()));
                push_front(&mut ahead, &target);
            }
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound => Some(Obstacle::Missing(next, within.pop().map(|(link, _)| link))),
                    ErrorKind::PermissionDenied => Some(Obstacle::Closed(here)),
                    ErrorKind::NotADirectory => Some(Obstacle::NoFolder(here)),
                    _ => None,
                };
            }
        }
    }
    None
}

/// Puts the parts of a path in front of those that are still to be gone. An absolute one begins anew: joining its root
/// leaves nothing of what was there before.
fn push_front(ahead: &mut VecDeque<OsString>, path: &Path) {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    for part in parts.collect::<Vec<_>>().into_iter().rev() {
        ahead.push_front(part.as_os_str().to_owned());
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path, None) => write!(f, "there is no '{}'", path.display()),
            Self::Missing(path, Some(link)) => {
                write!(f, "there is no '{}', behind the link '{}'", path.display(), link.display())
            }
            Self::Closed(folder) => write!(f, "the folder '{}' does not let this user in", folder.display()),
            Self::NoFolder(path) => write!(f, "'{}' is not a folder", path.display()),
            Self::Circle(link) => write!(f, "the link '{}' leads to itself", link.display()),
        }
    }
}

impl Obstacle {
    /// The end of a sentence that has said that `path` cannot be reached: what stands in the way, unless that is said with it,
    /// and what to do.
    #[must_use]
    pub fn explained(&self, path: &Path) -> String {
        match self {
            Self::Missing(missing, None) if missing == path => format!(": {MEND}"),
            Self::Closed(_) => format!("; {self}: {LET_IN}"),
            Self::Missing(..) | Self::NoFolder(_) | Self::Circle(_) => format!("; {self}: {MEND}"),
        }
    }
}

/// What to do about a file that is not there.
const MEND: &str = "mend the path, or put the file there";

/// What to do about a folder that does not let a user in.
pub const LET_IN: &str = "let this user enter it, for example with chmod o+x or setfacl -m u:USER:x";

/// What to do about a file that may not be read.
pub const LET_READ: &str = "let this user read it, for example with chmod o+r or setfacl -m u:USER:r";

#[cfg(test)]
mod tests {
    use super::*;

    /// `/open/file`, `/closed/...`, and some links.
    fn look(path: &Path) -> Result<Option<PathBuf>, Error> {
        let link = |target: &str| Ok(Some(PathBuf::from(target)));
        match path.to_str().unwrap_or_default() {
            "/" | "/open" | "/open/file" | "/closed" | "/links" => Ok(None),
            "/links/relative" => link("../open/file"),
            "/links/closed" => link("/closed/deep"),
            "/links/stale" => link("gone"),
            "/links/open" => link("/open"),
            "/links/circle" => link("./circle"),
            inside if inside.starts_with("/closed/") => Err(ErrorKind::PermissionDenied.into()),
            inside if inside.starts_with("/open/file/") => Err(ErrorKind::NotADirectory.into()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    #[test]
    fn the_first_place_that_ends_the_way_is_named() {
        for (path, said) in [
            ("/open/file", None),
            ("/open/../open/./file", None),
            ("/links/relative", None),
            ("/nowhere/deep/file", Some("there is no '/nowhere'")),
            ("/open/other", Some("there is no '/open/other'")),
            ("/closed/deep/file", Some("the folder '/closed' does not let this user in")),
            ("/open/file/deep", Some("'/open/file' is not a folder")),
            ("/links/closed/file", Some("the folder '/closed' does not let this user in")),
            ("/links/stale", Some("there is no '/links/gone', behind the link '/links/stale'")),
            ("/links/open/file", None),
            ("/links/open/other", Some("there is no '/open/other'")),
            ("/links/circle", Some("the link '/links/circle' leads to itself")),
        ] {
            assert_eq!(first(Path::new(path), look).map(|found| found.to_string()).as_deref(), said, "{path}");
        }
    }

    #[test]
    fn the_cure_fits_and_what_is_said_is_not_said_again() {
        for (path, end) in [
            ("/open/other", ": mend the path, or put the file there"),
            ("/nowhere/file", "; there is no '/nowhere': mend the path, or put the file there"),
            (
                "/closed/file",
                "; the folder '/closed' does not let this user in: let this user enter it, for example with chmod o+x or setfacl -m u:USER:x",
            ),
        ] {
            let path = Path::new(path);
            assert_eq!(first(path, look).map(|found| found.explained(path)).as_deref(), Some(end));
        }
    }
}
