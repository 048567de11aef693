//! The real hosts: the only room that opens connections.

pub mod hetzner;
