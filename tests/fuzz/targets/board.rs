#![no_main]
//! Fuzz target: `properties::board`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::board(data));
