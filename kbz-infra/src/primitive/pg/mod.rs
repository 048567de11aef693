//! Objects of a PostgreSQL cluster: roles, databases, extensions.
//!
//! All three are read and changed through a [`PgAccess`](crate::probe::PgAccess). What they live
//! in is named by the program (`within`): while the cluster is still to be made, they are absent
//! by their parent, and created. Otherwise a cluster that does not answer leaves them alone.
//!
//! Roles and databases carry the owner's mark as their comment, `kbz:STACK`.

mod database;
mod extension;
mod mark;
mod role;

pub use database::PgDatabase;
pub use extension::PgExtension;
pub(super) use mark::mark_of;
pub use role::PgRole;

#[cfg(test)]
mod tests {
    use crate::primitive::testkit::host;
    use crate::probe::{PgAccess, Site};
    use crate::secret::SecretRef;

    /// The cluster of all tests.
    pub(super) fn access() -> PgAccess {
        PgAccess {
            via: vec![host()],
            address: "10.0.0.10".to_owned(),
            port: 5432,
            user: "postgres".to_owned(),
            password: SecretRef::new("SUPER"),
        }
    }

    pub(super) fn site() -> Site {
        Site::from(access())
    }
}
