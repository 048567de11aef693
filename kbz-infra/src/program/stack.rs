//! The surface that a program calls.

use std::path::Path;

use super::error::{ProgramError, Result};
use super::expand::expand;
use super::fields;
use super::scope::{Declarable, Declared};
use super::settings::Settings;
use super::{Credentials, Handle, Host, Inventory, Versions};
use crate::diag::{Finding, Report, SourceLocation};
use crate::graph::Declarations;
use crate::ident::{Place, StackName, Urn};
use crate::resource::Claim;
use crate::secret::{SecretRef, Text, Vault};

/// A stack in the making: what the program declares.
#[derive(Debug)]
pub struct Stack {
    name: StackName,
    settings: Settings,
    declared: Vec<Declared>,
    hosts: Vec<Host>,
    vault: Vault,
    exports: Vec<Export>,
    warnings: Vec<Finding>,
}

/// A value that the stack offers to its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its value; a secret in it is shown only when asked for.
    pub value: Text,
    /// Where the program exports it.
    pub declared: Place,
}

impl Export {
    /// What the lint may know of it.
    fn statement(&self) -> (Urn, Place, Claim) {
        let claim = Claim::Exports {
            name: self.name.clone(),
            text: self.value.to_string(),
        };
        let urn = Urn::global("output", &self.name);
        (urn, self.declared.clone(), claim)
    }
}

/// Everything that a program said.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it declares, components expanded.
    pub declarations: Declarations,
    /// What it exports, in its order.
    pub exports: Vec<Export>,
    /// The hosts of its inventory.
    pub hosts: Vec<Host>,
    /// The secrets that it refers to.
    pub vault: Vault,
    /// What is odd, but stops nothing.
    pub warnings: Vec<Finding>,
}

impl Stack {
    /// An empty stack.
    pub fn new(name: StackName, settings: Settings) -> Self {
        Self {
            name,
            settings,
            declared: Vec::new(),
            hosts: Vec::new(),
            vault: Vault::new(),
            exports: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads the inventory: `path` is relative to the program's folder, unless the environment
    /// names a file of its own.
    #[track_caller]
    pub fn inventory(&mut self, path: &str) -> Result<Inventory> {
        let inventory =
            Inventory::load(&self.settings.input(self.settings.inventory.as_ref(), path))?;
        self.warnings.extend(inventory.warnings().iter().cloned());
        self.hosts = inventory.hosts().to_vec();
        Ok(inventory)
    }

    /// Reads the pinned versions, like [`inventory`](Self::inventory).
    #[track_caller]
    pub fn versions(&mut self, path: &str) -> Result<Versions> {
        Ok(Versions::load(
            &self.settings.input(self.settings.versions.as_ref(), path),
        )?)
    }

    /// Reads the credentials, and makes them when there are none yet.
    #[track_caller]
    pub fn credentials(&mut self, path: &str) -> Result<Credentials> {
        let file = self
            .settings
            .input(self.settings.credentials.as_ref(), path);
        let identity = self.settings.age_identity.as_deref();
        let credentials = Credentials::load_or_generate_with(&file, identity)?;
        self.vault.extend(credentials.vault());
        self.warnings.extend(credentials.notices().iter().cloned());
        Ok(credentials)
    }

    /// Reads passwords of a service of the program's own from a file of its own, one a
    /// variable, and makes those that are not there yet. A reference to each, in their order:
    ///
    /// ```no_run
    /// # fn program(stack: &mut kbz_infra::prelude::Stack) -> kbz_infra::prelude::Result<()> {
    /// let [admin, replica] =
    ///     stack.secrets("credentials/redis.env", ["REDIS_PASS", "REDIS_REPLICA_PASS"])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Where the environment names a credentials file, the one meant here lies beside it.
    #[track_caller]
    pub fn secrets<const N: usize>(
        &mut self,
        path: &str,
        names: [&'static str; N],
    ) -> Result<[SecretRef; N]> {
        let beside = self.settings.credentials.as_ref().and_then(|own| {
            let name = Path::new(path).file_name()?;
            Some(own.with_file_name(name))
        });
        let file = self.settings.input(beside.as_ref(), path);
        let mut wanted = names.to_vec();
        // State is compared by hashes under this key.
        if !self.vault.names().any(|name| name == Vault::STATE_KEY) {
            wanted.push(Vault::STATE_KEY);
        }
        if let Some(plain) = names.iter().find(|name| !Credentials::names_a_secret(name)) {
            return Err(Finding::error(
                "kbz::credentials::no-secret",
                format!("`{plain}` is the name of a plain value, not of a password"),
            )
            .label(SourceLocation::caller(), "asked for here")
            .help("end it in _PASS, _PASSWORD, _TOKEN or _KEY")
            .into());
        }
        let identity = self.settings.age_identity.as_deref();
        let credentials = Credentials::passwords(&file, identity, &wanted)?;
        self.vault.extend(credentials.vault());
        self.warnings.extend(credentials.notices().iter().cloned());
        Ok(names.map(SecretRef::new))
    }

    /// What the environment says of all hosts.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Declares a resource or a component.
    #[track_caller]
    pub fn add<S, D>(&mut self, declaration: D) -> Handle<D::Declared>
    where
        D: Declarable<S>,
        D::Declared: std::fmt::Debug + Send + Sync + 'static,
    {
        let parts = declaration.into_parts();
        self.declared
            .push(Declared::new(&parts, None, Place::caller()));
        Handle::new(parts.urn, parts.declared)
    }

    /// Declares the same for each of several hosts.
    #[track_caller]
    pub fn add_each<S, D>(
        &mut self,
        hosts: &[Host],
        declare: impl Fn(&Host) -> D,
    ) -> Vec<Handle<D::Declared>>
    where
        D: Declarable<S>,
        D::Declared: std::fmt::Debug + Send + Sync + 'static,
    {
        let place = Place::caller();
        let mut handles = Vec::new();
        for host in hosts {
            let parts = declare(host).into_parts();
            self.declared
                .push(Declared::new(&parts, None, place.clone()));
            handles.push(Handle::new(parts.urn, parts.declared));
        }
        handles
    }

    /// Offers a value to the users of the stack.
    #[track_caller]
    pub fn export(&mut self, name: impl Into<String>, value: impl Into<Text>) {
        let declared = Place::caller();
        self.exports.push(Export {
            name: name.into(),
            value: value.into(),
            declared,
        });
    }

    /// Ends the program: expands all components.
    pub fn finish(self) -> Result<Program> {
        let mut expanded = expand(&self.settings, &self.declared);
        let unknown = fields::unknown(&expanded.resources);
        expanded.findings.extend(unknown);
        if !expanded.findings.is_empty() {
            let mut report = Report::new();
            for finding in expanded.findings {
                report.push(finding);
            }
            return Err(ProgramError(report));
        }
        let statements = self.exports.iter().map(Export::statement).collect();
        Ok(Program {
            declarations: Declarations {
                stack: self.name,
                resources: expanded.resources,
                components: expanded.components,
                groups: expanded.groups,
                statements,
            },
            exports: self.exports,
            hosts: self.hosts,
            vault: self.vault,
            warnings: self.warnings,
        })
    }
}
