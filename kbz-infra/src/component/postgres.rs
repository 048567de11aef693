//! Roles, databases and extensions through an entry point.

use super::hetzner_lb::{Balanced, HetznerLb};
use super::patroni::PatroniCluster;
use crate::diag::{Finding, SourceLocation};
use crate::ident::Urn;
use crate::primitive::{self, PatroniConfig};
use crate::program::{Component, DeclareExt as _, Handle, Result, Scope};
use crate::secret::Login;

/// What is in the cluster: a role that owns a database and nothing else, and the extensions
/// in it. Reached through a load balancer, once it serves.
#[derive(Debug, Clone)]
pub struct PgTenant {
    database: String,
    owner: Login,
    extensions: Vec<String>,
    readers: Vec<Login>,
    entry: Option<(Handle<HetznerLb>, u16, Vec<Urn>)>,
    superuser: Option<Login>,
}

impl PgTenant {
    /// The component's name in addresses.
    pub const KIND: &'static str = "pg-tenant";

    /// A database and the role that owns it.
    pub fn new(database: impl Into<String>, owner: &Login) -> Self {
        Self {
            database: database.into(),
            owner: owner.clone(),
            extensions: Vec::new(),
            readers: Vec::new(),
            entry: None,
            superuser: None,
        }
    }

    /// Installs an extension in the database.
    pub fn extension(mut self, name: impl Into<String>) -> Self {
        self.extensions.push(name.into());
        self
    }

    /// A role that may read statistics (`pg_monitor`) and no data: for diagnostics.
    pub fn monitor(mut self, login: &Login) -> Self {
        self.readers.push(login.clone());
        self
    }

    /// The way in, and the superuser that makes it all.
    pub fn through(
        mut self,
        entry: &Handle<HetznerLb>,
        service: &impl Balanced,
        superuser: &Login,
    ) -> Self {
        self.entry = Some((
            entry.clone(),
            service.service_port(),
            service.service_parents(),
        ));
        self.superuser = Some(superuser.clone());
        self
    }
}

/// The same with the configuration of each cluster among them: one that agrees on nothing yet holds
/// nothing either, however much of it, and of the way to it, is there already.
fn with_configurations(mut parents: Vec<Urn>) -> Vec<Urn> {
    let clusters = parents
        .iter()
        .filter(|urn| urn.kind().as_str() == PatroniCluster::KIND);
    let configurations = clusters.map(|cluster| Urn::global(PatroniConfig::KIND, cluster.name()));
    let configurations: Vec<Urn> = configurations.collect();
    parents.extend(configurations);
    parents
}

impl Component for PgTenant {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.database)
    }

    fn summary(&self) -> String {
        format!("owned by {}", self.owner.user)
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let missing = || {
            Finding::error(
                "kbz::postgres::entry",
                format!("the database `{}` has no way in", self.database),
            )
            .label(SourceLocation::from(scope.place()), "declared here")
            .help("say which: .through(&entry, &write, &secrets.superuser())")
        };
        let (Some((entry, port, parents)), Some(superuser)) = (&self.entry, &self.superuser) else {
            return Err(missing().into());
        };
        let site = entry.postgres(*port, superuser).ok_or_else(missing)?;
        let parents: Vec<Urn> = parents
            .iter()
            .cloned()
            .chain(entry.parents())
            .chain([entry.urn().clone()])
            .collect();
        let parents = with_configurations(parents);
        let owner = primitive::PgRole::at(&site, &self.owner.user)
            .login()
            .password(&self.owner.password);
        let owner = scope.add(owner.within(parents.clone())).urn().clone();
        let database = primitive::PgDatabase::at(&site, &self.database, &self.owner.user);
        let database = scope
            .add(database.within(parents.clone()).after([owner]))
            .urn()
            .clone();
        for name in &self.extensions {
            let extension = primitive::PgExtension::at(&site, &self.database, name);
            scope.add(extension.within(parents.clone()).after([database.clone()]));
        }
        for login in &self.readers {
            let role = primitive::PgRole::at(&site, &login.user)
                .login()
                .password(&login.password)
                .in_role("pg_monitor");
            scope.add(role.within(parents.clone()));
        }
        Ok(())
    }
}
