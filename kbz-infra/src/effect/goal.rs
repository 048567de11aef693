//! What an object of a database is to be.

use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// What a role is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the attributes of a role are flags"
)]
pub struct RoleGoal {
    /// The role's name.
    pub name: String,
    /// `LOGIN`.
    pub login: bool,
    /// `SUPERUSER`.
    pub superuser: bool,
    /// `REPLICATION`.
    pub replication: bool,
    /// `CREATEDB`.
    pub create_db: bool,
    /// `CREATEROLE`.
    pub create_role: bool,
    /// The stored verifier, in the form [`ScramVerifier`](crate::secret::Form::ScramVerifier).
    pub verifier: Option<SecretRef>,
    /// The roles that it is a member of, sorted.
    pub member_of: Vec<String>,
    /// The owner's mark.
    pub comment: String,
}

/// What a database is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseGoal {
    /// The database's name.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
    /// Whether everybody may connect.
    pub public_connect: bool,
    /// The owner's mark.
    pub comment: String,
}
