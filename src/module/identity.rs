//! Users and groups of the system, and what their permissions let them reach.

mod acl;

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mod_wsgi_core::daemon_options::DaemonOptions;

use crate::apache::child;

/// A user of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Login name.
    pub name: String,
    /// Home folder.
    pub home: PathBuf,
}

impl From<nix::unistd::User> for User {
    fn from(user: nix::unistd::User) -> Self {
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name, home: user.dir }
    }
}

/// The user of that name, or number behind `#`.
///
/// # Errors
/// Says that there is none; or what the system answered.
pub fn user(written: &str) -> Result<User, String> {
    let found = match written.strip_prefix('#') {
        Some(number) => match number.parse() {
            Ok(uid) => nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)),
            Err(_) => return Err(format!("'{written}' is not a user: # must be followed by a number")),
        },
        None => nix::unistd::User::from_name(written),
    };
    match found {
        Ok(Some(user)) => Ok(user.into()),
        Ok(None) => {
            Err(format!("the user '{written}' does not exist: create it, for example with useradd, or name another"))
        }
        Err(error) => Err(format!("the user '{written}' cannot be looked up: {error}")),
    }
}

/// Who is named in a `WSGIDaemonProcess`, looked up.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its user.
    pub user: Option<User>,
    /// Its group.
    pub group: Option<u32>,
    /// Its supplementary groups.
    pub supplementary_groups: Option<Vec<u32>>,
    /// The owner of its socket.
    pub socket_user: Option<u32>,
}

impl Named {
    /// Looks up whom the options name.
    ///
    /// # Errors
    /// Says who does not exist, or may not be named.
    pub fn look_up(options: &DaemonOptions) -> Result<Self, String> {
        let user = options.user.as_deref().map(self::user).transpose()?;
        let group = options.group.as_deref().map(self::group).transpose()?;
        if user.as_ref().is_some_and(|user| user.uid == 0) {
            return Err("a daemon process may not run as root: choose another user=".into());
        }
        let supplementary = options.supplementary_groups.as_ref();
        let supplementary_groups =
            supplementary.map(|names| names.iter().map(|name| self::group(name)).collect()).transpose()?;
        // The group itself is one of them. Source: setgroups(2), sysconf(3).
        let most = nix::unistd::sysconf(nix::unistd::SysconfVar::NGROUPS_MAX).ok().flatten();
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let count = supplementary.map_or(0, Vec::len);
        if count >= most {
            return Err(format!(
                "{count} groups are too many in supplementary-groups: a process of this system can have {most}, one of which is its group"
            ));
        }
        let socket_user = options.socket_user.as_deref().map(self::user).transpose()?.map(|user| user.uid);
        for name in [&options.script_user].into_iter().flatten() {
            self::user(name)?;
        }
        for name in [&options.script_group].into_iter().flatten() {
            self::group(name)?;
        }
        Ok(Self { user, group, supplementary_groups, socket_user })
    }
}

/// The user with that number, if the system knows one.
#[must_use]
pub fn user_by_id(uid: u32) -> Option<User> {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten().map(User::from)
}

/// The group of that name, or number behind `#`.
///
/// # Errors
/// Says that there is none; or what the system answered.
pub fn group(written: &str) -> Result<u32, String> {
    if let Some(number) = written.strip_prefix('#') {
        return number.parse().map_err(|_| format!("'{written}' is not a group: # must be followed by a number"));
    }
    match nix::unistd::Group::from_name(written) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => {
            Err(format!("the group '{written}' does not exist: create it, for example with groupadd, or name another"))
        }
        Err(error) => Err(format!("the group '{written}' cannot be looked up: {error}")),
    }
}

