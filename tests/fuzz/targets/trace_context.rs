#![no_main]
//! Fuzz target: `properties::trace_context`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::trace_context(data));
