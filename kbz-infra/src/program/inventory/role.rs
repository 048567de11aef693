//! What a host is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::{did_you_mean, listed};

/// What a host is for; its subrole says which software does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Holds a database: PostgreSQL, MariaDB.
    Db,
    /// Stands before databases: ProxySQL.
    DbProxy,
    /// Balances connections: HAProxy and PgBouncer.
    Lb,
    /// Holds Redis and its Sentinel.
    Redis,
    /// Holds queues: RabbitMQ.
    Queue,
    /// Holds objects: MinIO.
    Storage,
    /// Belongs to the Kubernetes cluster, as master or worker.
    K3s,
    /// Watches the others.
    Monitoring,
    /// Keeps backups.
    Backup,
    /// Keeps secrets.
    Vault,
    /// The operator's machine, the way in to the others.
    Install,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 11] = [
        Self::Db,
        Self::DbProxy,
        Self::Lb,
        Self::Redis,
        Self::Queue,
        Self::Storage,
        Self::K3s,
        Self::Monitoring,
        Self::Backup,
        Self::Vault,
        Self::Install,
    ];

    /// The word in the column ROLE.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Db => "db",
            Self::DbProxy => "db-proxy",
            Self::Lb => "lb",
            Self::Redis => "redis",
            Self::Queue => "queue",
            Self::Storage => "storage",
            Self::K3s => "k3s",
            Self::Monitoring => "monitoring",
            Self::Backup => "backup",
            Self::Vault => "vault",
            Self::Install => "install",
        }
    }

    /// The words of all roles.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::as_str)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no role")]
pub struct UnknownRole {
    /// The word.
    pub given: String,
}

impl UnknownRole {
    /// What to write instead.
    pub fn cure(&self) -> String {
        let known = format!("the roles are {}", listed(Role::words()));
        match did_you_mean(&self.given, Role::words()) {
            Some(meant) => format!("did you mean `{meant}`? {known}"),
            None => known,
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        // Both spellings of `db-proxy` are in use.
        let word = text.replace('_', "-");
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| UnknownRole {
                given: text.to_owned(),
            })
    }
}
