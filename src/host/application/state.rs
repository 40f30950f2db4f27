//! What the module `mod_wsgi` keeps in each interpreter: its types, and the values every environ holds.

use super::adapter::Adapter;
use super::call::Auth;
use super::environ::Memos;
use super::file_wrapper::FileWrapper;
use super::input::Input;
use super::output::{Log, Streams};
use super::request::Request;
use super::telemetry::collections::Collections;
use crate::python::{Definition, Fields, ModuleState, Object, PyResult, Python, Stored, Visit, new_instance};
use mod_wsgi_core::launch::Launch;
use mod_wsgi_core::wire::KEYS;
use std::ffi::CStr;
use std::sync::Arc;

macro_rules! stored {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[allow(missing_docs, reason = "each field is named for what it holds")]
        pub struct $name { $(pub $field: Stored,)* }
        impl Fields for $name {
            fn fields(&self, visit: &mut Visit<'_>) {
                $(visit.field(&self.$field);)*
            }
        }
    };
}

stored! {
    /// The types.
    Types { adapter, input, log, file_wrapper, auth, text_io_wrapper, request_timeout }
}

stored! {
    /// Interned texts: attribute names, and keys of the environ that are made here.
    Names {
        start_response, write, close, application, mtime, reload_required,
        wsgi_errors, wsgi_input, wsgi_url_scheme, callable_object, request_start, queue_start, daemon_start,
        application_start, thread_id, request_rec, http, https, encoding, errors, line_buffering, dict,
        event_callbacks, shutdown_callbacks, signal_callbacks, active_requests,
    }
}

stored! {
    /// Values used again and again.
    Values { base, utf8, replace, zero, namespace }
}

/// The documentation of `mod_wsgi.RequestTimeout`.
const REQUEST_TIMEOUT: &CStr =
    c"The request ran longer than request-timeout allows. Raised in the thread that runs it; \
unless it is caught, the client gets 504.";

/// The state of the module.
pub struct State {
    /// The types.
    pub types: Types,
    /// What this process was told.
    pub launch: &'static Launch,
    /// Interned texts.
    pub names: Names,
    /// Values.
    pub values: Values,
    /// The environ keys that travel by number, in the order of [`KEYS`].
    pub keys: Vec<Stored>,
    /// Streams for `wsgi.errors`.
    pub streams: Streams,
    /// Environs of earlier requests.
    pub memos: Memos,
    /// What the garbage collector has done.
    pub collections: Collections,
}

impl Fields for State {
    fn fields(&self, visit: &mut Visit<'_>) {
        self.types.fields(visit);
        self.names.fields(visit);
        self.values.fields(visit);
        self.keys.iter().for_each(|key| visit.field(key));
        self.streams.fields(visit);
        self.memos.fields(visit);
        self.collections.fields(visit);
    }
}

impl ModuleState for State {
    const NAME: &'static CStr = c"mod_wsgi";
}

