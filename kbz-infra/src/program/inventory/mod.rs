//! The hosts: `servers.tsv`.
//!
//! A tab-separated table with a header. Columns are found by their names: `HOSTNAME`,
//! `IP_PRIVEE`, `ROLE`, `SUBROLE`, and `IP_PUBLIQUE` where there is one; the others are for
//! people. Other tools read `HOSTNAME` as the third column and `IP_PRIVEE` as the fourth, so a
//! table that has them elsewhere is warned about. Blank lines, comments (`#`), a byte order mark
//! and CRLF are accepted. The order of the file is the order of the hosts, everywhere.

mod role;
mod table;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;

pub use role::{Role, UnknownRole};

use super::InputErrors;
use super::input::{name_of, read};
use crate::diag::{Finding, SourceLocation, did_you_mean};
use crate::ident::HostName;

/// One host of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Its address in the private network: the only one that resources use.
    pub address: IpAddr,
    /// Its address in the internet, where the table gives one.
    pub public: Option<IpAddr>,
    /// What it is for.
    pub role: Role,
    /// Which software does it; may be missing.
    pub subrole: Option<String>,
    /// Where the table names it.
    pub declared: SourceLocation,
}

/// The hosts there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    source: String,
    hosts: Vec<Host>,
    warnings: Vec<Finding>,
}

/// Where an inventory is looked for when none is named, relative to the folder of the program.
const SEARCHED: [&str; 4] = [
    "servers.tsv",
    "inventory/servers.tsv",
    "../../servers.tsv",
    "../../inventory/servers.tsv",
];

impl Inventory {
    /// Reads the first inventory found from `start_dir`: `servers.tsv`, `inventory/servers.tsv`,
    /// and the same two folders further up.
    #[track_caller]
    pub fn find(start_dir: &Path) -> Result<Self, InputErrors> {
        let asked = SourceLocation::caller();
        let mut paths = SEARCHED.iter().map(|path| start_dir.join(path));
        match paths.find(|path| path.is_file()) {
            Some(path) => Self::load_asked(&path, asked),
            None => Err(Finding::error(
                "kbz::inventory::not-found",
                format!("there is no inventory in {}", start_dir.display()),
            )
            .label(asked, "asked for here")
            .help(format!("looked for {}", SEARCHED.join(", ")))
            .into()),
        }
    }

    /// Reads the inventory at `path`.
    #[track_caller]
    pub fn load(path: &Path) -> Result<Self, InputErrors> {
        Self::load_asked(path, SourceLocation::caller())
    }

    fn load_asked(path: &Path, asked: SourceLocation) -> Result<Self, InputErrors> {
        let text = read(path, "the inventory", asked)?;
        Self::parse(name_of(path), &text)
    }

    /// Reads a table; `source` names it in findings.
    pub fn parse(source: impl Into<String>, text: &str) -> Result<Self, InputErrors> {
        let source = source.into();
        let (hosts, warnings) = table::parse(&source, text)?;
        Ok(Self {
            source,
            hosts,
            warnings,
        })
    }

    /// All hosts, in the order of the table.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// What is odd about the table.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The name of the table.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The host of this name.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// The hosts of a role and subrole, in the order of the table: never none.
    #[track_caller]
    pub fn select(&self, role: Role, subrole: &str) -> Result<Vec<Host>, InputErrors> {
        let asked = SourceLocation::caller();
        let wanted = |host: &&Host| host.role == role && host.subrole.as_deref() == Some(subrole);
        self.select_by(wanted).ok_or_else(|| {
            self.nothing_selected(
                &format!("role `{role}` and subrole `{subrole}`"),
                self.meant_subrole(role, subrole),
                asked,
            )
        })
    }

    /// The hosts of a role whatever their subrole, in the order of the table: never none.
    #[track_caller]
    pub fn select_role(&self, role: Role) -> Result<Vec<Host>, InputErrors> {
        let asked = SourceLocation::caller();
        self.select_by(|host| host.role == role)
            .ok_or_else(|| self.nothing_selected(&format!("role `{role}`"), None, asked))
    }

    fn select_by(&self, wanted: impl Fn(&&Host) -> bool) -> Option<Vec<Host>> {
        let selected: Vec<Host> = self.hosts.iter().filter(wanted).cloned().collect();
        (!selected.is_empty()).then_some(selected)
    }

    fn meant_subrole(&self, role: Role, given: &str) -> Option<&str> {
        let of_role = self.hosts.iter().filter(|host| host.role == role);
        did_you_mean(given, of_role.filter_map(|host| host.subrole.as_deref()))
    }

    fn nothing_selected(
        &self,
        wanted: &str,
        meant: Option<&str>,
        asked: SourceLocation,
    ) -> InputErrors {
        let mut found: BTreeMap<(Role, &str), usize> = BTreeMap::new();
        for host in &self.hosts {
            let key = (host.role, host.subrole.as_deref().unwrap_or("-"));
            *found.entry(key).or_default() += 1;
        }
        let count = |((role, subrole), count): (&(Role, &str), &usize)| {
            format!("{role} {subrole} ({count})")
        };
        let found: Vec<_> = found.iter().map(count).collect();
        let finding = Finding::error(
            "kbz::inventory::nothing-selected",
            format!("no host of {} has {wanted}", self.source),
        )
        .label(asked, "selected here")
        .note("it holds", found.join(", "));
        match meant {
            Some(meant) => finding.help(format!("did you mean `{meant}`?")),
            None => finding.help("correct the selection, or add the hosts to the inventory"),
        }
        .into()
    }
}

#[cfg(test)]
mod tests;
