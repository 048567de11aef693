//! The real hosts and services: the only room that opens connections.
//!
//! [`transport`] is the way to one host; everything else here is built on it, except the
//! client for Hetzner's API, which is reached over HTTPS.

mod builder;
mod drain;
mod engine;
pub mod hetzner;
mod http;
mod interpreter;
mod patroni;
pub mod pool;
mod read;
mod registry;
mod run;
pub mod shell;
mod sql;
pub mod ssh;
mod systemd;
pub mod transport;

pub use engine::{local_docker, operator_docker};
pub use interpreter::HostInterpreter;
