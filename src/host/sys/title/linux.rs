//! Where Linux keeps the arguments, and the short name of a thread.

use crate::ignore;
use std::ffi::CStr;

/// Begin and length of the arguments this process was started with.
pub fn room() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold anything; arg_start and arg_end are 48 and 49.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace().skip(45).map(str::parse::<usize>);
    let (start, end) = (fields.next()?.ok()?, fields.next()?.ok()?);
    (start > 0).then_some((start, end.checked_sub(start)?))
}

/// Names this thread.
pub fn name_thread(name: &CStr) {
    // A title is a nicety, so a refusal is no reason to complain.
    ignore(rustix::thread::set_name(name));
}
