//! What access, authentication and group scripts can ask mod_ssl about the connection.

use crate::application::request::Request;
use crate::python::{Args, Class, Definition, Exception, Fields, Object, PyResult, Python};
use std::ffi::CStr;
use std::sync::Arc;

/// The object whose methods are `mod_ssl.is_https` and `mod_ssl.var_lookup`.
pub struct Auth(pub Arc<Request>);

impl Fields for Auth {}

impl Class for Auth {
    const NAME: &'static CStr = c"mod_wsgi.Auth";

    fn define(definition: Definition<Self>) -> Definition<Self> {
        definition.method(c"ssl_is_https", Self::is_https).method(c"ssl_var_lookup", Self::var_lookup)
    }
}

impl Auth {
    fn is_https<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        if arguments.len() > 0 {
            return py.raise(Exception::Type, "ssl_is_https() takes no arguments");
        }
        this.0.expect_running(py, "mod_ssl.is_https() called")?;
        let answer = this.0.with_detached(py, |inner| inner.exchange.as_mut().is_some_and(|apache| apache.is_https()));
        py.int(answer.into())
    }

    fn var_lookup<'a, 'py>(py: Python<'py>, this: &'a Self, arguments: Args<'a, 'py>) -> PyResult<'py, Object<'py>> {
        let (Some(name), 1) = (arguments.get(0), arguments.len()) else {
            let text = format!("ssl_var_lookup() takes exactly 1 argument ({} given)", arguments.len());
            return py.raise(Exception::Type, &text);
        };
        let mut wanted = Vec::new();
        match name.as_bytes() {
            Some(name) => wanted.extend_from_slice(name),
            None if name.is_text() => name.put_latin1(&mut wanted)?,
            None => {
                let text = format!("name of a variable must be str or bytes, not {}", name.type_name());
                return py.raise(Exception::Type, &text);
            }
        }
        this.0.expect_running(py, "mod_ssl.var_lookup() called")?;
        let ask = || this.0.with_detached(py, |inner| inner.exchange.as_mut()?.ssl_variable(&wanted));
        // httpd takes a name to its first NUL, and no variable has one.
        match Some(()).filter(|()| !wanted.contains(&0)).and_then(|()| ask()) {
            Some(value) => py.latin1(&value),
            None => Ok(py.none()),
        }
    }
}
