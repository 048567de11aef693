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

/// Describes a struct as a resource: writes an implementation of [`resource::Describe`].
///
/// On the struct: `#[resource(kind = "motd", host = "host", name = "path")]`, the kind and the
/// fields that hold the host (none for what no host holds) and the name. On a field: nothing (a
/// change is an update that no service notices), `#[resource(impact = "restart")]`,
/// `#[resource(replace)]`, `#[resource(secret)]`, `#[resource(skip)]`.
pub use kbz_infra_macros::Resource;

/// Everything that a program needs to name.
pub mod prelude {
    pub use crate::Resource;
    pub use crate::component::haproxy::{Haproxy, HaproxyFrontend};
    pub use crate::component::patroni::{
        PatroniCluster, PatroniImage, PatroniNode, PgVector, Raft, Synchronous,
    };
    pub use crate::component::pgbouncer::PgBouncer;
    pub use crate::component::{BaseOs, HetznerLb, PgTenant};
    pub use crate::ident::{HostName, StackName, Urn};
    pub use crate::primitive::{Container, Directory, File, SystemdUnit};
    pub use crate::program::{
        Component, Credentials, DeclareExt as _, Handle, Host, Inventory, Program, Result, Role,
        Scope, Stack, Versions,
    };
    pub use crate::resource::{Describe, Resource, Text};
    pub use crate::secret::SecretRef;
}
