//! The vocabulary of reads: what can be asked of the world, and what it answers.
//!
//! A [`Probe`] is plain data: a [`Site`] and a [`Query`]. The interpreters answer it with a
//! [`Reading`]; what does not answer is an [`Outage`], which is never taken for absence. All
//! probes of a site travel together, so a read costs one round trip however many there are.

mod balancer;
mod cluster;
mod docker;
mod file;
mod host;
mod lasting;
mod observation;
mod site;
mod sql;
mod vocabulary;

pub use balancer::LoadBalancerReading;
pub use cluster::{
    ClusterMember, ClusterReading, DcsReading, MemberRole, RaftReading, TAKING_AWAY,
};
pub use docker::{ContainerReading, ImageReading, ImageUserReading};
pub use file::{EntriesReading, FileReading, Node, Ownership, PathReading};
pub use host::{
    BootReading, ClaimsReading, DrainReading, FactsReading, FilesystemReading, FirewallReading,
    ModuleReading, StampReading, SwapReading, SysctlReading, UnitReading,
};
pub use observation::{Observation, Outage, Seen};
pub use site::{PatroniAccess, PgAccess, RaftAccess, Site};
pub use sql::{ContextsReading, DatabaseReading, ExtensionReading, RoleReading};
pub use vocabulary::{
    Ask, Boot, Claims, Cluster, Container, Contexts, Database, Dcs, Drain, Entries, Entry,
    Extension, Facts, Filesystem, Firewall, ImageTag, ImageUser, LoadBalancer, Marked,
    MarkedReading, Module, Path, Probe, Query, Reading, Registry, RegistryReading, Role, Stamp,
    Swap, SysctlValue, Unit,
};
