//! Processes and users of Unix.

/// The number of the process that has started this one.
pub fn parent() -> u32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u32)
}

/// The user this process runs as: number, and name where it has one.
pub fn user() -> String {
    let user = rustix::process::geteuid().as_raw();
    match user_name(user) {
        Some(name) => format!("{user} ({name})"),
        None => user.to_string(),
    }
}

fn user_name(user: u32) -> Option<String> {
    let table = std::fs::read_to_string("/etc/passwd").ok()?;
    let user = user.to_string();
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user).then(|| name.to_owned())
    })
}
