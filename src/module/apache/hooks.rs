//! What httpd calls, and when. Each function wraps its arguments, calls a safe function, and catches panics.

use std::ffi::{c_char, c_int};

use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::{DECLINED, OK, REFUSED, ffi};
use crate::guard::guarded;

/// Modules whose hook runs before ours: a list of names that ends with null.
#[repr(transparent)]
struct Names<const N: usize>([*const c_char; N]);
// SAFETY: static texts, never changed.
unsafe impl<const N: usize> Sync for Names<N> {}

static AFTER_ALIAS: Names<2> = Names([c"mod_alias.c".as_ptr(), std::ptr::null()]);
static AFTER_SSL: Names<2> = Names([c"mod_ssl.c".as_ptr(), std::ptr::null()]);
static BEFORE_AUTHZ_HOST: Names<2> = Names([c"mod_authz_host.c".as_ptr(), std::ptr::null()]);
static BEFORE_USERDIR: Names<3> = Names([c"mod_userdir.c".as_ptr(), c"mod_vhost_alias.c".as_ptr(), std::ptr::null()]);

/// Called once per load of the module, that is at every start and restart.
pub(super) unsafe extern "C" fn register(p: *mut ffi::apr_pool_t) {
    let none = std::ptr::null();
    crate::sys::itself::stay();
    // SAFETY: httpd keeps the function pointers while the configuration lives; they are never unloaded (`sys::itself`).
    unsafe {
        ffi::ap_hook_post_config(Some(post_config), none, none, ffi::APR_HOOK_LAST as c_int);
        ffi::ap_hook_test_config(Some(test_config), none, none, ffi::APR_HOOK_MIDDLE as c_int);
        ffi::ap_hook_child_init(Some(child_init), none, none, ffi::APR_HOOK_MIDDLE as c_int);
        let (before, after) = (AFTER_ALIAS.0.as_ptr(), BEFORE_USERDIR.0.as_ptr());
        ffi::ap_hook_translate_name(Some(translate_name), before, after, ffi::APR_HOOK_MIDDLE as c_int);
        let (ssl, hosts) = (AFTER_SSL.0.as_ptr(), BEFORE_AUTHZ_HOST.0.as_ptr());
        ffi::ap_hook_access_checker(Some(access_checker), ssl, hosts, ffi::APR_HOOK_MIDDLE as c_int);
        ffi::ap_hook_handler(Some(handler), none, none, ffi::APR_HOOK_MIDDLE as c_int);
    }
    super::access::register(p);
    #[cfg(unix)]
    super::child::register();
}

/// In the parent, at every start and restart, once the configuration is read; twice at the first start.
unsafe extern "C" fn post_config(
    pconf: *mut ffi::apr_pool_t,
    _plog: *mut ffi::apr_pool_t,
    _ptemp: *mut ffi::apr_pool_t,
    s: *mut ffi::server_rec,
) -> c_int {
    guarded(
        "post_config",
        || REFUSED,
        || {
            // SAFETY: httpd calls with the configuration's pool and the main server.
            let (Some(pconf), Some(main)) = (unsafe { Pool::new(pconf) }, unsafe { Server::new(s) }) else {
                return REFUSED;
            };
            match crate::startup::post_config(pconf, main) {
                Ok(runtime) => {
                    for server in main.chain() {
                        // SAFETY: httpd is in one thread and holds no reference to our configuration during this hook.
                        if let Some(config) = unsafe { server.config_mut() } {
                            config.runtime = runtime.clone();
                        }
                    }
                    OK
                }
                Err(reason) => {
                    super::log::server(main, mod_wsgi_core::wire::LogLevel::Crit, &reason);
                    // After a configuration error httpd's console is where an administrator looks.
                    eprintln!("mod_wsgi: {reason}");
                    REFUSED
                }
            }
        },
    )
}

/// With `apachectl configtest`, once the configuration is read.
unsafe extern "C" fn test_config(pconf: *mut ffi::apr_pool_t, s: *mut ffi::server_rec) {
    guarded(
        "test_config",
        || (),
        || {
            // SAFETY: httpd calls with the configuration's pool and the main server.
            if let (Some(pconf), Some(main)) = unsafe { (Pool::new(pconf), Server::new(s)) } {
                crate::configtest::hook_test_config(pconf, main);
            }
        },
    );
}

/// In each Apache child, once, before it serves requests.
unsafe extern "C" fn child_init(pchild: *mut ffi::apr_pool_t, s: *mut ffi::server_rec) {
    guarded(
        "child_init",
        || (),
        || {
            // SAFETY: httpd calls with the child's pool and the main server.
            if let (Some(pchild), Some(main)) = unsafe { (Pool::new(pchild), Server::new(s)) } {
                pchild.before_end(super::server::child_ends);
                crate::startup::child_init(main);
            }
        },
    );
}

fn with_request(place: &str, r: *mut ffi::request_rec, body: impl FnOnce(Request<'_>) -> i32) -> c_int {
    guarded(
        place,
        || REFUSED,
        || {
            // SAFETY: httpd calls with a live request, served by this thread until the hook returns.
            unsafe { Request::new(r) }.map_or(DECLINED, body)
        },
    )
}

/// Per request: which file a URL stands for.
unsafe extern "C" fn translate_name(r: *mut ffi::request_rec) -> c_int {
    with_request("translate_name", r, crate::translate::hook_translate_name)
}

/// Per request: whether the client may come in, before authentication.
unsafe extern "C" fn access_checker(r: *mut ffi::request_rec) -> c_int {
    with_request("access_checker", r, crate::access::hook_access_checker)
}

/// Per request: whether the response is ours.
unsafe extern "C" fn handler(r: *mut ffi::request_rec) -> c_int {
    with_request("the handler", r, crate::handler::hook_handler)
}
