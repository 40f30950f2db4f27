//! httpd's side of access control: the hook, and the providers that `AuthBasicProvider`, `AuthDigestProvider` and `Require`
//! name.

use std::ffi::{c_char, c_int, c_void};

use super::request::Request;
use super::{bytes, ffi};
use crate::guard::guarded;

/// What an authentication provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The user is who they say.
    Granted,
    /// The password is wrong.
    Denied,
    /// Nobody is known by that name.
    UserNotFound,
    /// It cannot be told; the client gets 500.
    Failed,
}

impl Authentication {
    const fn status(self) -> ffi::authn_status {
        match self {
            Self::Granted => ffi::AUTH_GRANTED,
            Self::Denied => ffi::AUTH_DENIED,
            Self::UserNotFound => ffi::AUTH_USER_NOT_FOUND,
            Self::Failed => ffi::AUTH_GENERAL_ERROR,
        }
    }
}

/// What an authorization provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// The user may.
    Granted,
    /// The user may not.
    Denied,
    /// Nobody has been authenticated yet.
    DeniedWithoutUser,
}

impl Authorization {
    const fn status(self) -> ffi::authz_status {
        match self {
            Self::Granted => ffi::AUTHZ_GRANTED,
            Self::Denied => ffi::AUTHZ_DENIED,
            Self::DeniedWithoutUser => ffi::AUTHZ_DENIED_NO_USER,
        }
    }
}

static AUTHENTICATION: ffi::authn_provider =
    ffi::authn_provider { check_password: Some(check_password), get_realm_hash: Some(get_realm_hash) };

static AUTHORIZATION: ffi::authz_provider =
    ffi::authz_provider { check_authorization: Some(check_authorization), parse_require_line: None };

/// Registers the providers, once per load of the module.
pub(super) fn register(pool: *mut ffi::apr_pool_t) {
    let type_of_configuration = ffi::AP_AUTH_INTERNAL_PER_CONF as c_int;
    // SAFETY: the names and the tables are static; httpd keeps them while the configuration lives.
    unsafe {
        ffi::ap_register_auth_provider(
            pool,
            ffi::AUTHN_PROVIDER_GROUP.as_ptr().cast(),
            c"wsgi".as_ptr(),
            ffi::AUTHN_PROVIDER_VERSION.as_ptr().cast(),
            (&raw const AUTHENTICATION).cast::<c_void>(),
            type_of_configuration,
        );
        ffi::ap_register_auth_provider(
            pool,
            ffi::AUTHZ_PROVIDER_GROUP.as_ptr().cast(),
            c"wsgi-group".as_ptr(),
            ffi::AUTHZ_PROVIDER_VERSION.as_ptr().cast(),
            (&raw const AUTHORIZATION).cast::<c_void>(),
            type_of_configuration,
        );
    }
}

/// Per request with Basic authentication.
unsafe extern "C" fn check_password(
    r: *mut ffi::request_rec,
    user: *const c_char,
    password: *const c_char,
) -> ffi::authn_status {
    guarded(
        "check_password",
        || Authentication::Failed,
        || {
            // SAFETY: httpd calls with a live request and NUL-terminated texts.
            let (r, user, password) = unsafe { (Request::new(r), bytes(user), bytes(password)) };
            let (Some(r), Some(user), Some(password)) = (r, user, password) else { return Authentication::Failed };
            crate::access::check_password(r, user, password)
        },
    )
    .status()
}

/// Per request with Digest authentication.
unsafe extern "C" fn get_realm_hash(
    r: *mut ffi::request_rec,
    user: *const c_char,
    realm: *const c_char,
    hash: *mut *mut c_char,
) -> ffi::authn_status {
    guarded(
        "get_realm_hash",
        || ffi::AUTH_GENERAL_ERROR,
        || {
            // SAFETY: httpd calls with a live request and NUL-terminated texts.
            let (r, user, realm) = unsafe { (Request::new(r), bytes(user), bytes(realm)) };
            let (Some(r), Some(user), Some(realm)) = (r, user, realm) else { return ffi::AUTH_GENERAL_ERROR };
            match crate::access::realm_hash(r, user, realm) {
                Ok(found) => {
                    // SAFETY: httpd gives room for a pointer; the copy lives in the request's pool.
                    unsafe { *hash = r.pool().text(&found) };
                    ffi::AUTH_USER_FOUND
                }
                Err(answer) => answer.status(),
            }
        },
    )
}

/// Per `Require wsgi-group` line of a request.
unsafe extern "C" fn check_authorization(
    r: *mut ffi::request_rec,
    line: *const c_char,
    _parsed: *const c_void,
) -> ffi::authz_status {
    guarded(
        "check_authorization",
        || Authorization::Denied,
        || {
            // SAFETY: httpd calls with a live request and a NUL-terminated text.
            let (r, line) = unsafe { (Request::new(r), bytes(line)) };
            let Some(r) = r else { return Authorization::Denied };
            crate::access::check_authorization(r, &String::from_utf8_lossy(line.unwrap_or_default()))
        },
    )
    .status()
}
