//! The environ of a request, as it travels to whoever runs the application.
//!
//! Source: RFC 3875, "The CGI Environment"; PEP 3333, "environ Variables"; observed with mod_wsgi 6.1.1. Later entries
//! replace earlier ones: first `SetEnv` and its like, then what the request says, then what only mod_wsgi may say.

use mod_wsgi_core::trusted_proxy::{Effects, Rules};
use mod_wsgi_core::wire::{Key, PairWriter, key_for_header};

use crate::apache::request::Request;
use crate::config::MapHead;
use crate::handler::Resolved;

/// Writes all entries.
pub fn write(r: Request<'_>, resolved: &Resolved, out: &mut PairWriter<'_>) {
    let told = told_by_proxies(r);
    for (name, value) in r.variables().iter() {
        // Only we may say what begins so, and httpd's PATH is not the application's.
        if !name.starts_with(b"mod_wsgi.") && name != b"HTTPS" {
            out.named(name, value);
        }
    }
    headers(r, Credentials::of(r, resolved), &told, out);
    server(r, out);
    client(r, out);
    request(r, resolved, out);
    if is_https(r, &told) {
        out.known(Key::HTTPS, b"1");
    }
    module(r, resolved, out);
    if let Some(parent) = resolved.trace {
        let text = parent.to_string();
        out.known(Key::HTTP_TRACEPARENT, text.as_bytes());
        out.named(b"mod_wsgi.traceparent", text.as_bytes());
    }
    correct(&told, out);
}

/// Writes the smaller environ of access, authentication and group scripts, which run before much is known. Credentials are
/// arguments of theirs, never in the environ.
pub fn write_for_access(r: Request<'_>, application_group: &[u8], out: &mut PairWriter<'_>) {
    headers(r, Credentials::default(), &Effects::default(), out);
    out.named(b"SERVER_SIGNATURE", r.server_signature());
    out.known(Key::SERVER_SOFTWARE, r.banner());
    out.known(Key::SERVER_NAME, r.server_name());
    out.known(Key::SERVER_ADDR, r.local_ip().unwrap_or_default());
    number(Key::SERVER_PORT, u32::from(r.server_port()), out);
    if let Some(host) = r.known_remote_host() {
        out.named(b"REMOTE_HOST", host);
    }
    out.known(Key::REMOTE_ADDR, r.client_ip().unwrap_or_default());
    number(Key::REMOTE_PORT, u32::from(r.client_port()), out);
    out.known(Key::DOCUMENT_ROOT, r.document_root());
    if let Some(admin) = r.server_admin() {
        out.known(Key::SERVER_ADMIN, admin);
    }
    out.known(Key::SERVER_PROTOCOL, r.protocol().unwrap_or_default());
    out.known(Key::REQUEST_METHOD, r.method().unwrap_or_default());
    out.known(Key::QUERY_STRING, r.args().unwrap_or_default());
    out.known(Key::REQUEST_URI, original_uri(r));
    let path_info = r.path_info().unwrap_or_default();
    let uri = r.uri().unwrap_or_default();
    out.known(Key::SCRIPT_NAME, uri.get(..r.script_name_length(path_info)).unwrap_or(uri));
    out.known(Key::PATH_INFO, path_info);
    out.known(Key::MOD_WSGI_PROCESS_GROUP, b"");
    out.known(Key::MOD_WSGI_APPLICATION_GROUP, application_group);
}

/// What trusted headers of a proxy in front say.
fn told_by_proxies(r: Request<'_>) -> Effects {
    let config = r.dir_config();
    let Some(headers) = &config.trusted_headers else { return Effects::default() };
    let rules = Rules { headers: headers.clone(), proxies: config.trusted_proxies.clone() };
    rules.apply(r.client_ip().unwrap_or_default(), |header| {
        let name = std::ffi::CString::new(header.name()).ok()?;
        r.headers_in().get(&name)
    })
}

/// Puts what proxies say in place of what the connection says.
fn correct(told: &Effects, out: &mut PairWriter<'_>) {
    let entries = [
        (Key::REMOTE_ADDR, &told.remote_addr),
        (Key::HTTP_HOST, &told.host),
        (Key::SERVER_NAME, &told.server_name),
        (Key::SERVER_PORT, &told.server_port),
        (Key::SCRIPT_NAME, &told.script_name),
        (Key::HTTP_X_FORWARDED_FOR, &told.forwarded_for),
    ];
    for (key, value) in entries {
        if let Some(value) = value {
            out.known(key, value);
        }
    }
    if let Some(mount_point) = &told.script_name {
        out.named(b"mod_wsgi.mount_point", mount_point);
    }
}

