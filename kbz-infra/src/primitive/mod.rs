//! The kinds of resources, one module each: its type, its probes, its plan. Pure.

pub mod file;
pub mod hetzner_lb;
pub mod systemd_unit;

pub use file::File;
pub use systemd_unit::SystemdUnit;
