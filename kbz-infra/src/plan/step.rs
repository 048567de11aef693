//! A plan is data: steps, what each waits for, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::effect::{Action, Effect, Record};
use crate::ident::{HostName, Place, StackName, Urn};
use crate::probe::Outage;
use crate::resource::{Detail, GroupName, Impact, Op, Reason};

/// The number of a step in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One decided change, with its place in the order of all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number: its place in [`Plan::steps`].
    pub id: StepId,
    /// The object that changes.
    pub urn: Urn,
    /// What kind of change.
    pub op: Op,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What it does to the service.
    pub impact: Impact,
    /// What a person wants to see of it.
    pub details: Vec<Detail>,
    /// The object in a few words.
    pub summary: String,
    /// What is done, in order.
    pub effects: Vec<Effect>,
    /// The steps that must be done before.
    pub after: BTreeSet<StepId>,
    /// What is remembered once it is done.
    pub outcome: Outcome,
    /// The component that the object is part of.
    pub parent: Option<Urn>,
    /// Where the object, or its component, was declared.
    pub declared: Option<Place>,
    /// The group and the member that the step disturbs.
    pub disturbs: Option<(GroupName, HostName)>,
    /// Seconds that all its effects may take together, where the program set a limit.
    pub timeout: Option<u64>,
    /// How often an effect of it that failed is tried again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Step {
    /// Whether its change must hold on the leader of its group before it can on other members.
    pub fn is_leader_first(&self) -> bool {
        let mut actions = self.effects.iter().map(|effect| &effect.action);
        actions.any(|action| {
            matches!(
                action,
                Action::RestartMember {
                    leader_first: true,
                    ..
                }
            )
        })
    }
}

/// What is remembered once a step is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The object exists as recorded.
    Remember(Box<Record>),
    /// The object is gone.
    Forget,
    /// Nothing: the step belongs to no object.
    Nothing,
}

/// A resource that is left alone because something it needs is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stuck {
    /// The resource.
    pub urn: Urn,
    /// Why: what does not answer, or the resource that it waits for.
    pub why: StuckBy,
}

/// Why a resource is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StuckBy {
    /// A site does not answer.
    Unreachable(Outage),
    /// It was decided from what has changed since: what that is.
    Moved(Vec<String>),
    /// It depends on another that is left alone.
    DependsOn(Urn),
}

/// Everything that is going to happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The stack.
    pub stack: StackName,
    /// The steps, in an order that respects what each waits for.
    pub steps: Vec<Step>,
    /// What is as declared, with what is known of it.
    pub kept: BTreeMap<Urn, Record>,
    /// What is left alone because something is not known.
    pub stuck: Vec<Stuck>,
    /// What is forgotten without an effect: recorded once, and no longer anywhere.
    pub forgotten: BTreeSet<Urn>,
    /// What the plan is not for, because it was not chosen: neither changed nor forgotten.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<Urn>,
}

impl Plan {
    /// Whether nothing is to be done for what was chosen, and none of it is stuck.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.stuck.is_empty()
    }

    /// Whether something that it was decided from has changed since.
    pub fn has_moved(&self) -> bool {
        let mut stuck = self.stuck.iter();
        stuck.any(|stuck| matches!(stuck.why, StuckBy::Moved(_)))
    }

    /// The worst that it does to the service.
    pub fn impact(&self) -> Impact {
        self.steps
            .iter()
            .map(|step| step.impact)
            .max()
            .unwrap_or_default()
    }

    /// How many steps there are of a kind.
    pub fn count(&self, op: Op) -> usize {
        self.steps.iter().filter(|step| step.op == op).count()
    }
}
