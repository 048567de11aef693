//! What a host prints when it is read.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::hosts::answers(bytes));
