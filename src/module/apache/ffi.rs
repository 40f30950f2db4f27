//! The bindings to httpd and APR that bindgen makes from `wrapper.h`. Nothing outside of [`crate::apache`] names them.

#![allow(missing_docs, dead_code, non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(unused_imports, improper_ctypes, unnecessary_transmutes, clippy::all, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/httpd.rs"));
