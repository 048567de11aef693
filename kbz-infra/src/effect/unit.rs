//! What systemd is asked to do.

use serde::{Deserialize, Serialize};

/// What systemd is asked to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitVerb {
    /// `enable`, with the `daemon-reload` that is part of it.
    Enable,
    /// `disable`.
    Disable,
    /// `start`, and wait for it.
    Start,
    /// `stop`, and wait for it.
    Stop,
    /// `restart`, and wait for it.
    Restart,
    /// `reload`.
    Reload,
    /// `daemon-reload` alone; the unit only names why.
    DaemonReload,
}
