//! What a run returns, and why it could not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::Because;
use super::failure::Failure;
use crate::effect::{EffectError, Record};
use crate::ident::{StackName, Urn};
use crate::plan::StepId;
use crate::state::{Ended, LockedStore, StoreError, Tally};

/// A plan that is no plan: only one that was tampered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// A step does not have the number of its place.
    #[error("the step at place {place} has the number {found}")]
    Number {
        /// The place, from 0.
        place: usize,
        /// The number.
        found: StepId,
    },
    /// A step waits for itself, for a later one or for one that is not there.
    #[error("step {step} waits for {waits_for}, which does not come before it")]
    Order {
        /// Who waits.
        step: StepId,
        /// For what.
        waits_for: StepId,
    },
    /// A plan of one stack and the state of another.
    #[error("a plan of the stack {plan} cannot run on the state of {state}")]
    Stack {
        /// The plan's stack.
        plan: StackName,
        /// The state's stack.
        state: StackName,
    },
}

/// Why a run could not begin, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan is none.
    #[error("the plan is not one that this program has made: {0}")]
    Plan(#[from] InvalidPlan),
    /// The plan cannot be written down, so it has no hash.
    #[error("the plan cannot be written down: {0}")]
    Encode(#[from] serde_json::Error),
    /// Another run goes on, or a newer one has been there. Nothing was begun.
    #[error(transparent)]
    Held(EffectError),
    /// The journal could not be written. What had begun was finished; nothing more was.
    #[error("the journal cannot be written, so nothing more was begun")]
    Store(#[from] StoreError),
}

/// What became of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// How it ended.
    pub ended: Ended,
    /// The steps that were done, in the order in which they were.
    pub done: Vec<StepId>,
    /// The steps that failed.
    pub failed: BTreeMap<StepId, Failure>,
    /// The steps that were not begun.
    pub skipped: BTreeMap<StepId, Because>,
    /// How long it took.
    pub elapsed: Duration,
    /// What exists now, or may exist because its making was begun.
    pub records: BTreeMap<Urn, Record>,
    /// The state, still locked.
    pub store: LockedStore,
}

impl RunOutcome {
    /// Whether everything that was planned is done.
    pub fn is_success(&self) -> bool {
        self.ended == Ended::Complete && self.failed.is_empty() && self.skipped.is_empty()
    }
}

/// A count of steps: a plan has fewer than 2^32.
pub(super) fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

/// A run in numbers.
pub(super) fn tally(done: usize, failed: usize, skipped: usize) -> Tally {
    Tally {
        done: count(done),
        failed: count(failed),
        skipped: count(skipped),
    }
}
