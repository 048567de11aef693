//! The databases of a modelled cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::files::Hidden;
use super::refusal::failed;
use crate::effect::{Action, DatabaseGoal, EffectError, RoleGoal, RunContext};
use crate::probe::{
    self, ContextsReading, DatabaseReading, ExtensionReading, MarkedReading, Query, Reading,
    RoleReading,
};

/// Parameters of PostgreSQL that a running server cannot change.
pub(super) const AT_START: [&str; 14] = [
    "archive_mode",
    "autovacuum_max_workers",
    "huge_pages",
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "shared_buffers",
    "shared_preload_libraries",
    "track_commit_timestamp",
    "wal_buffers",
    "wal_level",
];

/// The extensions that the servers' files offer, with their versions.
const OFFERED: [(&str, &str); 6] = [
    ("pg_stat_statements", "1.11"),
    ("pg_trgm", "1.6"),
    ("pgcrypto", "1.3"),
    ("plpgsql", "1.0"),
    ("uuid-ossp", "1.1"),
    ("vector", "0.8.1"),
];

/// The databases that every cluster has.
const BASE: [&str; 3] = ["postgres", "template0", "template1"];

/// Roles and databases of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Sql {
    roles: BTreeMap<String, Role>,
    databases: BTreeMap<String, Database>,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "the attributes of a role are flags"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Role {
    login: bool,
    superuser: bool,
    replication: bool,
    create_db: bool,
    makes_roles: bool,
    verifier: Option<Hidden>,
    member_of: BTreeSet<String>,
    comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Database {
    owner: String,
    public_connect: bool,
    comment: Option<String>,
    extensions: BTreeMap<String, String>,
}

impl Sql {
    /// What `initdb` and Patroni's bootstrap leave behind.
    pub(super) fn fresh(superuser: &str, replication: &str) -> Self {
        let role = |superuser| Role {
            login: true,
            superuser,
            replication: true,
            create_db: superuser,
            makes_roles: superuser,
            verifier: None,
            member_of: BTreeSet::new(),
            comment: None,
        };
        let database = Database {
            owner: superuser.to_owned(),
            public_connect: true,
            comment: None,
            extensions: BTreeMap::from([offered("plpgsql")]),
        };
        let roles = [(replication, false), (superuser, true)];
        Self {
            roles: roles.map(|(name, is)| (name.to_owned(), role(is))).into(),
            databases: BASE.map(|name| (name.to_owned(), database.clone())).into(),
        }
    }

    pub(super) fn has_role(&self, name: &str) -> bool {
        self.roles.contains_key(name)
    }

    /// The roles and databases that were added, in words.
    pub(super) fn added(&self, fresh: &Self) -> Vec<String> {
        let roles = self
            .roles
            .keys()
            .filter(|name| !fresh.roles.contains_key(*name));
        let databases = self.databases.keys();
        let databases = databases.filter(|name| !fresh.databases.contains_key(*name));
        roles
            .map(|name| format!("role {name}"))
            .chain(databases.map(|name| format!("database {name}")))
            .collect()
    }

    /// The answer to a question; `None` for what no server can be asked.
    pub(super) fn answer(&self, query: &Query) -> Option<Reading> {
        match query {
            Query::Role(role) => Some(self.role(&role.name).into()),
            Query::Database(database) => Some(self.database(&database.name).into()),
            Query::Extension(ask) => Some(self.extension(&ask.database, &ask.name).into()),
            Query::Contexts(_) => Some(contexts().into()),
            Query::Marked(query) => Some(self.marked(&query.mark).into()),
            _ => None,
        }
    }

    /// Databases and roles whose comment is the mark.
    fn marked(&self, mark: &str) -> MarkedReading {
        let bears = |comment: &Option<String>| comment.as_deref() == Some(mark);
        let databases = self.databases.iter().filter(|(_, it)| bears(&it.comment));
        let databases = databases.map(|(name, _)| probe::Database { name: name.clone() }.into());
        let roles = self.roles.iter().filter(|(_, it)| bears(&it.comment));
        let roles = roles.map(|(name, _)| probe::Role { name: name.clone() }.into());
        MarkedReading(databases.chain(roles).collect())
    }

    fn role(&self, name: &str) -> RoleReading {
        match self.roles.get(name) {
            None => RoleReading::Absent,
            Some(role) => RoleReading::Present {
                login: role.login,
                superuser: role.superuser,
                replication: role.replication,
                create_db: role.create_db,
                create_role: role.makes_roles,
                verifier: role.verifier.as_ref().map(|verifier| verifier.0.clone()),
                member_of: role.member_of.iter().cloned().collect(),
                comment: role.comment.clone(),
            },
        }
    }

    fn database(&self, name: &str) -> DatabaseReading {
        match self.databases.get(name) {
            None => DatabaseReading::Absent,
            Some(database) => DatabaseReading::Present {
                owner: database.owner.clone(),
                encoding: "UTF8".to_owned(),
                public_connect: database.public_connect,
                comment: database.comment.clone(),
            },
        }
    }

    fn extension(&self, database: &str, name: &str) -> ExtensionReading {
        let installed = self.databases.get(database);
        match installed.and_then(|database| database.extensions.get(name)) {
            None => ExtensionReading::Absent,
            Some(version) => ExtensionReading::Present {
                version: version.clone(),
                available: available(name).map(str::to_owned),
                schema: "public".to_owned(),
            },
        }
    }

    /// Carries an action out.
    pub(super) fn act(&mut self, action: &Action, run: &RunContext) -> Result<(), EffectError> {
        match action {
            Action::SetRole(goal) => self.set_role(goal, run),
            Action::DropRole { name } => self.drop_role(name),
            Action::SetDatabase(goal) => self.set_database(goal),
            Action::DropDatabase { name } => {
                self.databases.remove(name);
                Ok(())
            }
            // Nobody sets any in the model but its cluster's configuration.
            Action::ResetParameters { .. } => Ok(()),
            Action::SetExtension {
                database,
                name,
                version,
            } => self.set_extension(database, name, version.as_deref()),
            Action::DropExtension { database, name } => {
                if let Some(database) = self.databases.get_mut(database) {
                    database.extensions.remove(name);
                }
                Ok(())
            }
            _ => Err(failed("PostgreSQL", "a server is no place for this")),
        }
    }

    fn set_role(&mut self, goal: &RoleGoal, run: &RunContext) -> Result<(), EffectError> {
        let what = format!("role {}", goal.name);
        let verifier = goal
            .verifier
            .as_ref()
            .map(|secret| run.vault.resolve(secret));
        let verifier = verifier.transpose();
        let verifier = verifier.map_err(|error| failed(&what, error.to_string()))?;
        let mut missing = goal
            .member_of
            .iter()
            .filter(|role| !predefined(role) && !self.has_role(role));
        if let Some(missing) = missing.next() {
            return Err(failed(what, format!("role \"{missing}\" does not exist")));
        }
        let before = self.roles.get(&goal.name);
        let kept = before.and_then(|role| role.verifier.clone());
        let role = Role {
            login: goal.login,
            superuser: goal.superuser,
            replication: goal.replication,
            create_db: goal.create_db,
            makes_roles: goal.create_role,
            verifier: verifier.map_or(kept, |verifier| Some(Hidden(verifier.to_string()))),
            member_of: goal.member_of.iter().cloned().collect(),
            comment: Some(goal.comment.clone()),
        };
        self.roles.insert(goal.name.clone(), role);
        Ok(())
    }

    /// A role that owns a database stays, and its removal is refused.
    pub(super) fn drop_role(&mut self, name: &str) -> Result<(), EffectError> {
        let mut databases = self.databases.iter();
        if let Some((owned, _)) = databases.find(|(_, database)| database.owner == name) {
            let said = format!(
                "role \"{name}\" cannot be dropped because some objects depend on it: \
                 owner of database {owned}"
            );
            return Err(failed(format!("role {name}"), said));
        }
        self.roles.remove(name);
        for role in self.roles.values_mut() {
            role.member_of.remove(name);
        }
        Ok(())
    }

    fn set_database(&mut self, goal: &DatabaseGoal) -> Result<(), EffectError> {
        if !self.has_role(&goal.owner) {
            let said = format!("role \"{}\" does not exist", goal.owner);
            return Err(failed(format!("database {}", goal.name), said));
        }
        let before = self.databases.get(&goal.name);
        let extensions = before.map_or_else(
            || BTreeMap::from([offered("plpgsql")]),
            |database| database.extensions.clone(),
        );
        let database = Database {
            owner: goal.owner.clone(),
            public_connect: goal.public_connect,
            comment: Some(goal.comment.clone()),
            extensions,
        };
        self.databases.insert(goal.name.clone(), database);
        Ok(())
    }

    fn set_extension(
        &mut self,
        database: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<(), EffectError> {
        let what = format!("extension {name}");
        let Some(inside) = self.databases.get_mut(database) else {
            return Err(failed(
                what,
                format!("database \"{database}\" does not exist"),
            ));
        };
        let Some(newest) = available(name) else {
            return Err(failed(
                what,
                format!("extension \"{name}\" is not available"),
            ));
        };
        let version = version.unwrap_or(newest).to_owned();
        inside.extensions.insert(name.to_owned(), version);
        Ok(())
    }

    /// Changes a role's membership of nothing but its right to log in, as a hand would.
    pub(super) fn toggle_login(&mut self, name: &str) {
        if let Some(role) = self.roles.get_mut(name) {
            role.login = !role.login;
        }
    }

    pub(super) fn drop_database(&mut self, name: &str) {
        self.databases.remove(name);
    }

    pub(super) fn drop_extension(&mut self, database: &str, name: &str) {
        if let Some(database) = self.databases.get_mut(database) {
            database.extensions.remove(name);
        }
    }
}

fn available(name: &str) -> Option<&'static str> {
    let found = OFFERED.iter().find(|(offered, _)| *offered == name);
    found.map(|(_, version)| *version)
}

fn offered(name: &str) -> (String, String) {
    (name.to_owned(), available(name).unwrap_or("1.0").to_owned())
}

/// Roles such as `pg_monitor` come with the server; nobody else may take a name like theirs.
fn predefined(role: &str) -> bool {
    role.starts_with("pg_")
}

/// When the modelled server reads its parameters; of others it knows nothing.
fn contexts() -> ContextsReading {
    let at_start = AT_START.map(|name| (name.to_owned(), "postmaster".to_owned()));
    let while_running = [("checkpoint_timeout", "sighup"), ("work_mem", "user")];
    let while_running = while_running.map(|(name, when)| (name.to_owned(), when.to_owned()));
    ContextsReading(at_start.into_iter().chain(while_running).collect())
}
