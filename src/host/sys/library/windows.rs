//! What the loader of Windows tells of this library.

use mod_wsgi_core::os_text::bytes_of;
use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr::null_mut;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleFileNameW,
    GetModuleHandleExW,
};

/// The longest path that Windows has, in UTF-16 units.
const LONGEST: usize = 32_767;

/// The folder this library is in.
pub fn directory() -> Option<Vec<u8>> {
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let mut name = vec![0_u16; LONGEST + 1];
    // SAFETY: with these flags it is no name but an address, one inside of this library; the handle is ours, and there is room
    // for as many units as are told.
    let length = unsafe {
        let mut own = null_mut();
        if GetModuleHandleExW(flags, directory as *const u16, &raw mut own) == 0 {
            return None;
        }
        GetModuleFileNameW(own, name.as_mut_ptr(), name.len() as u32)
    };
    let name = name.get(..length as usize).filter(|name| !name.is_empty())?;
    let path = PathBuf::from(OsString::from_wide(name));
    path.parent().map(|folder| bytes_of(folder.as_os_str()).into_owned())
}
