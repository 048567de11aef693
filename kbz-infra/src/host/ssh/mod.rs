//! The way to a host over SSH.
//!
//! A host has one connection for commands and short streams, and a second one for bulk
//! traffic when there is any; hosts behind a bastion share one connection to it per lane.
//! Keys of hosts are checked strictly ([`known_hosts`](self)), nothing is compressed, small
//! packets are not held back, and a dead host is noticed within
//! `keepalive * (keepalive_misses + 1)` seconds. russh does the protocol; its types do not
//! leave this folder.

mod auth;
mod channel;
mod config;
mod connect;
mod doorman;
mod exec;
mod known_hosts;
mod link;
mod session;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use config::{SshConfigError, Surroundings};
pub(crate) use session::Bastion;
pub use session::SshHost;
pub use settings::SshSettings;
