//! What a host's systemd says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::hosts::systemd(bytes));
