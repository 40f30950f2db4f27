#![no_main]
//! Fuzz target: `properties::wire_frames`.
libfuzzer_sys::fuzz_target!(|data: &[u8]| mod_wsgi_fuzz::wire_frames(data));
