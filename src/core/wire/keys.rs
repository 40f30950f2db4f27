//! The environ keys that travel as one byte.
//!
//! The table is part of the protocol: both artefacts are built from it, and [`super::PROTOCOL`] changes with it.

/// An environ key that both sides know by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u8);

macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Position { $($name,)* }

        impl Key {
            $(
                #[doc = concat!("The environ key `", $text, "`.")]
                pub const $name: Key = Key(Position::$name as u8 + 1);
            )*
        }

        /// The names of all keys with a number, the key's number less one being its index.
        pub const KEYS: &[&str] = &[$($text,)*];
    };
}

// CGI variables and request headers, sorted by their text so that `key_for` can search by halves.
keys! {
    AUTH_TYPE = "AUTH_TYPE",
    CONTENT_LENGTH = "CONTENT_LENGTH",
    CONTENT_TYPE = "CONTENT_TYPE",
    CONTEXT_DOCUMENT_ROOT = "CONTEXT_DOCUMENT_ROOT",
    CONTEXT_PREFIX = "CONTEXT_PREFIX",
    DOCUMENT_ROOT = "DOCUMENT_ROOT",
    HTTPS = "HTTPS",
    HTTP_ACCEPT = "HTTP_ACCEPT",
    HTTP_ACCEPT_CHARSET = "HTTP_ACCEPT_CHARSET",
    HTTP_ACCEPT_ENCODING = "HTTP_ACCEPT_ENCODING",
    HTTP_ACCEPT_LANGUAGE = "HTTP_ACCEPT_LANGUAGE",
    HTTP_AUTHORIZATION = "HTTP_AUTHORIZATION",
    HTTP_CACHE_CONTROL = "HTTP_CACHE_CONTROL",
    HTTP_CONNECTION = "HTTP_CONNECTION",
    HTTP_COOKIE = "HTTP_COOKIE",
    HTTP_DNT = "HTTP_DNT",
    HTTP_EXPECT = "HTTP_EXPECT",
    HTTP_FORWARDED = "HTTP_FORWARDED",
    HTTP_HOST = "HTTP_HOST",
    HTTP_IF_MODIFIED_SINCE = "HTTP_IF_MODIFIED_SINCE",
    HTTP_IF_NONE_MATCH = "HTTP_IF_NONE_MATCH",
    HTTP_ORIGIN = "HTTP_ORIGIN",
    HTTP_PRAGMA = "HTTP_PRAGMA",
    HTTP_PRIORITY = "HTTP_PRIORITY",
    HTTP_RANGE = "HTTP_RANGE",
    HTTP_REFERER = "HTTP_REFERER",
    HTTP_SEC_CH_UA = "HTTP_SEC_CH_UA",
    HTTP_SEC_CH_UA_MOBILE = "HTTP_SEC_CH_UA_MOBILE",
    HTTP_SEC_CH_UA_PLATFORM = "HTTP_SEC_CH_UA_PLATFORM",
    HTTP_SEC_FETCH_DEST = "HTTP_SEC_FETCH_DEST",
    HTTP_SEC_FETCH_MODE = "HTTP_SEC_FETCH_MODE",
    HTTP_SEC_FETCH_SITE = "HTTP_SEC_FETCH_SITE",
    HTTP_SEC_FETCH_USER = "HTTP_SEC_FETCH_USER",
    HTTP_SEC_GPC = "HTTP_SEC_GPC",
    HTTP_TE = "HTTP_TE",
    HTTP_TRACEPARENT = "HTTP_TRACEPARENT",
    HTTP_TRACESTATE = "HTTP_TRACESTATE",
    HTTP_TRANSFER_ENCODING = "HTTP_TRANSFER_ENCODING",
    HTTP_UPGRADE_INSECURE_REQUESTS = "HTTP_UPGRADE_INSECURE_REQUESTS",
    HTTP_USER_AGENT = "HTTP_USER_AGENT",
    HTTP_VIA = "HTTP_VIA",
    HTTP_X_CSRFTOKEN = "HTTP_X_CSRFTOKEN",
    HTTP_X_FORWARDED_FOR = "HTTP_X_FORWARDED_FOR",
    HTTP_X_FORWARDED_HOST = "HTTP_X_FORWARDED_HOST",
    HTTP_X_FORWARDED_PORT = "HTTP_X_FORWARDED_PORT",
    HTTP_X_FORWARDED_PROTO = "HTTP_X_FORWARDED_PROTO",
    HTTP_X_REAL_IP = "HTTP_X_REAL_IP",
    HTTP_X_REQUESTED_WITH = "HTTP_X_REQUESTED_WITH",
    HTTP_X_REQUEST_ID = "HTTP_X_REQUEST_ID",
    PATH_INFO = "PATH_INFO",
    QUERY_STRING = "QUERY_STRING",
    REDIRECT_QUERY_STRING = "REDIRECT_QUERY_STRING",
    REDIRECT_REMOTE_USER = "REDIRECT_REMOTE_USER",
    REDIRECT_STATUS = "REDIRECT_STATUS",
    REDIRECT_URL = "REDIRECT_URL",
    REMOTE_ADDR = "REMOTE_ADDR",
    REMOTE_PORT = "REMOTE_PORT",
    REMOTE_USER = "REMOTE_USER",
    REQUEST_METHOD = "REQUEST_METHOD",
    REQUEST_SCHEME = "REQUEST_SCHEME",
    REQUEST_URI = "REQUEST_URI",
    SCRIPT_FILENAME = "SCRIPT_FILENAME",
    SCRIPT_NAME = "SCRIPT_NAME",
    SERVER_ADDR = "SERVER_ADDR",
    SERVER_ADMIN = "SERVER_ADMIN",
    SERVER_NAME = "SERVER_NAME",
    SERVER_PORT = "SERVER_PORT",
    SERVER_PROTOCOL = "SERVER_PROTOCOL",
    SERVER_SOFTWARE = "SERVER_SOFTWARE",
    MOD_WSGI_APPLICATION_GROUP = "mod_wsgi.application_group",
    MOD_WSGI_CONNECTION_ID = "mod_wsgi.connection_id",
    MOD_WSGI_HANDLER_SCRIPT = "mod_wsgi.handler_script",
    MOD_WSGI_LISTENER_HOST = "mod_wsgi.listener_host",
    MOD_WSGI_LISTENER_PORT = "mod_wsgi.listener_port",
    MOD_WSGI_PATH_INFO = "mod_wsgi.path_info",
    MOD_WSGI_PROCESS_GROUP = "mod_wsgi.process_group",
    MOD_WSGI_REQUEST_HANDLER = "mod_wsgi.request_handler",
    MOD_WSGI_REQUEST_ID = "mod_wsgi.request_id",
    MOD_WSGI_SCRIPT_NAME = "mod_wsgi.script_name",
    MOD_WSGI_SERVER_PID = "mod_wsgi.server_pid",
}

