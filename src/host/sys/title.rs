//! The title of the process, as `ps` shows it.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

/// Writes `title` over the arguments the process was started with, which is where `ps` reads it; longer ones are cut.
pub fn set(title: &[u8]) {
    let Some((start, room)) = system::room().filter(|(_, room)| *room > 1) else { return };
    let kept = title.len().min(room - 1);
    // SAFETY: the system says that the arguments of this process are there; they are writable, and nobody reads them any
    // more but `ps`: Python has made copies.
    unsafe {
        let place = std::slice::from_raw_parts_mut(start as *mut u8, room);
        let (text, rest) = place.split_at_mut(kept);
        text.copy_from_slice(title.get(..kept).unwrap_or_default());
        rest.fill(0);
    }
    // The short name that `top` and `killall` show; the system cuts it to 15 bytes.
    let short: Vec<u8> = title.iter().copied().filter(|byte| *byte != 0).take(15).collect();
    if let Ok(short) = std::ffi::CString::new(short) {
        system::name_thread(&short);
    }
}
