//! What a run that did not end left open, and what became of it.
//!
//! Nothing is repaired from the journal: the world is observed and planned anew, every effect
//! is idempotent. The journal only lets the next run say, effect by effect, what the last one
//! had still done, and keeps objects whose making broke off from being lost sight of.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Intent, OpId};
use super::lock::Holder;
use super::proof::Fate;
use crate::probe::{Observation, Probe};
use crate::secret::Vault;

/// A run that did not end.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// Its number.
    pub run: u64,
    /// Who ran it, and since when.
    pub holder: Holder,
    /// How it was left.
    pub left: Left,
    /// The effects that may or may not have happened.
    pub open: Vec<OpenEffect>,
}

/// How a run was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Without a word: killed, crashed, or the machine failed.
    Silently,
    /// By a person who asked it to leave at once.
    OnPurpose,
}

/// An effect of which nobody knows yet whether it has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenEffect {
    /// What was about to be done, where, and what tells.
    pub intent: Intent,
}

impl OpenEffect {
    pub(super) fn new(intent: Intent) -> Self {
        Self { intent }
    }

    /// What became of it, as far as `observation` tells.
    pub fn fate(&self, observation: &Observation, vault: &Vault) -> Fate {
        match &self.intent.proof {
            Some(proof) => proof.judge(observation, vault),
            None => Fate::Untraceable,
        }
    }
}

impl Recovery {
    /// What has to be read to tell what became of the open effects; to be asked in the same
    /// round as everything else.
    pub fn probes(&self) -> BTreeSet<Probe> {
        self.open
            .iter()
            .filter_map(|open| open.intent.proof.as_ref())
            .map(|proof| proof.probe.clone())
            .collect()
    }

    /// What became of each open effect, for the report and for the journal.
    pub fn judge(&self, observation: &Observation, vault: &Vault) -> BTreeMap<OpId, Fate> {
        self.open
            .iter()
            .map(|open| (open.intent.op, open.fate(observation, vault)))
            .collect()
    }
}
