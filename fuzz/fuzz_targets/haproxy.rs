//! What a host's HAProxy says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::hosts::haproxy(bytes));
