//! What PostgreSQL tells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A role, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleReading {
    /// There is no such role.
    Absent,
    /// There is.
    Present {
        /// `LOGIN`.
        login: bool,
        /// `SUPERUSER`.
        superuser: bool,
        /// `REPLICATION`.
        replication: bool,
        /// `CREATEDB`.
        create_db: bool,
        /// `CREATEROLE`.
        create_role: bool,
        /// The stored password verifier. Never serialised.
        #[serde(skip)]
        verifier: Option<String>,
        /// The roles that this one is a member of, sorted.
        member_of: Vec<String>,
        /// The owner's mark (`COMMENT ON ROLE`).
        comment: Option<String>,
    },
}

/// A database, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseReading {
    /// There is no such database.
    Absent,
    /// There is.
    Present {
        /// The role that owns it.
        owner: String,
        /// Its character encoding.
        encoding: String,
        /// Whether everybody may connect (`CONNECT` granted to `PUBLIC`).
        public_connect: bool,
        /// The owner's mark (`COMMENT ON DATABASE`).
        comment: Option<String>,
    },
}

/// An extension, if it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtensionReading {
    /// Not installed, or the database does not exist.
    Absent,
    /// Installed.
    Present {
        /// The installed version.
        version: String,
        /// The version that the server's files offer.
        available: Option<String>,
        /// The schema that holds its objects.
        schema: String,
    },
}

/// For each parameter that a server knows, its `context` in `pg_settings`: when a change of it is
/// read (`postmaster`, `sighup`, `user`, ...).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContextsReading(pub BTreeMap<String, String>);
