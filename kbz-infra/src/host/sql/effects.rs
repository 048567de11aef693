//! Changes of roles, databases and extensions. Done twice, each is as done once.

use std::collections::BTreeSet;

use super::connection::{COMMON, Connection, SqlError, connect, limited};
use super::statements;
use crate::effect::{Action, DatabaseGoal, RoleGoal};
use crate::host::pool::Hosts;
use crate::probe::PgAccess;
use crate::secret::Vault;

/// Carries an action out; `None` for one that no server can.
pub(in crate::host) async fn run(
    hosts: &Hosts,
    access: &PgAccess,
    vault: &Vault,
    action: &Action,
) -> Option<Result<(), SqlError>> {
    let server = Server {
        hosts,
        access,
        vault,
    };
    Some(match action {
        Action::SetRole(goal) => server.set_role(goal).await,
        Action::DropRole { name } => server.say(COMMON, &statements::drop_role(name)).await,
        Action::SetDatabase(goal) => server.set_database(goal).await,
        Action::DropDatabase { name } => server.say(COMMON, &statements::drop_database(name)).await,
        Action::ResetParameters { names } => server.reset(names).await,
        Action::SetExtension {
            database,
            name,
            version,
        } => {
            let statement = statements::set_extension(name, version.as_deref());
            server.say(database, &statement).await
        }
        Action::DropExtension { database, name } => {
            match server
                .say(database, &statements::drop_extension(name))
                .await
            {
                Err(error) if error.no_database() => Ok(()),
                outcome => outcome,
            }
        }
        _ => return None,
    })
}

struct Server<'a> {
    hosts: &'a Hosts,
    access: &'a PgAccess,
    vault: &'a Vault,
}

impl Server<'_> {
    async fn connect(&self, database: &str) -> Result<Connection, SqlError> {
        connect(self.hosts, self.access, self.vault, database, None).await
    }

    async fn say(&self, database: &str, statement: &str) -> Result<(), SqlError> {
        let connection = self.connect(database).await?;
        limited(connection.client.batch_execute(statement)).await
    }

    async fn set_role(&self, goal: &RoleGoal) -> Result<(), SqlError> {
        let verifier = goal
            .verifier
            .as_ref()
            .map(|secret| self.vault.resolve(secret));
        let verifier = verifier.transpose();
        let verifier = verifier.map_err(|error| SqlError::Lost(error.to_string()))?;
        let connection = self.connect(COMMON).await?;
        let member_of = membership(&connection, &goal.name).await?;
        let statement = statements::set_role(
            goal,
            member_of.is_some(),
            &member_of.unwrap_or_default(),
            verifier.as_ref().map(|verifier| verifier.as_str()),
        );
        limited(connection.client.batch_execute(statements::UNLOGGED)).await?;
        limited(connection.client.batch_execute(&statement)).await
    }

    /// Each statement by itself: `ALTER SYSTEM` runs in no transaction.
    async fn reset(&self, names: &BTreeSet<String>) -> Result<(), SqlError> {
        let connection = self.connect(COMMON).await?;
        for statement in statements::reset(names) {
            limited(connection.client.batch_execute(&statement)).await?;
        }
        Ok(())
    }

    async fn set_database(&self, goal: &DatabaseGoal) -> Result<(), SqlError> {
        let connection = self.connect(COMMON).await?;
        let known = "SELECT FROM pg_database WHERE datname::text = $1";
        let known = limited(connection.client.query_opt(known, &[&goal.name])).await?;
        if known.is_none() {
            let statement = statements::create_database(goal);
            limited(connection.client.batch_execute(&statement)).await?;
        }
        let statement = statements::alter_database(goal);
        limited(connection.client.batch_execute(&statement)).await
    }
}

/// What a role is a member of; `None` where there is no such role.
async fn membership(connection: &Connection, name: &str) -> Result<Option<Vec<String>>, SqlError> {
    let statement = "SELECT ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m \
         JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid) \
         FROM pg_roles r WHERE rolname::text = $1";
    let row = limited(connection.client.query_opt(statement, &[&name])).await?;
    let roles = row.map(|row| row.try_get(0)).transpose();
    roles.map_err(|error| SqlError::of(&error))
}