impl Key {
    /// The number on the wire, from 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The key with that number on the wire.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        (1..=KEYS.len()).contains(&usize::from(number)).then_some(Self(number))
    }

    /// Its place in [`KEYS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

/// The text of a key.
#[must_use]
pub fn key_name(key: Key) -> &'static str {
    // A Key is made from its position in this table, or checked against its length.
    KEYS[key.index()]
}

/// The key with that text, if it has a number.
#[must_use]
pub fn key_for(name: &[u8]) -> Option<Key> {
    KEYS.binary_search_by(|key| key.as_bytes().cmp(name)).ok().map(|index| Key(index as u8 + 1))
}

/// The longest header name that [`key_for_header`] looks at, in bytes.
const LONGEST: usize = 40;

/// The key of a request header, if it has a number: `HTTP_`, the name in upper case, `-` as `_`.
///
/// Source: RFC 3875, "Protocol-Specific Meta-Variables"; PEP 3333, "environ Variables".
#[must_use]
pub fn key_for_header(name: &[u8]) -> Option<Key> {
    let mut text = [0_u8; LONGEST];
    let text = text.get_mut(..5 + name.len())?;
    let (prefix, rest) = text.split_at_mut(5);
    prefix.copy_from_slice(b"HTTP_");
    for (to, from) in rest.iter_mut().zip(name) {
        *to = if *from == b'-' { b'_' } else { from.to_ascii_uppercase() };
    }
    key_for(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_fits_one_byte() {
        assert!(KEYS.is_sorted());
        assert!(KEYS.len() < 255);
        assert!(KEYS.iter().all(|key| key.len() <= LONGEST));
    }

    #[test]
    fn every_name_finds_its_number_and_every_number_its_name() {
        for name in KEYS {
            let key = key_for(name.as_bytes()).unwrap();
            assert_eq!(key_name(key), *name);
            assert_eq!(Key::from_number(key.number()), Some(key));
        }
        assert_eq!(key_for(b"HTTP_X_OTHER"), None);
        assert_eq!(key_name(Key::REQUEST_METHOD), "REQUEST_METHOD");
    }

    #[test]
    fn a_header_name_is_found_in_any_case() {
        assert_eq!(key_for_header(b"user-AGENT"), Some(Key::HTTP_USER_AGENT));
        assert_eq!(key_for_header(b"x-unknown"), None);
        assert_eq!(key_for_header(&[b'a'; 300]), None);
    }
}
