//! The title of the process, as `ps` shows it.

use crate::ignore;

/// Writes `title` over the arguments the process was started with, which is where `ps` reads it; longer ones are cut.
pub fn set(title: &[u8]) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // The second field is the program's name in parentheses and may hold anything; arg_start and arg_end are 48 and 49.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return };
    let mut fields = rest.split_ascii_whitespace().skip(45).map(str::parse::<usize>);
    let (Some(Ok(start)), Some(Ok(end))) = (fields.next(), fields.next()) else { return };
    if start == 0 || end <= start + 1 {
        return;
    }
    let room = end - start;
    let kept = title.len().min(room - 1);
    // SAFETY: the kernel says that the arguments of this process are there; they are writable, and nobody reads them any
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
        // A title is a nicety, so a refusal is no reason to complain.
        ignore(rustix::thread::set_name(&short));
    }
}
