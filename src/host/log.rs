//! Log records that belong to no request: a daemon writes them to its error log in httpd's default format, a host in an
//! Apache child hands them to the server.

use crate::{ignore, sys};
use mod_wsgi_core::wire::{LogLevel, LogRecord};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where records go instead of descriptor 2.
pub type ServerLog = Box<dyn Fn(LogRecord<'_>) + Send + Sync>;

static SERVER: OnceLock<ServerLog> = OnceLock::new();
/// The least important level that is written.
static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Warning as u8);

/// Sends records to the server from now on.
pub fn use_server(log: ServerLog) {
    // A second start keeps the first log: it is the same server's.
    ignore(SERVER.set(log));
}

/// Sets the least important level that is written, a number of httpd's.
pub fn set_level(level: u32) {
    LEVEL.store(u8::try_from(level).unwrap_or(u8::MAX), Ordering::Relaxed);
}

/// The least important level that is written.
pub fn level() -> u8 {
    LEVEL.load(Ordering::Relaxed)
}

/// Writes a record of one line.
pub fn write(level: LogLevel, text: &str) {
    write_bytes(level, text.as_bytes());
}

/// Writes a record of one line whose text comes from elsewhere.
pub fn write_bytes(level: LogLevel, text: &[u8]) {
    write_record(LogRecord::new(level, text));
}

/// Writes a record.
pub fn write_record(record: LogRecord<'_>) {
    if let Some(server) = SERVER.get() {
        return server(record);
    }
    if record.level as u8 > level() {
        return;
    }
    let now = sys::clock::LocalTime::now();
    let line = now.map_or_else(Vec::new, |now| format_line(&now, record.level, record.text));
    // Whoever cannot write to the error log has nowhere to say so.
    ignore(std::io::stderr().lock().write_all(&line));
}

fn format_line(now: &sys::clock::LocalTime, level: LogLevel, text: &[u8]) -> Vec<u8> {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = match level {
        LogLevel::Crit => "crit",
        LogLevel::Error => "error",
        LogLevel::Warning => "warn",
        LogLevel::Notice => "notice",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    let mut line = format!(
        "[{} {} {:02} {:02}:{:02}:{:02}.{:06} {}] [wsgi:{name}] [pid {}:tid {}] ",
        DAYS.get(now.weekday).copied().unwrap_or("---"),
        MONTHS.get(now.month).copied().unwrap_or("---"),
        now.day,
        now.hour,
        now.minute,
        now.second,
        now.microsecond,
        now.year,
        std::process::id(),
        sys::clock::thread_number(),
    )
    .into_bytes();
    // One record is one line, whatever is in its text.
    line.extend(text.iter().map(|byte| if matches!(byte, b'\n' | b'\r' | 0) { b' ' } else { *byte }));
    line.push(b'\n');
    line
}
