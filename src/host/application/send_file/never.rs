//! Files where Apache cannot have those of an application: descriptors belong to the C library that has opened them, and
//! Apache's is another one. All blocks are read.

use super::request::Request;
use super::run::Stop;
use crate::python::{Object, Python};
use mod_wsgi_core::wire::RequestHead;

/// Nothing is sent: a result is always to be iterated over.
pub fn send<'py>(
    _py: Python<'py>,
    _request: &Request,
    _result: &Object<'py>,
    _head: &RequestHead<'_>,
) -> Option<Result<(), Stop<'py>>> {
    None
}
