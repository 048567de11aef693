//! A file of credentials.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::files::credentials(bytes));
