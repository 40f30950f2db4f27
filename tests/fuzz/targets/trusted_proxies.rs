#![no_main]
//! Fuzz target: `properties::trusted_proxies`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::trusted_proxies(data));
