//! What the loader of Windows tells of a DLL, and how it is told to keep one.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN,
    GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleFileNameW, GetModuleHandleExW,
};

/// The longest path that Windows has, in UTF-16 units.
const LONGEST: usize = 32_767;

/// The handle of this library; what else becomes of it say the flags.
fn handle(flags: u32) -> Option<HMODULE> {
    let mut found = null_mut();
    let flags = flags | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    // SAFETY: with this flag it is no name but an address, one inside of this library; the handle is ours.
    let known = unsafe { GetModuleHandleExW(flags, stay as *const u16, &raw mut found) };
    (known != 0).then_some(found)
}

/// The file this library was loaded from.
#[must_use]
pub fn path() -> Option<PathBuf> {
    let own = handle(GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT)?;
    let mut name = vec![0_u16; LONGEST + 1];
    // SAFETY: the handle is this library's, and there is room for as many units as are told.
    let length = unsafe { GetModuleFileNameW(own, name.as_mut_ptr(), name.len() as u32) };
    let name = name.get(..length as usize).filter(|name| !name.is_empty())?;
    Some(PathBuf::from(OsString::from_wide(name)))
}

/// Asks the loader never to unload this library.
pub fn stay() {
    // It fails for an address of no library only.
    let kept = handle(GET_MODULE_HANDLE_EX_FLAG_PIN);
    debug_assert!(kept.is_some());
}
