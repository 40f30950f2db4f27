//! Access control lists of files (`setfacl`), which permissions in `ls -l` do not show.
//!
//! Source: acl(5), "ACCESS CHECK ALGORITHM"; the form of the attribute is that of Linux's `posix_acl_xattr.h`.

use std::path::Path;

/// The attribute that holds a list, and its version.
#[cfg(target_os = "linux")]
const ATTRIBUTE: &str = "system.posix_acl_access";
const VERSION: u32 = 2;

/// Bytes of the header and of an entry.
const HEADER: usize = 4;
const ENTRY: usize = 8;

/// Kinds of entries.
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The list of a file, if it has one.
#[cfg(target_os = "linux")]
pub fn of(path: &Path) -> Option<Vec<u8>> {
    let mut list = vec![0; 4096];
    let length = rustix::fs::getxattr(path, ATTRIBUTE, &mut list[..]).ok()?;
    list.truncate(length);
    Some(list)
}

/// The list of a file, if it has one.
#[cfg(not(target_os = "linux"))]
pub fn of(_path: &Path) -> Option<Vec<u8>> {
    None
}

/// Whether somebody who does not own the file has the right `bit`; `None` where the list is not understood. `owning_group`
/// is the group of the file.
pub fn allows(list: &[u8], uid: u32, groups: &[u32], owning_group: u32, bit: u32) -> Option<bool> {
    let (header, entries) = list.split_at_checked(HEADER)?;
    if u32::from_le_bytes(header.try_into().ok()?) != VERSION {
        return None;
    }
    let entries: Vec<_> = entries.chunks_exact(ENTRY).filter_map(entry).collect();
    let has = |rights: u32| rights & bit == bit;
    let masked = entries.iter().find(|(kind, ..)| *kind == MASK).is_none_or(|(_, rights, _)| has(*rights));
    let own = entries.iter().find(|(kind, _, id)| (*kind, *id) == (USER, uid));
    if let Some((_, rights, _)) = own {
        return Some(has(*rights) && masked);
    }
    let is_mine = |kind: u16, id: u32| match kind {
        OWNING_GROUP => groups.contains(&owning_group),
        GROUP => groups.contains(&id),
        _ => false,
    };
    let mine: Vec<_> = entries.iter().filter(|(kind, _, id)| is_mine(*kind, *id)).collect();
    if !mine.is_empty() {
        return Some(masked && mine.iter().any(|(_, rights, _)| has(*rights)));
    }
    entries.iter().find(|(kind, ..)| *kind == OTHER).map(|(_, rights, _)| has(*rights))
}

/// Kind, rights, user or group of an entry.
fn entry(bytes: &[u8]) -> Option<(u16, u32, u32)> {
    let (kind, rest) = bytes.split_at_checked(2)?;
    let (rights, id) = rest.split_at_checked(2)?;
    let rights = u16::from_le_bytes(rights.try_into().ok()?);
    Some((u16::from_le_bytes(kind.try_into().ok()?), rights.into(), u32::from_le_bytes(id.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: u16 = 0x01;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut list = VERSION.to_le_bytes().to_vec();
        for (kind, rights, id) in entries {
            list.extend(kind.to_le_bytes());
            list.extend(rights.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        list
    }

    #[test]
    fn a_list_is_asked_as_the_system_asks_it() {
        let any = u32::MAX;
        let list = list(&[
            (OWNER, 7, any),
            (USER, 1, 33),
            (USER, 4, 34),
            (OWNING_GROUP, 0, any),
            (GROUP, 5, 50),
            (MASK, 1, any),
            (OTHER, 4, any),
        ]);
        for (uid, groups, bit, expected) in [
            (33, &[33][..], 1, true),
            (33, &[33], 4, false),
            (34, &[34], 4, false), // the mask does not let it
            (60, &[50], 1, true),  // by a group that is named
            (60, &[50], 4, false), // the mask again
            (60, &[7], 4, false),  // the owning group has none, and others are not asked then
            (60, &[7, 50], 1, true),
            (60, &[60], 4, true), // whoever else; the mask is not for them
        ] {
            assert_eq!(
                allows(&list, uid, groups, 7, bit),
                Some(expected),
                "user {uid}, groups {groups:?}, right {bit}"
            );
        }
        assert_eq!(allows(&[3, 0, 0, 0], 33, &[], 7, 1), None);
        assert_eq!(allows(&[], 33, &[], 7, 1), None);
    }
}
