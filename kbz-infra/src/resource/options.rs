//! What a program can say of any resource.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::Gate;
use crate::ident::{HostName, Urn};

/// The name of a group whose members are disturbed one at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupName(pub String);

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a program can say of any resource.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options {
    /// Never delete or replace it: a plan that would is refused.
    pub protect: bool,
    /// When it goes, it is forgotten and its mark taken away, and it stays as it is.
    pub retain_on_delete: bool,
    /// Names of fields of which a change makes it anew, where it could be changed in place.
    pub replace_on_changes: BTreeSet<String>,
    /// Addresses that it had before: what is remembered under them is its own.
    pub aliases: BTreeSet<Urn>,
    /// Further resources that must be done before; a typed handle says this by itself.
    pub depends_on: BTreeSet<Urn>,
    /// Names of fields whose drift is left alone.
    pub ignore_changes: BTreeSet<String>,
    /// Values that fields keep as long as they are found with them: drift that was adopted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub adopted: BTreeMap<String, String>,
    /// How long the effects of one change may take, instead of the kind's own limit.
    pub timeout: Option<Duration>,
    /// How often an effect of it that failed is tried again.
    pub retries: u32,
    /// What must hold of the world before a run; otherwise there is no plan.
    pub preconditions: Vec<Gate>,
    /// What must hold once it is as declared; a change of it is done when it does.
    pub postconditions: Vec<Gate>,
    /// The group and the member that a change of it disturbs.
    pub member_of: Option<(GroupName, HostName)>,
    /// The objects that it lives in: while one of them is still to be created, what cannot
    /// be read is absent by its parent, not unreachable.
    pub within: BTreeSet<Urn>,
}
