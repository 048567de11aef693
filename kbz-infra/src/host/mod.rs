//! The real hosts: the only room that opens connections.

pub mod hetzner;
//!
//! [`transport`] is the way to one host; everything else here is built on it.

pub mod pool;
pub mod shell;
pub mod ssh;
pub mod transport;
