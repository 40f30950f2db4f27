//! Processes and users of Windows.

use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;

/// Windows does not keep the number of the process that has started this one from being used again, so it is not told.
pub fn parent() -> u32 {
    0
}

/// The longest name of a user that Windows has, in UTF-16 units; the value of `UNLEN`.
const LONGEST: usize = 256;

/// The name of the user this process runs as.
pub fn user() -> String {
    let mut name = [0_u16; LONGEST + 1];
    let mut length = name.len() as u32;
    // SAFETY: there is room for as many units as are told. The answer counts the NUL behind the name.
    let told = unsafe { GetUserNameW(name.as_mut_ptr(), &raw mut length) };
    let name = name.get(..(length as usize).saturating_sub(1)).filter(|_| told != 0).unwrap_or_default();
    if name.is_empty() { "without a name".into() } else { String::from_utf16_lossy(name) }
}
