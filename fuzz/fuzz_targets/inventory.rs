//! The inventory of hosts, `servers.tsv`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kbz_fuzz::files::inventory(bytes));
