//! Carries out one step: its effects in order, each once its intent is on the disk. Effects that go
//! together ask for leave together.
//!
//! A worker knows the plan and the interpreter, and has a narrow way to the dispatcher: it
//! reports, and it asks for leave. It decides nothing and keeps nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::emitter::Emitter;
use super::failure::Failure;
use super::outcome::count;
use super::progress;
use crate::effect::{EffectError, Halt, Interpreter, RunContext, bundle};
use crate::plan::{Plan, Step, StepId};

/// How long it is waited before an effect that failed is tried again; then twice as long, and so
/// on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// What that grows to.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long an effect is tried again whose site ends the connection before anything is asked, and how
/// soon: some turns of a balancer that has not noticed yet that one of its targets has stopped.
const PATIENCE: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(1);

/// What a worker tells the dispatcher. Steps and effects go by their place.
#[derive(Debug)]
pub(super) enum Report {
    /// Asks for leave to begin effects that go together; dropped when there is none.
    Wants {
        step: usize,
        effects: Range<u32>,
        leave: oneshot::Sender<()>,
    },
    /// Effects are done.
    Completed {
        step: usize,
        effects: Range<u32>,
        elapsed: Duration,
    },
    /// An effect failed, and the step with it. Those that were to follow it were not begun, unless
    /// what became of it is not known.
    Failed {
        step: usize,
        effect: u32,
        failure: Failure,
        /// Whether it, or what was to follow, may have happened all the same.
        doubt: bool,
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
        // When the step is dropped or out of time, what it started elsewhere ends too.
        let ours = self.context.cancel.child_token();
        let _end = ours.clone().drop_guard();
        let plan = Arc::clone(&self.plan);
        let attempt = Attempt {
            bench: &self,
            step: &plan.steps[place],
            place,
            cancel: ours,
            deadline: Instant::now() + limit,
            limit,
        };
        attempt.run().await;
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

/// Where effects stopped that go together, and why.
struct Stopped {
    /// How many are done.
    done: usize,
    failure: Failure,
    /// Whether the site of the next ended the connection before anything was asked of it.
    unasked: bool,
}

/// A step under way.
struct Attempt<'a> {
    bench: &'a Bench,
    step: &'a Step,
    place: usize,
    cancel: CancellationToken,
    deadline: Instant,
    limit: Duration,
}

impl Attempt<'_> {
    async fn run(&self) {
        let mut next = 0;
        while next < self.step.effects.len() {
            let until = next + bundle(&self.step.effects[next..]);
            if !self.may_begin(next..until).await {
                return;
            }
            let begun = Instant::now();
            let (done, failed) = self.insist(next..until).await;
            if done > next {
                self.bench.report(Report::Completed {
                    step: self.place,
                    effects: count(next)..count(done),
                    elapsed: begun.elapsed(),
                });
            }
            if let Some((failure, doubt)) = failed {
                return self.bench.report(Report::Failed {
                    step: self.place,
                    effect: count(done),
                    failure,
                    doubt,
                });
            }
            next = until;
        }
        self.bench.report(Report::Finished { step: self.place });
    }

    /// Waits until the intents of some effects are on the disk; `false` where they must not begin.
    async fn may_begin(&self, effects: Range<usize>) -> bool {
        let (leave, granted) = oneshot::channel();
        self.bench.report(Report::Wants {
            step: self.place,
            effects: count(effects.start)..count(effects.end),
            leave,
        });
        granted.await.is_ok()
    }

    /// Carries effects out that go together, and tries again as often as the step says what fails,
    /// and for a while what was not even asked. The intents stay open meanwhile, and effects are
    /// idempotent, so nothing more has to be written down. Tells which one comes next, and where not
    /// all are done why it failed, and whether any attempt may have done it all the same.
    async fn insist(&self, effects: Range<usize>) -> (usize, Option<(Failure, bool)>) {
        let (mut next, mut retry, mut pause) = (effects.start, 0, FIRST_PAUSE);
        let (mut doubt, mut unasked_since) = (false, None);
        loop {
            let context = self.context(next);
            let Err(stopped) = self.carry_out(next..effects.end, &context).await else {
                return (effects.end, None);
            };
            let Stopped { done, failure, .. } = stopped;
            doubt |= !stopped.unasked && failure.kind.leaves_doubt();
            if done > 0 {
                (next, retry, pause) = (next + done, 0, FIRST_PAUSE);
            }
            if done > 0 || !stopped.unasked {
                unasked_since = None;
            }
            let since = unasked_since.get_or_insert_with(Instant::now);
            let wait = if stopped.unasked && since.elapsed() < PATIENCE {
                context.progress.say("no connection yet");
                SOON
            } else if retry < self.step.retries && failure.kind.may_pass() {
                retry += 1;
                let of = self.step.retries;
                let seconds = pause.as_secs();
                let said = format!("failed, retry {retry} of {of} in {seconds} s");
                context.progress.say(&said);
                let wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            } else {
                return (next, Some((failure, doubt)));
            };
            if !self.waited(wait).await {
                return (next, Some((failure, doubt)));
            }
        }
    }

    /// Waits; neither the limit of the step nor a wish to leave waits with it: `false` for those.
    async fn waited(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.cancel.cancelled() => false,
            slept = timeout_at(self.deadline, tokio::time::sleep(pause)) => slept.is_ok(),
        }
    }

    /// Carries them out once.
    async fn carry_out(&self, effects: Range<usize>, context: &RunContext) -> Result<(), Stopped> {
        let effects = &self.step.effects[effects];
        let all = self.bench.interpreter.run_all(effects, context);
        match timeout_at(self.deadline, all).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Halt { done, error })) => Err(Stopped {
                done,
                failure: Failure::of(&error, &self.bench.context.vault),
                unasked: matches!(error, EffectError::Unreachable(outage) if outage.unasked),
            }),
            Err(_) => Err(Stopped {
                done: 0,
                failure: Failure::timed_out(self.limit),
                unasked: false,
            }),
        }
    }

    fn context(&self, effect: usize) -> RunContext {
        RunContext {
            progress: self.bench.listener(self.step.id, count(effect)),
            cancel: self.cancel.clone(),
            ..self.bench.context.clone()
        }
    }
}
