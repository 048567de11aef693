//! Carries out one step: its effects in order, each once its intent is on the disk.
//!
//! A worker knows the plan and the interpreter, and has a narrow way to the dispatcher: it
//! reports, and it asks for leave. It decides nothing and keeps nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::emitter::Emitter;
use super::failure::Failure;
use super::progress;
use crate::effect::{Effect, Interpreter, RunContext};
use crate::plan::{Plan, Step, StepId};

/// How long it is waited before an effect that failed is tried again; then twice as long, and so
/// on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// What that grows to.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a worker tells the dispatcher. Steps and effects go by their place.
#[derive(Debug)]
pub(super) enum Report {
    /// Asks for leave to begin an effect; dropped when there is none.
    Wants {
        step: usize,
        effect: u32,
        leave: oneshot::Sender<()>,
    },
    /// An effect is done.
    Completed {
        step: usize,
        effect: u32,
        elapsed: Duration,
    },
    /// An effect failed, and the step with it.
    Failed {
        step: usize,
        effect: u32,
        failure: Failure,
    },
    /// All effects are done.
    Finished { step: usize },
}

/// What every worker of a run has.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) plan: Arc<Plan>,
    pub(super) interpreter: Arc<dyn Interpreter>,
    pub(super) context: RunContext,
    pub(super) emitter: Emitter,
    pub(super) reports: mpsc::UnboundedSender<Report>,
}

impl Bench {
    /// Carries out the step at `place` in at most `limit`.
    pub(super) async fn work(self, place: usize, limit: Duration) {
        let deadline = Instant::now() + limit;
        // When the step is dropped or out of time, what it started elsewhere ends too.
        let ours = self.context.cancel.child_token();
        let _end = ours.clone().drop_guard();
        let step = &self.plan.steps[place];
        for (number, effect) in (0_u32..).zip(&step.effects) {
            let (leave, granted) = oneshot::channel();
            self.report(Report::Wants {
                step: place,
                effect: number,
                leave,
            });
            if granted.await.is_err() {
                return;
            }
            let context = RunContext {
                progress: self.listener(step.id, number),
                cancel: ours.clone(),
                ..self.context.clone()
            };
            let begun = Instant::now();
            match self.insist(step, effect, &context, deadline, limit).await {
                Ok(()) => self.report(Report::Completed {
                    step: place,
                    effect: number,
                    elapsed: begun.elapsed(),
                }),
                Err(failure) => {
                    return self.report(Report::Failed {
                        step: place,
                        effect: number,
                        failure,
                    });
                }
            }
        }
        self.report(Report::Finished { step: place });
    }

    async fn carry_out(
        &self,
        effect: &Effect,
        context: &RunContext,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(), Failure> {
        match timeout_at(deadline, self.interpreter.run(effect, context)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::of(&error, &self.context.vault)),
            Err(_) => Err(Failure::timed_out(limit)),
        }
    }

    /// The same, tried again as often as the step says. Its intent stays open meanwhile, and
    /// effects are idempotent, so nothing more has to be written down.
    async fn insist(
        &self,
        step: &Step,
        effect: &Effect,
        context: &RunContext,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(), Failure> {
        let mut pause = FIRST_PAUSE;
        for retry in 1..=step.retries {
            let failure = match self.carry_out(effect, context, deadline, limit).await {
                Err(failure) if failure.kind.may_pass() => failure,
                done => return done,
            };
            context.progress.say(&format!(
                "failed, retry {retry} of {} in {} s",
                step.retries,
                pause.as_secs()
            ));
            // Neither the limit of the step nor a wish to leave waits for a pause to end.
            tokio::select! {
                () = context.cancel.cancelled() => return Err(failure),
                slept = timeout_at(deadline, tokio::time::sleep(pause)) => {
                    slept.map_err(|_| failure)?;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.carry_out(effect, context, deadline, limit).await
    }

    fn listener(&self, step: StepId, effect: u32) -> crate::effect::Progress {
        let vault = Arc::clone(&self.context.vault);
        progress::listener(step, effect, self.emitter.clone(), vault)
    }

    /// Without a dispatcher the run has been left, and this worker is about to be dropped.
    fn report(&self, report: Report) {
        let _ = self.reports.send(report);
    }
}
