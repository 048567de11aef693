//! Where things are read and changed.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::ident::HostName;
use crate::secret::SecretRef;

/// Where something is read or changed. Mostly a host, so what other sites need lies apart: a probe
/// and an effect name their site each, and there are many of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    /// The machine that runs the program, with its Docker: where images are built.
    Operator,
    /// A host of the inventory.
    Host(HostName),
    /// A PostgreSQL server, reached from one of the hosts.
    Postgres(Box<PgAccess>),
    /// A Patroni cluster, asked through all its members.
    Patroni(Box<PatroniAccess>),
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

impl From<PgAccess> for Site {
    fn from(access: PgAccess) -> Self {
        Self::Postgres(Box::new(access))
    }
}

impl From<PatroniAccess> for Site {
    fn from(access: PatroniAccess) -> Self {
        Self::Patroni(Box::new(access))
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
    /// How RAFT is asked, for what only it can tell.
    pub raft: RaftAccess,
}

/// How to reach the RAFT of a Patroni cluster: as its members reach each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RaftAccess {
    /// The members' addresses, in the order of the members; each is asked from its own host.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
    /// The password that the members share.
    pub password: SecretRef,
}

impl RaftAccess {
    /// The members as RAFT names them: `ADDRESS:PORT`.
    pub fn endpoints(&self) -> BTreeSet<String> {
        let addresses = self.addresses.iter();
        addresses
            .map(|address| SocketAddr::new(*address, self.port).to_string())
            .collect()
    }
}
