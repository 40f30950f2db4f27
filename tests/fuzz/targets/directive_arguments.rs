#![no_main]
//! Fuzz target: `properties::directive_arguments`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::directive_arguments(data));
