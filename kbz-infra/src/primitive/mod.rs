//! Primitives: one folder per kind of object, each a pure description.
//!
//! What is wanted, what was read, and what leads from one to the other. No kind here knows
//! async or IO; the interpreters carry out what a kind says.

pub mod hetzner_lb;
//! The kinds of resources, one module each: its type, its probes, its plan. Pure.

pub mod file;
pub mod systemd_unit;

pub use file::File;
pub use systemd_unit::SystemdUnit;
