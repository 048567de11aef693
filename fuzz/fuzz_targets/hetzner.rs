//! What Hetzner's API says of a load balancer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::hetzner::hetzner(bytes));
