//! The real hosts and services: the only room that opens connections.
//!
//! [`transport`] is the way to one host; everything else here is built on it, except the
//! client for Hetzner's API, which is reached over HTTPS.

pub mod hetzner;
pub mod pool;
pub mod shell;
pub mod ssh;
pub mod transport;
