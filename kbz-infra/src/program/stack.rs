//! The surface that a program calls.

use std::path::{Path, PathBuf};

use super::declare::Declarable;
use super::scope::{Declared, expand};
use super::{Credentials, Handle, Host, InputErrors, Inventory, Versions};
use crate::diag::{Finding, Report};
use crate::graph::Declarations;
use crate::ident::{Place, StackName, Urn};
use crate::resource::{Claim, Text};
use crate::secret::Vault;

/// Why a program has no result; holds every finding.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the program cannot be read: {}", .0.summary())]
pub struct ProgramError(pub Report);

impl From<InputErrors> for ProgramError {
    fn from(errors: InputErrors) -> Self {
        Self(errors.into())
    }
}

impl From<Finding> for ProgramError {
    fn from(finding: Finding) -> Self {
        Self(Report::from(finding))
    }
}

impl From<crate::ident::InvalidName> for ProgramError {
    #[track_caller]
    fn from(error: crate::ident::InvalidName) -> Self {
        Finding::error("kbz::program::name", error.to_string()).into()
    }
}

/// What a program returns.
pub type Result<T, E = ProgramError> = std::result::Result<T, E>;

/// Where the images of a program come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageBase {
    /// Official images, pulled by the operator's machine.
    Official,
    /// Built from Debian packages on top of a base image that the operator's machine has.
    Debian {
        /// Repository and tag of the base image.
        reference: String,
    },
}

/// What the environment says of all hosts and of the program's inputs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that relative paths of inputs start from.
    pub folder: PathBuf,
    /// The inventory's file, where the environment has one of its own.
    pub inventory: Option<PathBuf>,
    /// The file of pins, where the environment has one of its own.
    pub versions: Option<PathBuf>,
    /// The credentials file, where the environment has one of its own.
    pub credentials: Option<PathBuf>,
    /// Where images come from.
    pub images: ImageBase,
    /// Bytes of memory that each host's database may plan with, where hosts share one machine.
    pub memory_budget: Option<u64>,
    /// How many files a container may have open.
    pub open_files: i64,
    /// Whether the hosts' file systems can protect a file against everybody (`chattr +i`).
    pub immutable_files: bool,
    /// Whether all hosts run on the clock of one machine, which keeps it for them.
    pub shared_clock: bool,
    /// Whether a data directory on another file system than XFS is only warned about.
    pub tolerate_other_filesystems: bool,
}

impl Settings {
    /// Settings for the program in `folder` with official images and no exceptions.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            inventory: None,
            versions: None,
            credentials: None,
            images: ImageBase::Official,
            memory_budget: None,
            open_files: 65_536,
            immutable_files: true,
            shared_clock: false,
            tolerate_other_filesystems: false,
        }
    }

    fn input(&self, own: Option<&PathBuf>, named: &str) -> PathBuf {
        own.cloned()
            .unwrap_or_else(|| self.folder.join(Path::new(named)))
    }
}

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
        let credentials = Credentials::load_or_generate(&file)?;
        self.vault.extend(credentials.vault());
        self.warnings.extend(credentials.notices().iter().cloned());
        Ok(credentials)
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
        let expanded = expand(&self.settings, &self.declared);
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
