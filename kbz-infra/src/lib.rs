//! Infrastructure as a typed Rust program.
//!
//! A program declares resources; a pure planner compares them with what the hosts say and
//! yields a plan made of plain effects; one of two interpreters carries it out: the real
//! hosts over SSH, or a model of them.

pub mod cli;
pub mod component;
pub mod diag;
pub mod effect;
pub mod exec;
pub mod graph;
pub mod host;
pub mod ident;
pub mod lint;
pub mod observe;
pub mod plan;
pub mod primitive;
pub mod probe;
pub mod program;
pub mod resource;
pub mod secret;
#[cfg(feature = "sim")]
pub mod sim;
pub mod state;

/// Everything that a program needs to name.
pub mod prelude {
    pub use crate::ident::{HostName, StackName, Urn};
    pub use crate::primitive::*;
    pub use crate::program::{
        Component, DeclareExt as _, Handle, Host, Inventory, Program, Result, Role, Scope, Stack,
        Versions,
    };
    pub use crate::resource::{Resource, Text};
    pub use crate::secret::SecretRef;
}
