//! Access control by scripts: `WSGIAccessScript`, `WSGIAuthUserScript` and `WSGIAuthGroupScript`, with httpd's providers `wsgi`
//! and `wsgi-group`. The functions run in this Apache child, whatever the process group of the application.
//!
//! Whatever is not a plain yes refuses: a script that cannot be loaded, a function that is missing or fails, an answer of
//! another kind.

use mod_wsgi_core::group_name;
use mod_wsgi_core::script_call::{Answer, Function};
use mod_wsgi_core::wire::LogLevel;

use crate::apache::access::{Authentication, Authorization};
use crate::apache::log;
use crate::apache::request::Request;
use crate::apache::{DECLINED, OK};
use crate::config::PlaceScript;
use crate::embedded::call;
use crate::environ;
use crate::handler::{RequestFacts, log_with_script};

const FORBIDDEN: i32 = 403;

/// Calls a function of a script of the request's place.
fn ask(r: Request<'_>, script: &PlaceScript, function: Function, arguments: &[&[u8]]) -> Answer {
    let facts = RequestFacts::of(r);
    let group = script
        .application_group
        .as_deref()
        .map(|value| group_name::expand_for_script(value, &facts))
        .unwrap_or_default();
    let answer = call(r, script, function, &group, arguments, |out| environ::write_for_access(r, &group, out));
    if answer == Answer::Missing {
        let script = String::from_utf8_lossy(&script.script);
        let (number, name) = (missing_number(function), function.name());
        log_with_script(r, LogLevel::Error, &format!("{number}: '{script}' has no function {name}()"));
    }
    answer
}

fn missing_number(function: Function) -> &'static str {
    match function {
        Function::AllowAccess => "WSGI0056",
        Function::CheckPassword => "WSGI0043",
        Function::GetRealmHash => "WSGI0046",
        Function::GroupsForUser | Function::Dispatch => "WSGI0052",
    }
}

/// Whether the client may come in at all, before any authentication.
pub fn hook_access_checker(r: Request<'_>) -> i32 {
    let Some(script) = &r.dir_config().access_script else { return DECLINED };
    let host = r.known_remote_host().or_else(|| r.client_ip()).unwrap_or_default();
    match ask(r, script, Function::AllowAccess, &[host]) {
        Answer::True => OK,
        Answer::None => DECLINED,
        _ => {
            if !r.satisfies_any_with_authentication() {
                log_with_script(r, LogLevel::Error, "WSGI0057: the access script does not let this client in");
            }
            FORBIDDEN
        }
    }
}

/// Basic authentication: whether the password is the user's.
pub fn check_password(r: Request<'_>, user: &[u8], password: &[u8]) -> Authentication {
    let Some(script) = &r.dir_config().auth_user_script else {
        log::server(r.server(), LogLevel::Error, "WSGI0041: AuthBasicProvider wsgi needs a WSGIAuthUserScript");
        return Authentication::Failed;
    };
    match ask(r, script, Function::CheckPassword, &[user, password]) {
        Answer::True => Authentication::Granted,
        Answer::False => Authentication::Denied,
        Answer::None => Authentication::UserNotFound,
        Answer::Text(name) => {
            r.set_user(&name);
            Authentication::Granted
        }
        _ => Authentication::Failed,
    }
}

/// Digest authentication: the hash of user, realm and password, if the user is known.
pub fn realm_hash(r: Request<'_>, user: &[u8], realm: &[u8]) -> Result<Vec<u8>, Authentication> {
    let Some(script) = &r.dir_config().auth_user_script else {
        log::server(r.server(), LogLevel::Error, "WSGI0044: AuthDigestProvider wsgi needs a WSGIAuthUserScript");
        return Err(Authentication::Failed);
    };
    match ask(r, script, Function::GetRealmHash, &[user, realm]) {
        Answer::Text(hash) => Ok(hash),
        Answer::None => Err(Authentication::UserNotFound),
        _ => Err(Authentication::Failed),
    }
}

/// `Require wsgi-group`: whether the user is in one of the groups of the line.
pub fn check_authorization(r: Request<'_>, line: &str) -> Authorization {
    let Some(user) = r.user() else { return Authorization::DeniedWithoutUser };
    let Some(script) = &r.dir_config().auth_group_script else {
        log::server(r.server(), LogLevel::Error, "WSGI0058: Require wsgi-group needs a WSGIAuthGroupScript");
        return Authorization::Denied;
    };
    let groups = match ask(r, script, Function::GroupsForUser, &[user]) {
        Answer::Texts(groups) => groups,
        _ => return Authorization::Denied,
    };
    let user = String::from_utf8_lossy(user);
    if groups.is_empty() {
        log_with_script(r, LogLevel::Error, &format!("WSGI0059: the user '{user}' is in no group"));
        return Authorization::Denied;
    }
    let is_in = |name: &String| groups.iter().any(|group| group.eq_ignore_ascii_case(name.as_bytes()));
    if mod_wsgi_core::directive::Words::new(line).any(|name| is_in(&name)) {
        return Authorization::Granted;
    }
    log_with_script(r, LogLevel::Error, &format!("WSGI0060: the user '{user}' is in none of the groups '{line}'"));
    Authorization::Denied
}
