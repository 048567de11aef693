//! What Patroni says of a cluster.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::hosts::patroni(bytes));
