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
mod observation;
mod sql;

use serde::{Deserialize, Serialize};

pub use balancer::LoadBalancerReading;
pub use cluster::{ClusterMember, ClusterReading, DcsReading, MemberRole, RaftReading};
pub use docker::{ContainerReading, ImageReading, ImageUserReading};
pub use file::{FileReading, Node, Ownership, PathReading};
pub use host::{
    FactsReading, FilesystemReading, FirewallReading, ModuleReading, RegistryReading, StampReading,
    SwapReading, SysctlReading, UnitReading,
};
pub use observation::{Observation, Outage, Seen};
pub use sql::{DatabaseReading, ExtensionReading, RoleReading};

use crate::ident::HostName;
use crate::secret::SecretRef;

/// Where something is read or changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    /// The machine that runs the program, with its Docker: where images are built.
    Operator,
    /// A host of the inventory.
    Host(HostName),
    /// A PostgreSQL server, reached from one of the hosts.
    Postgres(PgAccess),
    /// A Patroni cluster, asked through all its members.
    Patroni(PatroniAccess),
    /// The Hetzner Cloud project of the environment.
    Hetzner,
}

impl Site {
    /// The host, where the site is one.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Site::Host(host) => Some(host),
            Site::Operator | Site::Postgres(_) | Site::Patroni(_) | Site::Hetzner => None,
        }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Site::Operator => f.write_str("this machine"),
            Site::Host(host) => host.fmt(f),
            Site::Postgres(access) => write!(f, "{}:{}", access.address, access.port),
            Site::Patroni(access) => write!(f, "cluster {}", access.scope),
            Site::Hetzner => f.write_str("Hetzner Cloud"),
        }
    }
}

/// How to reach a PostgreSQL server: from a host, since the operator's machine has no way
/// into the private network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PgAccess {
    /// The hosts to connect from, the first that answers is used.
    pub via: Vec<HostName>,
    /// The server's address as those hosts see it.
    pub address: String,
    /// The server's port.
    pub port: u16,
    /// The role to log in as; it must be able to read `pg_authid`.
    pub user: String,
    /// That role's password.
    pub password: SecretRef,
}

/// How to reach a Patroni cluster's REST API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PatroniAccess {
    /// The name of the cluster (`scope`).
    pub scope: String,
    /// The members' hosts; each is asked on its own loopback address.
    pub members: Vec<HostName>,
    /// The port of the REST API.
    pub port: u16,
    /// The user of the REST API's basic authentication.
    pub user: String,
    /// That user's password.
    pub password: SecretRef,
    /// The container that runs Patroni on each member, for what only RAFT itself can tell.
    pub container: String,
}

/// One question to one site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Probe {
    /// Whom to ask.
    pub site: Site,
    /// What to ask.
    pub query: Query,
}

impl Probe {
    /// A question to a host.
    pub fn host(host: &HostName, query: impl Into<Query>) -> Self {
        Self {
            site: Site::Host(host.clone()),
            query: query.into(),
        }
    }

    /// A question to any site.
    pub fn at(site: &Site, query: impl Into<Query>) -> Self {
        Self {
            site: site.clone(),
            query: query.into(),
        }
    }
}

/// A question whose answer has a type of its own.
pub trait Ask: Clone + Into<Query> {
    /// What the question is answered with.
    type Reading;

    /// The answer, when `reading` is of the type that this question has.
    fn of(reading: &Reading) -> Option<&Self::Reading>;
}