/// Whether the URL scheme is https: a trusted proxy says so, or mod_ssl does, or a variable.
fn is_https(r: Request<'_>, told: &Effects) -> bool {
    let variable = r.variables().get(c"HTTPS").unwrap_or_default();
    let set = variable.eq_ignore_ascii_case(b"on") || variable == b"1";
    told.https.unwrap_or(set || (!told.scheme_is_told && r.is_https()))
}

/// Request headers whose name has nothing but letters, digits and hyphens: others could be taken for one of those
/// (`X_Forwarded_For`). `Proxy` would become a variable that HTTP clients obey (CVE-2016-5385).
fn headers(r: Request<'_>, passed: Credentials, told: &Effects, out: &mut PairWriter<'_>) {
    let mut name_buffer = Vec::new();
    let mut repeated: Vec<(&[u8], Vec<u8>)> = Vec::new();
    let mut seen: Vec<&[u8]> = Vec::new();
    for (name, value) in r.headers_in().iter() {
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            || name.eq_ignore_ascii_case(b"Proxy")
            || told.removes(name)
        {
            continue;
        }
        if name.eq_ignore_ascii_case(b"Content-Type") {
            out.known(Key::CONTENT_TYPE, value);
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            out.known(Key::CONTENT_LENGTH, value);
        } else if !passed.hides(name) {
            // httpd has joined repeated headers already, unless a module has added one.
            if let Some(first) = seen.iter().find(|other| other.eq_ignore_ascii_case(name)) {
                let joined = repeated.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(first));
                match joined {
                    Some((_, joined)) => joined.extend([b", ", value].concat()),
                    None => {
                        let earlier = r.headers_in().iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
                        let earlier = earlier.map(|(_, value)| value).unwrap_or_default();
                        repeated.push((name, [earlier, b", ", value].concat()));
                    }
                }
                continue;
            }
            seen.push(name);
            header(name, value, &mut name_buffer, out);
        }
    }
    for (name, value) in repeated {
        header(name, &value, &mut name_buffer, out);
    }
}

/// Which credentials the application sees: they are for httpd, unless the administrator says otherwise.
#[derive(Clone, Copy, Default)]
struct Credentials {
    /// `WSGIPassAuthorization On`, or `CGIPassAuth On`.
    authorization: bool,
    /// `CGIPassAuth On`.
    proxy_authorization: bool,
}

impl Credentials {
    fn of(r: Request<'_>, resolved: &Resolved) -> Self {
        let all = r.passes_credentials();
        Self { authorization: all || resolved.pass_authorization, proxy_authorization: all }
    }

    fn hides(self, header: &[u8]) -> bool {
        (header.eq_ignore_ascii_case(b"Authorization") && !self.authorization)
            || (header.eq_ignore_ascii_case(b"Proxy-Authorization") && !self.proxy_authorization)
    }
}

fn header(name: &[u8], value: &[u8], buffer: &mut Vec<u8>, out: &mut PairWriter<'_>) {
    match key_for_header(name) {
        Some(key) => out.known(key, value),
        None => {
            buffer.clear();
            buffer.extend_from_slice(b"HTTP_");
            buffer.extend(name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }));
            out.named(buffer, value);
        }
    }
}

fn server(r: Request<'_>, out: &mut PairWriter<'_>) {
    out.known(Key::SERVER_SOFTWARE, r.banner());
    out.known(Key::SERVER_NAME, r.server_name());
    out.known(Key::SERVER_ADDR, r.local_ip().unwrap_or_default());
    number(Key::SERVER_PORT, u32::from(r.server_port()), out);
    out.known(Key::DOCUMENT_ROOT, r.document_root());
    let (prefix, root) = r.context();
    out.known(Key::CONTEXT_PREFIX, prefix);
    out.known(Key::CONTEXT_DOCUMENT_ROOT, root);
    out.known(Key::REQUEST_SCHEME, r.scheme());
    if let Some(admin) = r.server_admin() {
        out.known(Key::SERVER_ADMIN, admin);
    }
}

fn client(r: Request<'_>, out: &mut PairWriter<'_>) {
    out.known(Key::REMOTE_ADDR, r.client_ip().unwrap_or_default());
    number(Key::REMOTE_PORT, u32::from(r.client_port()), out);
    if let Some(user) = r.user() {
        out.known(Key::REMOTE_USER, user);
    } else if let Some(user) = r.previous().and_then(Request::user) {
        out.known(Key::REDIRECT_REMOTE_USER, user);
    }
    if let Some(kind) = r.auth_type() {
        out.known(Key::AUTH_TYPE, kind);
    }
}