/// Why a group may not run a script that has to belong to `script-user` or `script-group`, as its folder has, and be safe from others;
/// the number of the message, and its text.
#[must_use]
pub fn owner_fault(options: &DaemonOptions, script: &Path) -> Option<(&'static str, String)> {
    if options.script_user.is_none() && options.script_group.is_none() {
        return None;
    }
    for path in [Some(script), script.parent()].into_iter().flatten() {
        let shown = path.display();
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return Some(("WSGI0158", format!("'{shown}' cannot be examined: {error}"))),
        };
        if let Some(name) = &options.script_user {
            if self::user(name).map(|user| user.uid) != Ok(metadata.uid()) {
                return Some(("WSGI0164", format!("'{shown}' does not belong to '{name}', as script-user asks")));
            }
            if metadata.mode() & 0o022 != 0 {
                let text = format!("'{shown}' may be written by others than its owner, which script-user forbids");
                return Some(("WSGI0168", text));
            }
        }
        if let Some(name) = &options.script_group {
            if self::group(name) != Ok(metadata.gid()) {
                return Some((
                    "WSGI0155",
                    format!("'{shown}' does not belong to the group '{name}', as script-group asks"),
                ));
            }
            if metadata.mode() & 0o002 != 0 {
                return Some((
                    "WSGI0157",
                    format!("'{shown}' may be written by everybody, which script-group forbids"),
                ));
            }
        }
    }
    None
}

/// All groups of a user, the given one first.
#[must_use]
pub fn groups_of(user: Option<&User>, gid: u32) -> Vec<u32> {
    let listed = user.and_then(|user| {
        let name = std::ffi::CString::new(user.name.as_str()).ok()?;
        crate::sys::groups::of(&name, gid)
    });
    listed.unwrap_or_else(|| vec![gid])
}

/// Who Apache's children are: `User` and `Group`, or whoever starts httpd without being root.
#[must_use]
pub fn apache() -> Identity {
    let own = rustix::process::geteuid();
    let (uid, gid) = match own.is_root() {
        true => child::unix_identity(),
        false => (own.as_raw(), rustix::process::getegid().as_raw()),
    };
    Identity { uid, groups: groups_of(user_by_id(uid).as_ref(), gid) }
}

/// Who a process is, for the question of what it may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// Login name and number, as messages show a user.
    #[must_use]
    pub fn describe(&self) -> String {
        match user_by_id(self.uid) {
            Some(user) => format!("user '{}' (uid {})", user.name, self.uid),
            None => format!("uid {}", self.uid),
        }
    }

    fn may(&self, path: &Path, metadata: &Metadata, bit: u32) -> bool {
        let mode = metadata.permissions().mode();
        if self.uid == 0 || bit == 0 {
            return true;
        }
        if metadata.uid() == self.uid {
            return mode & (bit << 6) != 0;
        }
        let listed = acl::of(path).and_then(|list| acl::allows(&list, self.uid, &self.groups, metadata.gid(), bit));
        listed.unwrap_or_else(|| {
            let shift = if self.groups.contains(&metadata.gid()) { 3 } else { 0 };
            mode & (bit << shift) != 0
        })
    }

    /// The first part of the path that refuses: a folder without the right to enter, or the file itself without the right
    /// `bit` (4 read, 1 execute, 0 none at all).
    #[must_use]
    pub fn first_refusal(&self, path: &Path, bit: u32) -> Option<PathBuf> {
        let mut seen = PathBuf::new();
        for part in path.components() {
            seen.push(part);
            let metadata = std::fs::metadata(&seen).ok()?;
            let wanted = if metadata.is_dir() { 1 } else { bit };
            if !self.may(&seen, &metadata, wanted) {
                return Some(seen);
            }
        }
        // A link leads somewhere else, which may refuse too.
        let real =
            std::fs::canonicalize(path).ok().filter(|real| real.as_os_str().as_bytes() != path.as_os_str().as_bytes());
        real.and_then(|real| self.first_refusal(&real, bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_exist_is_named() {
        let refused = user("no-such-user-here").unwrap_err();
        assert!(refused.starts_with("the user 'no-such-user-here' does not exist"), "{refused}");
        assert!(user("#x").is_err());
        assert!(group("no-such-group-here").unwrap_err().starts_with("the group 'no-such-group-here' does not exist"));
        assert_eq!(group("#7"), Ok(7));
    }

    #[test]
    fn the_first_folder_that_refuses_is_found() {
        let base = std::env::temp_dir().join(format!("mod_wsgi-identity-{}", std::process::id()));
        let inner = base.join("closed/inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(base.join("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Identity { uid: 64321, groups: vec![64321] };
        assert_eq!(stranger.first_refusal(&inner, 4), Some(base.join("closed")));
        std::fs::remove_dir_all(&base).unwrap();
    }
}
