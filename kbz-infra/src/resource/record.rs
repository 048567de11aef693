//! What is remembered of an object once it exists.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::ident::Urn;
use crate::probe::Probe;
use crate::secret::KeyedHash;

/// What is remembered of a managed object, in the operator's state and in the registry of the
/// host that holds it. Enough to take it away without the program that made it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The object.
    pub urn: Urn,
    /// What it was made to be.
    pub goal: KeyedHash,
    /// How it is taken away.
    pub removal: Removal,
    /// What it depended on; removals go the other way.
    pub depends_on: BTreeSet<Urn>,
    /// Whether it must never be deleted.
    pub protect: bool,
}

/// How an object is taken away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Removal {
    /// What tells whether it is there at all.
    pub probes: Vec<Probe>,
    /// What takes it away; none for what goes with its surroundings.
    pub effects: Vec<Effect>,
    /// Whether data is lost with it.
    pub data_loss: bool,
}
