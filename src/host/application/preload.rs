//! Scripts that are loaded before the first request.

use super::interpreters::Interpreters;
use super::script::{Kept, Wanted, changed, find};
use crate::log;
use mod_wsgi_core::launch::Preload;
use mod_wsgi_core::wire::LogLevel;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Loads the scripts that are to be loaded before the first request, and those of the processes whose place this one takes, if
/// they are still there. Answers those that cannot be, which is logged; requests try it again where the process goes on.
///
/// With `is_news` the first failure ends it, and is logged only if `is_news` says so of the number that stands for it: this process
/// is then one attempt of many. Called detached.
pub fn preload(interpreters: &'static Interpreters, is_news: Option<&dyn Fn(u64) -> bool>) -> Vec<String> {
    let launch = interpreters.launch();
    let inherited = launch.inherited.iter().filter(|script| changed(&script.script).is_some());
    let mut failed = Vec::new();
    for script in launch.preload.iter().chain(inherited) {
        let kept = Kept::default();
        if load(interpreters, script, is_news.is_some().then_some(&kept)) {
            continue;
        }
        failed.push(String::from_utf8_lossy(&script.script).into_owned());
        if let Some(is_news) = is_news {
            report(script, &kept.into_inner(), is_news);
            break;
        }
    }
    failed
}

fn load(interpreters: &'static Interpreters, script: &Preload, kept: Option<&Kept>) -> bool {
    let path = &script.script[..];
    match interpreters.get(&script.application_group) {
        Ok(interpreter) => {
            let wanted = Wanted { path, changed: None, resource: Some(path), request: None, kept };
            interpreter.attach(|py| find(py, interpreter, wanted).is_ok())
        }
        Err(why) => {
            let group = String::from_utf8_lossy(&script.application_group);
            let text = format!("WSGI0040: the interpreter for application group '{group}' cannot be made: {why}");
            match kept {
                Some(kept) => kept.borrow_mut().push((LogLevel::Crit, text.into_bytes())),
                None => log::write(LogLevel::Crit, &text),
            }
            false
        }
    }
}

/// Logs why a script cannot be loaded, unless another attempt has.
fn report(script: &Preload, lines: &[(LogLevel, Vec<u8>)], is_news: &dyn Fn(u64) -> bool) {
    if is_news(number(script, lines)) {
        return lines.iter().for_each(|(level, line)| log::write_bytes(*level, line));
    }
    let path = String::from_utf8_lossy(&script.script);
    let text = format!("WSGI7032: the script '{path}' still cannot be loaded, as was logged before");
    log::write(LogLevel::Info, &text);
}

/// A number for a failure: the same one where the same script fails in the same way. Addresses, which each process has others of, do
/// not count.
fn number(script: &Preload, lines: &[(LogLevel, Vec<u8>)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&script.script, changed(&script.script)).hash(&mut hasher);
    for (_, line) in lines {
        let text = String::from_utf8_lossy(line);
        let parts = text.split("0x").map(|part| part.trim_start_matches(|char: char| char.is_ascii_hexdigit()));
        parts.for_each(|part| part.hash(&mut hasher));
    }
    // 0 stands for nothing.
    hasher.finish() | 1
}
