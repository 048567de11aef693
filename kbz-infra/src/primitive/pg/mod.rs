//! Objects of a PostgreSQL cluster: roles, databases, extensions.
//!
//! All three are read and changed through a [`PgAccess`](crate::probe::PgAccess). What they live
//! in is named by the program (`within`): while the cluster is still to be made, they are absent
//! by their parent, and created. Otherwise a cluster that does not answer leaves them alone.
//!
//! Roles and databases carry the owner's mark as their comment, `kbz:STACK`.

mod database;
mod extension;
mod role;

pub use database::PgDatabase;
pub use extension::PgExtension;
pub use role::PgRole;

use crate::resource::{Context, PlanError, Reason};

/// What an owner's mark begins with.
const MARK: &str = "kbz:";

/// The mark of the stack.
fn mark(context: &Context<'_>) -> String {
    format!("{MARK}{}", context.stack())
}

/// Whether an object bears the mark of this stack; one of another stack is refused.
fn judge_mark(
    context: &Context<'_>,
    what: &str,
    comment: Option<&str>,
) -> Result<Option<Reason>, PlanError> {
    match comment {
        Some(found) if found == mark(context) => Ok(None),
        Some(found) if found.starts_with(MARK) => Err(PlanError::Refused {
            what: format!("{what} belongs to stack {}", &found[MARK.len()..]),
            help: "give this one another name, or remove that one by its own stack".to_owned(),
        }),
        Some(_) | None => Ok(Some(Reason::Unmarked)),
    }
}

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
        Site::Postgres(access())
    }
}
