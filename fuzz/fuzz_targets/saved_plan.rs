//! A saved plan.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::state::saved_plan(bytes));
