//! Primitives: one module per kind of object, each a pure description.
//!
//! What is wanted, what was read, and what leads from one to the other. No kind here knows
//! async or IO; the interpreters carry out what a kind says.

pub mod container;
pub mod directory;
pub mod file;
pub mod gate;
pub mod hetzner_lb;
pub mod image;
pub mod preflight;
pub mod systemd_unit;
#[cfg(test)]
mod testkit;
mod version;

pub use container::{Container, Supervision};
pub use directory::Directory;
pub use file::File;
pub use gate::ClusterGate;
pub use image::{Image, ImageBuild};
pub use preflight::Preflight;
pub use systemd_unit::SystemdUnit;
