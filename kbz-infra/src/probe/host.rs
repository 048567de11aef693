//! What a host tells of itself: units, kernel parameters, firewall, facts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ident::{Digest, StackName, Urn};
use crate::model::FirewallRule;
use crate::secret::KeyedHash;

/// The state of a systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitReading {
    /// `LoadState`: `loaded`, `not-found`, `masked`, ...
    pub load: String,
    /// `ActiveState`: `active`, `inactive`, `failed`, `activating`, ...
    pub active: String,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, ... or empty.
    pub enabled: String,
    /// `NeedDaemonReload`: the unit file changed since systemd read it.
    pub stale: bool,
}

impl UnitReading {
    /// Whether systemd knows the unit.
    pub fn exists(&self) -> bool {
        self.load != "not-found" && !self.load.is_empty()
    }
}

/// A kernel parameter's running value; `None` where the kernel has no such parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SysctlReading(pub Option<String>);

/// The devices or files in use as swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SwapReading(pub Vec<String>);

/// UFW's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FirewallReading {
    /// Whether UFW is installed.
    pub installed: bool,
    /// Whether it is active.
    pub active: bool,
    /// The rules that allow something: in which order they stand changes nothing.
    pub rules: BTreeSet<FirewallRule>,
    /// Rules that this program cannot express, as UFW shows them.
    pub foreign: Vec<String>,
}

/// What a host is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactsReading {
    /// Bytes of memory.
    pub memory: u64,
    /// CPUs online.
    pub cpus: u32,
    /// `PRETTY_NAME` of `/etc/os-release`.
    pub os: String,
    /// `uname -r`.
    pub kernel: String,
    /// The Docker engine's version, where one answers.
    pub docker: Option<String>,
    /// Whether systemd says that the clock is synchronised; `None` where it cannot tell.
    pub clock_synchronized: Option<bool>,
    /// The host's clock less the operator's, in seconds, give or take a round trip.
    pub clock_offset: f64,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemReading {
    /// Such as `xfs`.
    pub kind: String,
    /// Bytes in all.
    pub size: u64,
    /// Bytes free for unprivileged users.
    pub available: u64,
}

/// A kernel module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleReading {
    /// Loaded, or built into the kernel.
    pub present: bool,
}

/// Since when a host runs, and whether it asks for another start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BootReading {
    /// What tells this start of the host from any other.
    pub id: String,
    /// The packages that wait for a reboot (`/run/reboot-required.pkgs`); `None` where nothing asks
    /// for one.
    pub wanted_by: Option<Vec<String>>,
}

/// Whether an HAProxy says no to its health checks although it is well; `None` where none listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DrainReading(pub Option<bool>);

/// What a service was last started or reloaded with; `None` when it never was by this stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StampReading(pub Option<KeyedHash>);

/// The objects that other stacks have noted on a host: the stack, by the digest of the address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimsReading(pub BTreeMap<Digest, StackName>);

impl ClaimsReading {
    /// The other stack whose object this is.
    pub fn owner(&self, urn: &Urn) -> Option<&StackName> {
        self.0.get(&Digest::of(urn.to_string()))
    }
}