impl State {
    /// Makes the state; `application_group` is the name of the interpreter.
    ///
    /// # Errors
    /// `MemoryError`, or what importing `io` raises.
    pub fn new<'py>(module: &Object<'py>, launch: &'static Launch, application_group: &[u8]) -> PyResult<'py, Self> {
        let py = module.py();
        let name = |text: &str| py.interned(text).map(Stored::new);
        let types = Types {
            adapter: Stored::new(Definition::<Adapter>::make(module)?),
            input: Stored::new(Definition::<Input>::make(module)?),
            log: Stored::new(Definition::<Log>::make(module)?),
            file_wrapper: Stored::new(Definition::<FileWrapper>::make(module)?),
            auth: Stored::new(Definition::<Auth>::make(module)?),
            text_io_wrapper: Stored::new(py.import("io")?.get("TextIOWrapper")?),
            request_timeout: Stored::new(py.base_exception_type(c"mod_wsgi.RequestTimeout", REQUEST_TIMEOUT)?),
        };
        let names = Names {
            start_response: name("start_response")?,
            write: name("write")?,
            close: name("close")?,
            application: name("application")?,
            mtime: name("__mtime__")?,
            reload_required: name("reload_required")?,
            wsgi_errors: name("wsgi.errors")?,
            wsgi_input: name("wsgi.input")?,
            wsgi_url_scheme: name("wsgi.url_scheme")?,
            callable_object: name("mod_wsgi.callable_object")?,
            request_start: name("mod_wsgi.request_start")?,
            queue_start: name("mod_wsgi.queue_start")?,
            daemon_start: name("mod_wsgi.daemon_start")?,
            application_start: name("mod_wsgi.application_start")?,
            thread_id: name("mod_wsgi.thread_id")?,
            request_rec: name("apache.request_rec")?,
            http: name("http")?,
            https: name("https")?,
            encoding: name("encoding")?,
            errors: name("errors")?,
            line_buffering: name("line_buffering")?,
            dict: name("__dict__")?,
            event_callbacks: name("event_callbacks")?,
            shutdown_callbacks: name("shutdown_callbacks")?,
            signal_callbacks: name("signal_callbacks")?,
            active_requests: name("active_requests")?,
        };
        let base = base(py, launch, application_group, &types)?;
        let values = Values {
            base: Stored::new(base),
            utf8: name("utf-8")?,
            replace: name("replace")?,
            zero: Stored::new(py.float(0.0)?),
            namespace: Stored::new(module.get("__dict__")?),
        };
        let keys = KEYS.iter().map(|key| name(key)).collect::<PyResult<'_, _>>()?;
        let (streams, memos, collections) = (Streams::default(), Memos::default(), Collections::default());
        Ok(Self { types, launch, names, values, keys, streams, memos, collections })
    }
}

/// The entries that say which releases of httpd and of this host there are.
///
/// # Errors
/// `MemoryError`.
pub fn versions<'py>(py: Python<'py>, launch: &Launch) -> PyResult<'py, [(&'static str, Object<'py>); 2]> {
    let numbers = |[major, minor, patch]: [u32; 3]| {
        py.tuple([py.int(major.into())?, py.int(minor.into())?, py.int(patch.into())?])
    };
    let part = |at| launch.apache_version.get(at).copied().unwrap_or_default();
    let (major, minor, patch) = mod_wsgi_core::VERSION;
    let apache = numbers([part(0), part(1), part(2)])?;
    Ok([("apache.version", apache), ("mod_wsgi.version", numbers([major, minor, patch])?)])
}

/// The entries that every environ of this interpreter has.
fn base<'py>(py: Python<'py>, launch: &Launch, group: &[u8], types: &Types) -> PyResult<'py, Object<'py>> {
    let base = py.dict()?;
    let put = |name: &str, value: Object<'py>| base.set_entry(&py.interned(name)?, &value);
    let versions = versions(py, launch)?;
    put("wsgi.version", py.tuple([py.int(1)?, py.int(0)?])?)?;
    put("wsgi.multithread", py.bool(launch.threads != 1))?;
    put("wsgi.multiprocess", py.bool(launch.multiprocess))?;
    put("wsgi.run_once", py.bool(launch.threads == 1 && launch.maximum_requests == 1))?;
    put("wsgi.input_terminated", py.bool(true))?;
    put("wsgi.file_wrapper", types.file_wrapper.get(py).clone())?;
    for (name, version) in versions {
        put(name, version)?;
    }
    put("mod_wsgi.process_group", py.latin1(&launch.process_group)?)?;
    put("mod_wsgi.application_group", py.latin1(group)?)?;
    Ok(base)
}

impl Types {
    /// An object with `start_response` and `write` for a request.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn adapter_object<'py>(&self, py: Python<'py>, request: &Arc<Request>) -> PyResult<'py, Object<'py>> {
        new_instance(&self.adapter.get(py), Adapter(Arc::clone(request)))
    }

    /// `wsgi.input` of a request.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn input_object<'py>(&self, py: Python<'py>, request: &Arc<Request>) -> PyResult<'py, Object<'py>> {
        new_instance(&self.input.get(py), Input(Arc::clone(request)))
    }

    /// An object that asks mod_ssl about the connection of a request.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn auth_object<'py>(&self, py: Python<'py>, request: &Arc<Request>) -> PyResult<'py, Object<'py>> {
        new_instance(&self.auth.get(py), Auth(Arc::clone(request)))
    }
}