fn request(r: Request<'_>, resolved: &Resolved, out: &mut PairWriter<'_>) {
    out.known(Key::SCRIPT_FILENAME, r.filename().unwrap_or_default());
    if let Some(previous) = r.previous() {
        out.known(Key::REDIRECT_URL, previous.uri().unwrap_or_default());
        if let Some(query) = previous.args() {
            out.known(Key::REDIRECT_QUERY_STRING, query);
        }
    }
    out.known(Key::SERVER_PROTOCOL, r.protocol().unwrap_or_default());
    let method = r.method().unwrap_or_default();
    let maps_head = match resolved.map_head {
        MapHead::On => true,
        MapHead::Off => false,
        MapHead::Auto => r.has_content_filter(),
    };
    out.known(Key::REQUEST_METHOD, if method == b"HEAD" && maps_head { b"GET" } else { method });
    out.known(Key::QUERY_STRING, r.args().unwrap_or_default());
    let request_uri = if r.request_uri_is_current() { r.uri().unwrap_or_default() } else { original_uri(r) };
    out.known(Key::REQUEST_URI, request_uri);

    let path_info = r.path_info().unwrap_or_default();
    let uri = r.uri().unwrap_or_default();
    let script_name = uri.get(..r.script_name_length(path_info)).unwrap_or(uri);
    let (script_name, path_info) = (merge_slashes(script_name), merge_slashes(path_info));
    out.known(Key::SCRIPT_NAME, &script_name);
    out.known(Key::PATH_INFO, &path_info);
    out.known(Key::MOD_WSGI_SCRIPT_NAME, &script_name);
    out.known(Key::MOD_WSGI_PATH_INFO, &path_info);
}

fn module(r: Request<'_>, resolved: &Resolved, out: &mut PairWriter<'_>) {
    out.known(Key::MOD_WSGI_REQUEST_HANDLER, r.handler().unwrap_or_default());
    out.known(Key::MOD_WSGI_HANDLER_SCRIPT, &resolved.handler_script);
    out.known(Key::MOD_WSGI_LISTENER_HOST, r.local_ip().unwrap_or_default());
    number(Key::MOD_WSGI_LISTENER_PORT, u32::from(r.local_port()), out);
    number(Key::MOD_WSGI_SERVER_PID, resolved.server_pid, out);
    if let Some(id) = r.make_log_id() {
        out.known(Key::MOD_WSGI_REQUEST_ID, id);
    }
    if let Some(id) = r.connection_log_id() {
        out.known(Key::MOD_WSGI_CONNECTION_ID, id);
    }
}

/// A number without an allocation.
fn number(key: Key, number: u32, out: &mut PairWriter<'_>) {
    let mut text = [0_u8; 10];
    let mut at = text.len();
    let mut rest = number;
    while at > 0 {
        at -= 1;
        // `at` is below the length, and a decimal digit fits a byte.
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.known(key, &text[at..]);
}

/// The URL of the request line as it was sent, also after an internal redirect.
fn original_uri(r: Request<'_>) -> &[u8] {
    let first = std::iter::successors(Some(r), |request| request.previous()).last().unwrap_or(r);
    let line = first.request_line().unwrap_or_default();
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    // An absolute URL is cut to its path, as httpd's CGI code does.
    if target.starts_with(b"/") || target == b"*" || target.is_empty() {
        return target;
    }
    let after_host = target.windows(3).position(|part| part == b"://").map(|at| &target[at + 3..]);
    after_host.and_then(|rest| rest.iter().position(|byte| *byte == b'/').map(|at| &rest[at..])).unwrap_or(target)
}

/// Runs of slashes as one.
pub fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = Vec::with_capacity(path.len());
    for byte in path {
        if *byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(*byte);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use mod_wsgi_core::wire::Pairs;

    #[test]
    fn runs_of_slashes_become_one() {
        assert_eq!(merge_slashes(b"//a///b/"), b"/a/b/");
        assert_eq!(merge_slashes(b""), b"");
    }

    #[test]
    fn numbers_are_written_in_full() {
        for value in [0, 7, 80, 65535, u32::MAX] {
            let mut out = Vec::new();
            number(Key::SERVER_PORT, value, &mut PairWriter::new(&mut out));
            let (_, text) = Pairs::new(&out).next().unwrap().unwrap();
            assert_eq!(text, value.to_string().as_bytes());
        }
    }
}
