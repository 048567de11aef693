//! Infrastructure as a typed Rust program.
//!
//! A program declares resources; a pure planner compares them with what the hosts say and
//! yields a plan made of plain effects; one of two interpreters carries it out: the real
//! hosts over SSH, or a model of them.
//!
//! A program is a function on a [`Stack`](program::Stack), with a command line around it
//! ([`cli::main`]). Here one is planned against a model of its host:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use kbz_infra::effect::Interpreter;
//! use kbz_infra::graph::Graph;
//! use kbz_infra::observe::observe;
//! use kbz_infra::plan::{Planner, Request, probes};
//! use kbz_infra::prelude::*;
//! use kbz_infra::program::Settings;
//! use kbz_infra::sim::World;
//!
//! fn greeting(stack: &mut Stack) -> Result<()> {
//!     let host = HostName::new("web-01")?;
//!     let folder = stack.add(Directory::on(&host, "/srv/greeting"));
//!     let page = File::on(&host, "/srv/greeting/index.html").content("hello\n").mode(0o644);
//!     stack.add(page.depends_on(&folder));
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What is declared, as a graph.
//! let mut stack = Stack::new(StackName::new("site")?, Settings::new("."));
//! greeting(&mut stack)?;
//! let graph = Graph::new(stack.finish()?.declarations).map_err(|wrong| wrong[0].to_string())?;
//! // What is there: nothing yet.
//! let host = HostName::new("web-01")?;
//! let world = World::empty(graph.stack().clone(), [(host.clone(), [10, 0, 0, 7].into())]);
//! let world: Arc<dyn Interpreter> = Arc::new(world);
//! let nothing = BTreeMap::new();
//! let asked = probes(&graph, &[host].into(), &nothing);
//! let observation = observe(&world, asked, &|_| {}).await;
//! // What is to be done about it: plain data.
//! let vault = kbz_infra::secret::Vault::new();
//! let planner = Planner::new(&graph, &observation, &vault, &nothing);
//! let plan = planner.plan(Request::Up).map_err(|wrong| wrong[0].to_string())?;
//! let steps: Vec<String> = plan.steps.iter().map(|step| step.urn.to_string()).collect();
//! assert_eq!(steps, ["directory@web-01:/srv/greeting", "file@web-01:/srv/greeting/index.html"]);
//! # Ok(())
//! # }
//! ```
//!
//! Data flows one way through the modules: [`program`] → [`graph`] → [`lint`] → [`observe`] →
//! [`plan`] → [`exec`] → [`state`]. What can be declared is in [`component`] and [`primitive`];
//! own kinds implement [`resource::Resource`], own components [`program::Component`]. The two
//! interpreters are [`host`] and [`sim`], and [`cli`] puts everything together.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_macros,
        reason = "tests prepare a world of their own"
    )
)]

pub mod cli;
pub mod component;
pub mod diag;
pub mod effect;
pub mod exec;
pub mod graph;
pub mod host;
pub mod ident;
pub mod lint;
pub mod model;
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
    pub use crate::resource::{Describe, Resource};
    pub use crate::secret::{SecretRef, Text};
}
