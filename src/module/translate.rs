//! Which script a URL stands for: `WSGIScriptAlias` and `WSGIScriptAliasMatch`.

use mod_wsgi_core::alias;

use crate::apache::request::Request;
use crate::apache::{DECLINED, OK};
use crate::config::{Alias, AliasUrl};

/// The handler of mapped scripts.
pub const HANDLER: &std::ffi::CStr = c"wsgi-script";

/// Maps a request to its script, if an alias matches; the first one does.
pub fn hook_translate_name(r: Request<'_>) -> i32 {
    #[cfg(unix)]
    crate::reading::note(r);
    let Some(uri) = r.uri() else { return DECLINED };
    if !uri.is_empty() && !uri.starts_with(b"/") {
        return DECLINED;
    }
    let aliases = &r.server().config().aliases;
    let Some((alias, filename)) = aliases.iter().find_map(|alias| Some((alias, matched(r, uri, alias)?))) else {
        return DECLINED;
    };
    r.map_to(&filename, HANDLER);
    let routing = &alias.routing;
    let notes = [
        (c"mod_wsgi.process_group", &routing.process_group),
        (c"mod_wsgi.application_group", &routing.application_group),
        (c"mod_wsgi.callable_object", &routing.callable),
    ];
    for (name, value) in notes {
        if let Some(value) = value {
            r.set_note(name, value);
        }
    }
    if let Some(pass) = routing.pass_authorization {
        r.set_note(c"mod_wsgi.pass_authorization", if pass { b"1" } else { b"0" });
    }
    OK
}

/// The file an alias makes of the path, if it matches.
fn matched(r: Request<'_>, uri: &[u8], alias: &Alias) -> Option<Vec<u8>> {
    match &alias.url {
        AliasUrl::Path(path) => {
            let length = alias::matched_length(uri, path)?;
            Some(alias::file_name(uri, length, path, &alias.target))
        }
        AliasUrl::Pattern(pattern) => {
            let (target, length) = r.match_pattern(*pattern, &alias.target).filter(|(_, length)| *length > 0)?;
            let matched = uri.get(..length)?;
            Some(alias::file_name(uri, length, matched, &target))
        }
    }
}
