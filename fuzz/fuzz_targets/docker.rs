//! What a host's Docker engine says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::hosts::docker(bytes));
