//! What a kind sees while it plans.

use std::collections::BTreeSet;

use crate::effect::Impact;
use crate::ident::{Digest, Urn};
use crate::probe::{Ask, Observation, Outage, Probe, Reading, Seen, Site};
use crate::secret::{KeyedHash, UnknownSecret, Vault};

/// What the planner already decided about what a resource depends on.
pub trait Upstream {
    /// The goal of a resource that was planned before.
    fn goal(&self, urn: &Urn) -> Option<&KeyedHash>;
    /// Whether a resource that was planned before will be created or made anew.
    fn will_be_made(&self, urn: &Urn) -> bool;
    /// Whether anything about a resource that was planned before will change; to become ours is
    /// no change.
    fn will_change(&self, urn: &Urn) -> bool;
    /// What the change of a resource that was planned before does to the service.
    fn impact(&self, urn: &Urn) -> Impact;
}

/// What a kind sees while it plans: readings, secrets, and the goals of what it depends on.
pub struct Context<'a> {
    observation: &'a Observation,
    vault: &'a Vault,
    upstream: &'a dyn Upstream,
    ignored: &'a BTreeSet<String>,
    parent_absent: bool,
    owned: bool,
    stack: &'a str,
}

/// Why a resource cannot be planned now; it is left alone, with all that depends on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// A site that must be read does not answer.
    #[error(transparent)]
    Unreachable(#[from] Outage),
}

/// Why a resource has no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Something could not be read; what it would have said is unknown, not absent.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// A secret that no credentials file holds.
    #[error(transparent)]
    Secret(#[from] UnknownSecret),
    /// The world forbids it.
    #[error("{what}")]
    Refused {
        /// What is wrong.
        what: String,
        /// What cures it.
        help: String,
    },
    /// A kind asked for an answer that none of its probes asks for: a defect of the kind.
    #[error("the kind reads what it did not ask for: {0}")]
    NotAsked(String),
}

impl PlanError {
    /// An object that bears no mark of this stack, and may be somebody else's.
    pub fn foreign(urn: &Urn, what: impl Into<String>) -> Self {
        Self::Refused {
            what: what.into(),
            help: format!(
                "take it away, or let it become this stack's: `--adopt {urn}` with `preview` and `up`"
            ),
        }
    }
}

impl<'a> Context<'a> {
    /// A context for one resource.
    pub fn new(
        stack: &'a str,
        observation: &'a Observation,
        vault: &'a Vault,
        upstream: &'a dyn Upstream,
        ignored: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            observation,
            vault,
            upstream,
            ignored,
            parent_absent: false,
            owned: true,
            stack,
        }
    }

    /// The same, for a resource whose parent is still to be made.
    pub fn with_absent_parent(mut self, absent: bool) -> Self {
        self.parent_absent = absent;
        self
    }

    /// The same, for a resource that may not be this stack's: nothing remembers it, and nobody
    /// said that it is to be adopted.
    pub fn with_ownership(mut self, owned: bool) -> Self {
        self.owned = owned;
        self
    }

    /// Whether what is found at the resource's place may be taken for this stack's: a memory or
    /// a mark says so, or the operator adopts it. A kind whose change or use would destroy what
    /// belongs to somebody else refuses it otherwise, with [`PlanError::foreign`].
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// The name of the stack, as it stands in the owner's marks.
    pub fn stack(&self) -> &str {
        self.stack
    }

    /// The answer to one of the resource's probes; `None` when it is absent by its parent.
    pub fn read<Q: Ask>(
        &self,
        site: &Site,
        query: &Q,
    ) -> Result<Option<&'a Q::Reading>, PlanError> {
        let probe = Probe::at(site, query.clone());
        let Some(reading) = self.reading(&probe)? else {
            return Ok(None);
        };
        Q::of(reading)
            .map(Some)
            .ok_or_else(|| PlanError::NotAsked(format!("{probe:?} answered with {reading:?}")))
    }

    /// The answer to a probe, whatever its type; `None` when it is absent by its parent.
    pub fn reading(&self, probe: &Probe) -> Result<Option<&'a Reading>, PlanError> {
        match self.observation.get(probe) {
            Some(Seen::Read(reading)) => Ok(Some(reading)),
            Some(Seen::Unreachable(_)) if self.parent_absent => Ok(None),
            Some(Seen::Unreachable(outage)) => Err(Blocked::Unreachable(outage.clone()).into()),
            None => Err(PlanError::NotAsked(format!("{probe:?}"))),
        }
    }

    /// The answer to one of the resource's probes of a place that has no parent: a host.
    pub fn ask<Q: Ask>(&self, site: &Site, query: &Q) -> Result<&'a Q::Reading, PlanError> {
        self.read(site, query)?
            .ok_or_else(|| Blocked::Unreachable(Outage::new(site, "it is still to be made")).into())
    }

    /// The secrets of the run.
    pub fn vault(&self) -> &'a Vault {
        self.vault
    }

    /// A hash of a goal that reveals nothing of the secrets in it.
    pub fn keyed(&self, digest: &Digest) -> KeyedHash {
        self.vault.keyed(digest)
    }

    /// What the planner already decided about the resources that this one depends on.
    pub fn upstream(&self) -> &'a dyn Upstream {
        self.upstream
    }

    /// Whether the program asked to leave drift of a field alone.
    pub fn ignores(&self, field: &str) -> bool {
        self.ignored.contains(field)
    }
}
