//! PostgreSQL, reached from a host: the operator's machine has no way into the private network.
//!
//! The password travels inside the SSH connection and is checked by SCRAM, so the server never
//! sees it; statements carry verifiers, never passwords.

mod connection;
mod effects;
mod questions;
mod statements;

pub(super) use connection::SqlError;
pub(super) use effects::run;
pub(super) use questions::read;
