#![no_main]
//! Fuzz target: `properties::response_rules`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::response_rules(data));
