//! How bad a change is for who is served.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a change does to the service that the object is part of, from harmless to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nothing that serves is touched.
    #[default]
    None,
    /// A service reads its configuration again; connections stay.
    Reload,
    /// A service stops and starts; its connections end.
    Restart,
    /// The leader of a cluster moves; writes stop for moments.
    Switchover,
    /// What serves is taken away and made anew.
    Recreate,
    /// What serves is taken away for good.
    ServiceEnds,
    /// Data is lost.
    DataLoss,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Impact::None => "none",
            Impact::Reload => "reload",
            Impact::Restart => "restart",
            Impact::Switchover => "switchover",
            Impact::Recreate => "recreate",
            Impact::ServiceEnds => "service ends",
            Impact::DataLoss => "data loss",
        })
    }
}
