//! A snapshot of the state.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::state::snapshot(bytes));
