//! Every question and every answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::balancer::LoadBalancerReading;
use super::cluster::{ClusterReading, DcsReading};
use super::docker::{ContainerReading, ImageReading, ImageUserReading};
use super::file::{EntriesReading, PathReading};
use super::host::{
    BootReading, ClaimsReading, DrainReading, FactsReading, FilesystemReading, FirewallReading,
    ModuleReading, StampReading, SwapReading, SysctlReading, UnitReading,
};
use super::site::Site;
use super::sql::{ContextsReading, DatabaseReading, ExtensionReading, RoleReading};
use crate::ident::{HostName, Urn};
use crate::secret::KeyedHash;

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

/// What is asked of which object, and where.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = serde_json::to_value(&self.query).unwrap_or_default();
        let asked = query.as_object().and_then(|query| query.iter().next());
        let Some((kind, fields)) = asked else {
            return self.site.fmt(f);
        };
        let mut fields = fields.as_object().into_iter().flat_map(|all| all.values());
        match fields.find_map(serde_json::Value::as_str) {
            Some(name) => write!(f, "{kind} {name} on {}", self.site),
            None => write!(f, "{kind} of {}", self.site),
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
    /// What is in a directory.
    Entries {
        /// An absolute path.
        path: String,
    } -> EntriesReading;
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
    Facts {
        /// Whether the host is asked too if something keeps its clock, which starts a service.
        clock_keeper: bool,
    } -> FactsReading;
    /// Since when a host runs, and whether it asks for a reboot.
    Boot {} -> BootReading;
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
    /// Whether an HAProxy is drained: says no to its health checks, and serves on.
    Drain {
        /// The loopback port on which it is told so.
        port: u16,
    } -> DrainReading;
    /// What a service was last started or reloaded with; kept in the host's registry.
    Stamp {
        /// The name of the stamp: the unit or container that it belongs to.
        name: String,
    } -> StampReading;
    /// The objects that a stack has noted in the host's registry.
    Registry {} -> RegistryReading;
    /// The objects that other stacks have noted on the host.
    Claims {} -> ClaimsReading;
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
    /// When a PostgreSQL server reads each of its parameters.
    Contexts {} -> ContextsReading;
    /// Members, roles and RAFT quorum of a Patroni cluster, as all its members see them.
    Cluster {} -> ClusterReading;
    /// The dynamic configuration of a Patroni cluster.
    Dcs {} -> DcsReading;
    /// A load balancer of the Hetzner Cloud project.
    LoadBalancer {
        /// Its name, unique in the project.
        name: String,
    } -> LoadBalancerReading;
    /// The objects of a site without a registry that bear an owner's mark.
    Marked {
        /// The mark as the site keeps it: the comment of an object of PostgreSQL, `KEY=VALUE` of
        /// a label at Hetzner.
        mark: String,
    } -> MarkedReading;
}

/// The objects that bear a mark, each as the question that asks for it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkedReading(pub Vec<Query>);

/// The objects noted in a host's registry, for the stack that asks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistryReading(pub Vec<Entry>);

/// A noted object, as far as a read has to understand it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The object.
    pub urn: Urn,
    /// What it was made to be.
    pub goal: KeyedHash,
    /// What tells whether it is there at all.
    pub probes: Vec<Probe>,
    /// The whole record, as JSON. It says how the object is taken away, which is a matter of
    /// writes: [`Record`](crate::effect::Record) reads it.
    pub record: String,
}

impl Reading {
    /// Whether the reading says that the object asked for does not exist. Facts always exist.
    pub fn is_absent(&self) -> bool {
        match self {
            Reading::Path(path) => *path == PathReading::Absent,
            Reading::Unit(unit) => !unit.exists(),
            Reading::Drain(drain) => drain.0.is_none(),
            Reading::Stamp(stamp) => stamp.0.is_none(),
            Reading::ImageTag(image) => *image == ImageReading::Absent,
            Reading::ImageUser(user) => user.0.is_none(),
            Reading::Container(container) => *container == ContainerReading::Absent,
            Reading::Role(role) => *role == RoleReading::Absent,
            Reading::Database(database) => *database == DatabaseReading::Absent,
            Reading::Extension(extension) => *extension == ExtensionReading::Absent,
            Reading::Dcs(dcs) => dcs.0.is_none(),
            Reading::Contexts(contexts) => contexts.0.is_empty(),
            Reading::LoadBalancer(balancer) => balancer.0.is_none(),
            Reading::Cluster(cluster) => cluster.members.is_empty(),
            Reading::Swap(swap) => swap.0.is_empty(),
            Reading::SysctlValue(value) => value.0.is_none(),
            Reading::Module(module) => !module.present,
            Reading::Registry(registry) => registry.0.is_empty(),
            Reading::Entries(entries) => entries.0.is_empty(),
            Reading::Claims(claims) => claims.0.is_empty(),
            Reading::Marked(marked) => marked.0.is_empty(),
            Reading::Firewall(_)
            | Reading::Facts(_)
            | Reading::Boot(_)
            | Reading::Filesystem(_) => false,
        }
    }

    /// The same reading of a world in which the object does not exist yet; facts stay.
    #[must_use]
    pub fn as_if_absent(&self) -> Self {
        match self {
            Reading::Path(_) => Reading::Path(PathReading::Absent),
            Reading::Unit(_) => Reading::Unit(UnitReading::default()),
            Reading::Drain(_) => Reading::Drain(DrainReading(None)),
            Reading::Stamp(_) => Reading::Stamp(StampReading(None)),
            Reading::ImageTag(_) => Reading::ImageTag(ImageReading::Absent),
            Reading::ImageUser(_) => Reading::ImageUser(ImageUserReading(None)),
            Reading::Container(_) => Reading::Container(ContainerReading::Absent),
            Reading::Role(_) => Reading::Role(RoleReading::Absent),
            Reading::Database(_) => Reading::Database(DatabaseReading::Absent),
            Reading::Extension(_) => Reading::Extension(ExtensionReading::Absent),
            Reading::Dcs(_) => Reading::Dcs(DcsReading(None)),
            Reading::Contexts(_) => Reading::Contexts(ContextsReading::default()),
            Reading::Cluster(_) => Reading::Cluster(ClusterReading::default()),
            Reading::Registry(_) => Reading::Registry(RegistryReading::default()),
            Reading::Entries(_) => Reading::Entries(EntriesReading::default()),
            Reading::Marked(_) => Reading::Marked(MarkedReading::default()),
            Reading::LoadBalancer(_) => Reading::LoadBalancer(LoadBalancerReading(None)),
            Reading::Swap(_)
            | Reading::SysctlValue(_)
            | Reading::Module(_)
            | Reading::Firewall(_)
            | Reading::Facts(_)
            | Reading::Claims(_)
            | Reading::Boot(_)
            | Reading::Filesystem(_) => self.clone(),
        }
    }
}

impl Facts {
    /// What can be read without starting anything.
    pub const PLAIN: Self = Self {
        clock_keeper: false,
    };
}
