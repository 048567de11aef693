//! A run from the outside: what it needs, and how it begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::cancel::Cancel;
use super::dispatcher::{Dispatcher, Work};
use super::emitter::Emitter;
use super::event::Event;
use super::lease::Lease;
use super::limits::Limits;
use super::outcome::{InvalidPlan, RunError, RunOutcome};
use super::queue::{Disorder, Queue};
use crate::effect::{Interpreter, RunContext};
use crate::plan::{Plan, StepId};
use crate::state::{Ended, LockedStore};

/// A plan about to be carried out.
#[must_use = "a run does nothing until it is started"]
pub struct Run {
    work: Work,
    lease: Option<Lease>,
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
        let work = Work {
            plan: Arc::new(plan),
            interpreter,
            store,
            context,
            limits,
        };
        Self { work, lease: None }
    }

    /// The same, begun only while nobody else holds these hosts.
    pub fn holding(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Carries the plan out. A plan without steps writes nothing but what it found to be there
    /// or gone. What an earlier run left open and nobody has looked at counts as looked at.
    pub async fn start(
        self,
        events: UnboundedSender<Event>,
        cancel: Cancel,
    ) -> Result<RunOutcome, RunError> {
        let Self { work, lease } = self;
        let queue = check(&work)?;
        let Some(lease) = lease.filter(|_| !work.plan.steps.is_empty()) else {
            return Self::carry_out(work, queue, events, cancel).await;
        };
        let (interpreter, context) = (Arc::clone(&work.interpreter), work.context.clone());
        lease.take(interpreter.as_ref(), &context).await?;
        let working = Box::pin(Self::carry_out(work, queue, events, cancel));
        let outcome = lease
            .renewed_during(working, interpreter.as_ref(), &context)
            .await;
        let abandoned = |outcome: &RunOutcome| outcome.ended == Ended::Abandoned;
        // What was left under way goes on for a while, and nobody else may come between.
        if !outcome.as_ref().is_ok_and(abandoned) {
            lease.give_back(interpreter.as_ref(), &context).await;
        }
        outcome
    }

    async fn carry_out(
        mut work: Work,
        queue: Queue,
        events: UnboundedSender<Event>,
        cancel: Cancel,
    ) -> Result<RunOutcome, RunError> {
        let emitter = Emitter::new(events);
        if let Some(left) = work.store.recovery() {
            let unseen = BTreeMap::new();
            let fates = left.judge(&crate::probe::Observation::default(), &work.context.vault);
            work.store
                .recover(if left.open.is_empty() { unseen } else { fates })?;
        }
        work.store
            .settle(work.plan.kept.values(), &work.plan.forgotten)?;
        work.context.cancel = cancel.leave().clone();
        Dispatcher::begin(work, queue, emitter, cancel)?.run().await
    }
}

/// The order of the plan, if it is one.
fn check(work: &Work) -> Result<Queue, InvalidPlan> {
    if work.plan.stack != *work.store.stack() {
        return Err(InvalidPlan::Stack {
            plan: work.plan.stack.clone(),
            state: work.store.stack().clone(),
        });
    }
    for (place, step) in work.plan.steps.iter().enumerate() {
        if step.id.0 as usize != place {
            return Err(InvalidPlan::Number {
                place,
                found: step.id,
            });
        }
    }
    let steps = work.plan.steps.iter();
    let waits = steps.map(|step| step.after.iter().map(|earlier| earlier.0 as usize));
    Queue::new(waits).map_err(|Disorder { who, waits_for }| InvalidPlan::Order {
        step: work.plan.steps[who].id,
        waits_for: StepId(u32::try_from(waits_for).unwrap_or(u32::MAX)),
    })
}
