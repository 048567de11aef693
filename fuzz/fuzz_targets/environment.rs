//! The environments, `kbz.toml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::files::environment(bytes));
