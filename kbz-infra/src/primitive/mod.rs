//! Primitives: one module per kind of object, each a pure description.
//!
//! What is wanted, what was read, and what leads from one to the other. No kind here knows
//! async or IO; the interpreters carry out what a kind says.

pub mod container;
pub mod directory;
pub mod file;
pub mod firewall;
pub mod gate;
pub mod hetzner_lb;
pub mod image;
pub mod in_service;
pub mod kernel_module;
mod marked;
pub mod patroni_config;
mod persisted;
pub mod pg;
pub mod preflight;
pub mod reboot;
pub mod resolver;
pub mod server_files;
pub mod swap;
pub mod sysctl;
pub mod systemd_unit;
#[cfg(test)]
mod testkit;
mod version;

pub use container::{Container, Supervision};
pub use directory::Directory;
pub use file::File;
pub use firewall::{Firewall, FirewallRule};
pub use gate::ClusterGate;
pub use hetzner_lb::HetznerLb;
pub use image::{Image, ImageBuild};
pub use in_service::InService;
pub use kernel_module::KernelModule;
pub use marked::{addresses, by_hand, marked};
pub use patroni_config::{MemberRestart, PatroniConfig, RestartParameters};
pub use pg::{PgDatabase, PgExtension, PgRole};
pub use preflight::Preflight;
pub use reboot::Reboot;
pub use resolver::Resolver;
pub use server_files::ServerFiles;
pub use swap::SwapOff;
pub use sysctl::Sysctl;
pub use systemd_unit::SystemdUnit;
