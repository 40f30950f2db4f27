//! The groups of a user, as the system lists them.

use std::ffi::CStr;

/// All groups of the user of that name, `gid` among them; `None` where the system does not answer.
#[cfg(target_os = "linux")]
#[must_use]
pub fn of(name: &CStr, gid: u32) -> Option<Vec<u32>> {
    let groups = nix::unistd::getgrouplist(name, nix::unistd::Gid::from_raw(gid)).ok()?;
    Some(groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

/// All groups of the user of that name, `gid` among them; `None` where the system does not answer. A process of macOS can
/// have no more than sixteen, the first ones.
#[cfg(target_os = "macos")]
#[must_use]
pub fn of(name: &CStr, gid: u32) -> Option<Vec<u32>> {
    const MOST: usize = 16;
    let mut groups = [0; MOST];
    let mut count = MOST as libc::c_int;
    // SAFETY: the name ends with NUL, and the array has as many places as `count` says. Where there are more groups the
    // answer is -1, and the array is full.
    unsafe { libc::getgrouplist(name.as_ptr(), gid.cast_signed(), groups.as_mut_ptr(), &raw mut count) };
    let count = usize::try_from(count).ok()?.min(MOST);
    Some(groups.into_iter().take(count).map(libc::c_int::cast_unsigned).collect())
}
