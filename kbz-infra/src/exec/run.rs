//! A run from the outside: what it needs, what it returns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::cancel::Cancel;
use super::dispatcher::Dispatcher;
use super::event::{Because, Event, SCHEMA, What};
use super::failure::Failure;
use super::limits::Limits;
use super::queue::{Disorder, Queue};
use crate::effect::{Interpreter, RunContext};
use crate::ident::{Digest, StackName, Urn};
use crate::plan::{Plan, StepId};
use crate::resource::Record;
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

/// A plan about to be carried out.
#[must_use = "a run does nothing until it is started"]
pub struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) interpreter: Arc<dyn Interpreter>,
    pub(super) store: LockedStore,
    pub(super) context: RunContext,
    pub(super) limits: Limits,
}

impl Run {
    /// A run of `plan`. The run's number is `context.run`; it must be above all before it. The
    /// context's own progress and cancellation are replaced by the run's.
    pub fn new(
        plan: Plan,
        interpreter: Arc<dyn Interpreter>,
        store: LockedStore,
        context: RunContext,
        limits: Limits,
    ) -> Self {
        Self {
            plan: Arc::new(plan),
            interpreter,
            store,
            context,
            limits,
        }
    }

    /// Carries the plan out. A plan without steps writes nothing but what it found to be there
    /// or gone. What an earlier run left open and nobody has looked at counts as looked at.
    pub async fn start(
        mut self,
        events: UnboundedSender<Event>,
        cancel: Cancel,
    ) -> Result<RunOutcome, RunError> {
        let queue = self.check()?;
        let emitter = Emitter::new(events);
        if let Some(left) = self.store.recovery() {
            let unseen = BTreeMap::new();
            let fates = left.judge(&crate::probe::Observation::default(), &self.context.vault);
            self.store
                .recover(if left.open.is_empty() { unseen } else { fates })?;
        }
        self.store
            .settle(self.plan.kept.values(), &self.plan.forgotten)?;
        self.context.cancel = cancel.leave().clone();
        Dispatcher::begin(self, queue, emitter, cancel)?.run().await
    }

    /// The order of the plan, if it is one.
    fn check(&self) -> Result<Queue, InvalidPlan> {
        if self.plan.stack != *self.store.stack() {
            return Err(InvalidPlan::Stack {
                plan: self.plan.stack.clone(),
                state: self.store.stack().clone(),
            });
        }
        for (place, step) in self.plan.steps.iter().enumerate() {
            if step.id.0 as usize != place {
                return Err(InvalidPlan::Number {
                    place,
                    found: step.id,
                });
            }
        }
        let steps = self.plan.steps.iter();
        let waits = steps.map(|step| step.after.iter().map(|earlier| earlier.0 as usize));
        Queue::new(waits).map_err(|Disorder { who, waits_for }| InvalidPlan::Order {
            step: self.plan.steps[who].id,
            waits_for: StepId(u32::try_from(waits_for).unwrap_or(u32::MAX)),
        })
    }

    /// A digest of the whole plan.
    pub(super) fn digest(&self) -> Result<Digest, serde_json::Error> {
        Ok(Digest::of(serde_json::to_vec(&*self.plan)?))
    }
}

/// Sends events, each with the time since the run began. Nobody has to listen.
#[derive(Debug, Clone)]
pub(super) struct Emitter {
    events: UnboundedSender<Event>,
    begun: Instant,
}

impl Emitter {
    fn new(events: UnboundedSender<Event>) -> Self {
        Self {
            events,
            begun: Instant::now(),
        }
    }

    pub(super) fn emit(&self, what: What) {
        let event = Event {
            schema: SCHEMA,
            at_ms: millis(self.elapsed()),
            what,
        };
        // Who no longer listens misses nothing that the outcome does not tell.
        let _ = self.events.send(event);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