macro_rules! vocabulary {
    ($($(#[$doc:meta])* $variant:ident { $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? } -> $reading:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            pub struct $variant { $($(#[$fdoc])* pub $field: $ty),* }

            impl From<$variant> for Query {
                fn from(query: $variant) -> Query { Query::$variant(query) }
            }

            impl Ask for $variant {
                type Reading = $reading;
                fn of(reading: &Reading) -> Option<&$reading> {
                    match reading { Reading::$variant(reading) => Some(reading), _ => None }
                }
            }

            impl From<$reading> for Reading {
                fn from(reading: $reading) -> Reading { Reading::$variant(reading) }
            }
        )*

        /// Everything that can be asked.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Query { $($(#[$doc])* $variant($variant)),* }

        /// Everything that can be answered; each query has the variant of its own name.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Reading { $($(#[$doc])* $variant($reading)),* }
    };
}

vocabulary! {
    /// What is at a path of a host.
    Path {
        /// An absolute path.
        path: String,
        /// Whether the content of a file is wanted too, for a diff (at most 256 KiB).
        content: bool,
    } -> PathReading;
    /// The state of a systemd unit.
    Unit {
        /// The unit's full name, such as `patroni-docker.service`.
        name: String,
    } -> UnitReading;
    /// The running value of a kernel parameter.
    SysctlValue {
        /// Such as `vm.swappiness`.
        key: String,
    } -> SysctlReading;
    /// The active swap areas.
    Swap {} -> SwapReading;
    /// The state and the rules of UFW.
    Firewall {} -> FirewallReading;
    /// Memory, CPUs, operating system, clock and Docker of a host.
    Facts {} -> FactsReading;
    /// The file system that holds a path, or would hold it.
    Filesystem {
        /// An absolute path.
        path: String,
    } -> FilesystemReading;
    /// Whether a kernel module is there.
    Module {
        /// The module's name.
        name: String,
    } -> ModuleReading;
    /// What a service was last started or reloaded with; kept in the host's registry.
    Stamp {
        /// The name of the stamp: the unit or container that it belongs to.
        name: String,
    } -> StampReading;
    /// The objects that a stack has noted in the host's registry.
    Registry {} -> RegistryReading;
    /// An image in a Docker engine.
    ImageTag {
        /// Repository and tag.
        reference: String,
    } -> ImageReading;
    /// The numeric ids of a user inside an image.
    ImageUser {
        /// Repository and tag.
        reference: String,
        /// The user's name inside the image.
        user: String,
    } -> ImageUserReading;
    /// A container.
    Container {
        /// The container's name.
        name: String,
    } -> ContainerReading;
    /// A role of a PostgreSQL cluster.
    Role {
        /// The role's name.
        name: String,
    } -> RoleReading;
    /// A database of a PostgreSQL cluster.
    Database {
        /// The database's name.
        name: String,
    } -> DatabaseReading;
    /// An extension in a database.
    Extension {
        /// The database to look into.
        database: String,
        /// The extension's name.
        name: String,
    } -> ExtensionReading;
    /// Members, roles and RAFT quorum of a Patroni cluster, as all its members see them.
    Cluster {} -> ClusterReading;
    /// The dynamic configuration of a Patroni cluster.
    Dcs {} -> DcsReading;
    /// A load balancer of the Hetzner Cloud project.
    LoadBalancer {
        /// Its name, unique in the project.
        name: String,
    } -> LoadBalancerReading;
}

impl Reading {
    /// Whether the reading says that the object asked for does not exist. Facts always exist.
    pub fn is_absent(&self) -> bool {
        match self {
            Reading::Path(path) => *path == PathReading::Absent,
            Reading::Unit(unit) => !unit.exists(),
            Reading::Stamp(stamp) => stamp.0.is_none(),
            Reading::ImageTag(image) => *image == ImageReading::Absent,
            Reading::ImageUser(user) => user.0.is_none(),
            Reading::Container(container) => *container == ContainerReading::Absent,
            Reading::Role(role) => *role == RoleReading::Absent,
            Reading::Database(database) => *database == DatabaseReading::Absent,
            Reading::Extension(extension) => *extension == ExtensionReading::Absent,
            Reading::Dcs(dcs) => dcs.0.is_none(),
            Reading::LoadBalancer(balancer) => balancer.0.is_none(),
            Reading::Cluster(cluster) => cluster.members.is_empty(),
            Reading::Swap(swap) => swap.0.is_empty(),
            Reading::SysctlValue(value) => value.0.is_none(),
            Reading::Module(module) => !module.present,
            Reading::Registry(registry) => registry.0.is_empty(),
            Reading::Firewall(_) | Reading::Facts(_) | Reading::Filesystem(_) => false,
        }
    }

    /// The same reading of a world in which the object does not exist yet; facts stay.
    #[must_use]
    pub fn as_if_absent(&self) -> Self {
        match self {
            Reading::Path(_) => Reading::Path(PathReading::Absent),
            Reading::Unit(_) => Reading::Unit(UnitReading::default()),
            Reading::Stamp(_) => Reading::Stamp(StampReading(None)),
            Reading::ImageTag(_) => Reading::ImageTag(ImageReading::Absent),
            Reading::ImageUser(_) => Reading::ImageUser(ImageUserReading(None)),
            Reading::Container(_) => Reading::Container(ContainerReading::Absent),
            Reading::Role(_) => Reading::Role(RoleReading::Absent),
            Reading::Database(_) => Reading::Database(DatabaseReading::Absent),
            Reading::Extension(_) => Reading::Extension(ExtensionReading::Absent),
            Reading::Dcs(_) => Reading::Dcs(DcsReading(None)),
            Reading::Cluster(_) => Reading::Cluster(ClusterReading::default()),
            Reading::Registry(_) => Reading::Registry(RegistryReading::default()),
            Reading::LoadBalancer(_) => Reading::LoadBalancer(LoadBalancerReading(None)),
            Reading::Swap(_)
            | Reading::SysctlValue(_)
            | Reading::Module(_)
            | Reading::Firewall(_)
            | Reading::Facts(_)
            | Reading::Filesystem(_) => self.clone(),
        }
    }
}
