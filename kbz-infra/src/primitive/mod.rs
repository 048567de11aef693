//! Primitives: one folder per kind of object, each a pure description.
//!
//! What is wanted, what was read, and what leads from one to the other. No kind here knows
//! async or IO; the interpreters carry out what a kind says.

pub mod hetzner_lb;
