#![no_main]
//! Fuzz target: `properties::launch_block`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::launch_block(data));
