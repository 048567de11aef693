//! Answers to questions about the real world, one wave of requests for each site.
//!
//! A host is asked by one script on one exec, and its systemd, Docker engine and HAProxy beside that
//! on the same connection, each by its own API. What a host sends is believed to be hostile: it is parsed by total functions,
//! its size is bounded by the transport, and nothing of it reaches a terminal uncleaned.

mod answers;
mod container;
mod docker;
mod files;
mod firewall;
mod frames;
mod host;
mod script;
mod system;
#[cfg(test)]
mod tests;

pub(super) use container::declared_body;
pub(super) use docker::{answer_engine, image_id, image_user};
pub(super) use host::{HostSite, answer};
pub(super) use script::{BOOT_ID, sysctl_path};
