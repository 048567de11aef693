//! The secrets: `credentials/postgres.env`.
//!
//! A file of mode 600 in a folder of mode 700 is their only home. It is made with random
//! passwords when there is none; one that lacks a variable that came later gets it added, and
//! the program is told ([`Credentials::notices`]). A file that others could read, or that is a
//! link, or that somebody else owns, is refused.
//!
//! No error and no notice ever holds a value, and locations in the file are withheld, so that no
//! snippet quotes it. Users, the database and the cluster are names; passwords leave this module
//! only as references ([`Login::password`]) and inside the [`Vault`].

mod envfile;
mod file;
mod generate;
mod place;
mod rules;
mod sealed;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::InputErrors;
use super::input::Faults;
use crate::diag::{Finding, SourceText};
use crate::secret::{SecretRef, Vault};
use place::Place;
use variables::Variable;

pub use crate::secret::Login;

/// The checked content of a credentials file.
#[derive(Debug, Clone)]
pub struct Credentials {
    source: String,
    values: BTreeMap<String, SecretString>,
    notices: Vec<Finding>,
}

impl Credentials {
    /// Reads the file at `path`; writes nothing. One that is encrypted is not opened.
    #[track_caller]
    pub fn load(path: &Path) -> Result<Self, InputErrors> {
        let asked = crate::diag::SourceLocation::caller();
        let identity = None;
        match (Place { path, identity }).read()? {
            Some(text) => Self::parse(super::input::name_of(path), &text),
            None => Err(Finding::error(
                "kbz::credentials::missing",
                format!("there are no credentials in {}", path.display()),
            )
            .label(asked, "asked for here")
            .help("`up` and `preview` make the file with random passwords")
            .into()),
        }
    }

    /// Reads the file at `path`. Makes it with random passwords when there is none, and adds
    /// what later versions need to one that has all that was needed before.
    pub fn load_or_generate(path: &Path) -> Result<Self, InputErrors> {
        Self::load_or_generate_with(path, None)
    }

    /// The same; a file whose name ends in `.age` is encrypted, and opened with the age identities
    /// in the file `identity`.
    pub fn load_or_generate_with(
        path: &Path,
        identity: Option<&Path>,
    ) -> Result<Self, InputErrors> {
        let place = Place { path, identity };
        generate::load_or_generate(place, &variables::ALL, &mut rand::rng())
    }

    /// Reads a file of passwords alone, those of another service than PostgreSQL; makes and
    /// completes it like [`load_or_generate_with`](Self::load_or_generate_with).
    pub(super) fn passwords(
        path: &Path,
        identity: Option<&Path>,
        names: &[&'static str],
    ) -> Result<Self, InputErrors> {
        let variables: Vec<Variable> = names.iter().map(|name| variables::password(name)).collect();
        let place = Place { path, identity };
        generate::load_or_generate(place, &variables, &mut rand::rng())
    }

    /// Whether the value of a variable of this name is a secret.
    pub(super) fn names_a_secret(name: &str) -> bool {
        variables::is_secret(name)
    }

    /// Reads a text; `source` names it in findings.
    pub fn parse(source: impl Into<String>, text: &str) -> Result<Self, InputErrors> {
        Self::parse_whole(source, text, &variables::ALL)
    }

    /// Reads a text that must hold all of `variables`.
    fn parse_whole(
        source: impl Into<String>,
        text: &str,
        variables: &[Variable],
    ) -> Result<Self, InputErrors> {
        let (credentials, lacking) = Self::parse_with_gaps(source, text, variables)?;
        let mut faults = Faults::default();
        for variable in lacking {
            faults.push(rules::lacking(&credentials.source, variable, None));
        }
        faults.unless_any(credentials)
    }

    /// Reads a text that may lack the variables that can be added to a file.
    fn parse_with_gaps<'v>(
        source: impl Into<String>,
        text: &str,
        variables: &'v [Variable],
    ) -> Result<(Self, Vec<&'v Variable>), InputErrors> {
        let source = SourceText::new(source, text);
        let mut faults = Faults::default();
        let content = envfile::content(&source, &mut faults);
        let lacking = rules::check(&source, &content, variables, &mut faults);
        let notices = rules::warnings(&content.assignments);
        let values = content
            .assignments
            .into_iter()
            .map(|one| (one.name, SecretString::from(one.value.as_str())));
        let credentials = Self {
            source: source.name().to_owned(),
            values: values.collect(),
            notices,
        };
        faults.unless_any((credentials, lacking))
    }

    /// What was generated or added, and what is weak.
    pub fn notices(&self) -> &[Finding] {
        &self.notices
    }

    /// The name of the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The superuser of PostgreSQL, for Patroni alone.
    pub fn superuser(&self) -> Login {
        self.login(&variables::SUPERUSER)
    }

    /// The role with which replicas follow the primary.
    pub fn replication(&self) -> Login {
        self.login(&variables::REPLICATION)
    }

    /// The role of the application, which owns its database and nothing else.
    pub fn app(&self) -> Login {
        self.login(&variables::APP)
    }

    /// The role of diagnostics and monitoring.
    pub fn monitor(&self) -> Login {
        self.login(&variables::MONITOR)
    }

    /// Who may change a member through Patroni's REST API.
    pub fn rest_api(&self) -> Login {
        self.login(&variables::REST_API)
    }

    /// Who may read PgBouncer's statistics.
    pub fn pgbouncer_stats(&self) -> Login {
        self.login(&variables::PGBOUNCER_STATS)
    }

    /// Who may read HAProxy's statistics page.
    pub fn haproxy_stats(&self) -> Login {
        self.login(&variables::HAPROXY_STATS)
    }

    /// The password with which the RAFT members encrypt what they say to each other.
    pub fn raft_password(&self) -> SecretRef {
        SecretRef::new(variables::RAFT_PASSWORD)
    }

    /// The name of the application's database.
    pub fn database(&self) -> &str {
        self.plain(variables::DATABASE)
    }

    /// The name of the cluster, Patroni's scope.
    pub fn cluster_name(&self) -> &str {
        self.plain(variables::CLUSTER)
    }

    /// A reference to the secret of any other variable in the file.
    pub fn secret(&self, name: &str) -> Option<SecretRef> {
        let is_secret = self.values.contains_key(name) && variables::is_secret(name);
        is_secret.then(|| SecretRef::new(name))
    }

    /// The value of a variable that is no secret.
    pub fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name).map(ExposeSecret::expose_secret);
        value.filter(|_| !variables::is_secret(name))
    }

    /// The secrets of the file.
    pub fn vault(&self) -> Vault {
        let mut vault = Vault::new();
        for (name, value) in &self.values {
            if variables::is_secret(name) {
                vault.insert(name.as_str(), value.clone());
            }
        }
        vault
    }

    fn login(&self, pair: &variables::Pair) -> Login {
        Login {
            user: self.plain(pair.user).to_owned(),
            password: SecretRef::new(pair.password),
        }
    }

    /// A variable that every checked file has.
    fn plain(&self, name: &str) -> &str {
        self.values
            .get(name)
            .map_or("", ExposeSecret::expose_secret)
    }
}

#[cfg(test)]
mod tests;
