//! The one owner of a run's state.
//!
//! Takes reports in batches: all that came in while the last batch went to the disk. A batch is
//! one write and at most one sync, however many workers wait for it, so the disk sets the pace
//! of batches and not of effects.

mod end;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::cancel::Cancel;
use super::emitter::{Emitter, millis};
use super::event::{Because, What};
use super::failure::Failure;
use super::limits::{Full, Limits, Slots, sites_of};
use super::outcome::{RunError, RunOutcome, count};
use super::queue::Queue;
use super::worker::{Bench, Report};
use crate::effect::{Interpreter, RunContext};
use crate::ident::Digester;
use crate::plan::{Plan, Step, StepId};
use crate::state::{Durability, Entry, Intent, LockedStore, OpId, Proof, StoreError};

/// How many reports go to the disk together at most.
const BATCH: usize = 4096;

/// What a run is given.
pub(super) struct Work {
    pub(super) plan: Arc<Plan>,
    pub(super) interpreter: Arc<dyn Interpreter>,
    pub(super) store: LockedStore,
    pub(super) context: RunContext,
    pub(super) limits: Limits,
}

/// A step under way.
struct Running {
    begun: Instant,
    task: Id,
}

/// Owns the state of one run.
pub(super) struct Dispatcher {
    plan: Arc<Plan>,
    limits: Limits,
    cancel: Cancel,
    emitter: Emitter,
    bench: Bench,
    /// `None` only while a batch is on its way to the disk.
    store: Option<LockedStore>,
    reports: mpsc::UnboundedReceiver<Report>,
    queue: Queue,
    slots: Slots,
    workers: JoinSet<()>,
    running: BTreeMap<usize, Running>,
    tasks: BTreeMap<Id, usize>,
    /// Why nothing more is started, once nothing is.
    stopping: Option<Because>,
    silent: BTreeSet<String>,
    unwritten: Vec<Entry>,
    done: Vec<StepId>,
    failed: BTreeMap<StepId, Failure>,
    skipped: BTreeMap<StepId, Because>,
    trouble: Option<StoreError>,
}

/// What a batch does once it is on the disk.
#[derive(Default)]
struct Consequences {
    leaves: Vec<Leave>,
    events: Vec<What>,
}

/// Leave to begin effects that go together, and what is told of them then.
struct Leave {
    step: usize,
    granted: oneshot::Sender<()>,
    started: Vec<What>,
}

impl Dispatcher {
    pub(super) fn begin(
        work: Work,
        queue: Queue,
        emitter: Emitter,
        cancel: Cancel,
    ) -> Result<Self, RunError> {
        let mut digester = Digester::default();
        serde_json::to_writer(&mut digester, &*work.plan)?;
        let steps = count(work.plan.steps.len());
        let started = Entry::RunStarted {
            run: work.context.run,
            plan: work.context.vault.keyed(&digester.finish()),
            steps,
            holder: work.store.holder().clone(),
        };
        emitter.emit(What::RunStarted {
            run: work.context.run,
            stack: work.plan.stack.clone(),
            steps,
            effects: count(work.plan.steps.iter().map(|step| step.effects.len()).sum()),
        });
        let (sender, reports) = mpsc::unbounded_channel();
        Ok(Self {
            slots: Slots::new(&work.limits),
            bench: Bench {
                plan: Arc::clone(&work.plan),
                interpreter: work.interpreter,
                context: work.context,
                emitter: emitter.clone(),
                reports: sender,
            },
            // A run of no steps leaves nothing open, so it need not be written down.
            unwritten: if steps == 0 {
                Vec::new()
            } else {
                vec![started]
            },
            plan: work.plan,
            limits: work.limits,
            cancel,
            emitter,
            store: Some(work.store),
            reports,
            queue,
            workers: JoinSet::new(),
            running: BTreeMap::new(),
            tasks: BTreeMap::new(),
            stopping: None,
            silent: BTreeSet::new(),
            done: Vec::new(),
            failed: BTreeMap::new(),
            skipped: BTreeMap::new(),
            trouble: None,
        })
    }

    pub(super) async fn run(mut self) -> Result<RunOutcome, RunError> {
        let mut batch = Vec::new();
        let leave = self.cancel.leave().clone();
        let finish = self.cancel.finish().clone();
        loop {
            self.start_ready();
            if self.running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = leave.cancelled() => return self.leave().await,
                () = finish.cancelled(), if self.stopping.is_none() => self.stop(Because::Stopped),
                _ = self.reports.recv_many(&mut batch, BATCH) => self.take_in(&mut batch).await,
                Some(ended) = self.workers.join_next_with_id() => {
                    if let Err(lost) = ended {
                        self.lost(&lost).await;
                    }
                }
            }
        }
        self.finish().await
    }

    // Starting

    fn start_ready(&mut self) {
        while self.stopping.is_none() && self.slots.any_free() {
            let Some(place) = self.queue.pop() else {
                return;
            };
            self.start(place);
        }
    }

    fn start(&mut self, place: usize) {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[place];
        if let Some(site) = self.silent_site(step) {
            // It may have been called in from a line, whose next is then called instead.
            for other in self.slots.pass(&sites_of(&step.effects)) {
                self.queue.put_back(other);
            }
            return self.skip(place, Because::Silent { site });
        }
        let turn = self.queue.turn(place);
        if let Err(Full { site, instead }) = self.slots.take(turn, &sites_of(&step.effects)) {
            self.emitter.emit(What::StepWaiting {
                step: step.id,
                urn: step.urn.clone(),
                site: site.to_string(),
            });
            for other in instead {
                self.queue.put_back(other);
            }
            return;
        }
        let effects = count(step.effects.len());
        self.unwritten.push(Entry::StepStarted {
            step: step.id,
            urn: step.urn.clone(),
            effects,
            outcome: step.outcome.clone(),
        });
        self.emitter.emit(What::StepStarted {
            step: step.id,
            urn: step.urn.clone(),
            op: step.op,
            effects,
        });
        let limit = self.limits.timeout_of(step);
        let task = self.workers.spawn(self.bench.clone().work(place, limit));
        self.tasks.insert(task.id(), place);
        let running = Running {
            begun: Instant::now(),
            task: task.id(),
        };
        self.running.insert(place, running);
    }

    fn silent_site(&self, step: &Step) -> Option<String> {
        if self.silent.is_empty() {
            return None;
        }
        let mut sites = sites_of(&step.effects).into_iter();
        sites.find_map(|site| self.silent.get(&site.to_string()).cloned())
    }

    /// Skips a step and all that depends on it.
    fn skip(&mut self, place: usize, because: Because) {
        let plan = Arc::clone(&self.plan);
        self.note_skipped(&plan.steps[place], because);
        self.skip_followers(place);
    }

    fn skip_followers(&mut self, root: usize) {
        let plan = Arc::clone(&self.plan);
        for place in self.queue.drop_followers(root) {
            let because = Because::Dependency {
                step: plan.steps[root].id,
                urn: plan.steps[root].urn.clone(),
            };
            self.note_skipped(&plan.steps[place], because);
        }
    }

    fn note_skipped(&mut self, step: &Step, because: Because) {
        self.skipped.insert(step.id, because.clone());
        self.emitter.emit(What::StepSkipped {
            step: step.id,
            urn: step.urn.clone(),
            because,
        });
    }

    fn stop(&mut self, because: Because) {
        if because == Because::Stopped {
            self.emitter.emit(What::Stopping {
                running: count(self.running.len()),
            });
        }
        self.stopping.get_or_insert(because);
    }

    // Reports

    async fn take_in(&mut self, batch: &mut Vec<Report>) {
        let mut consequences = Consequences::default();
        for report in batch.drain(..) {
            self.take(report, &mut consequences);
        }
        self.write(consequences).await;
    }

    fn take(&mut self, report: Report, consequences: &mut Consequences) {
        let plan = Arc::clone(&self.plan);
        match report {
            Report::Wants {
                step,
                effects,
                leave,
            } => {
                let started = effects.map(|effect| self.announce(&plan.steps[step], effect));
                let started = started.collect();
                consequences.leaves.push(Leave {
                    step,
                    granted: leave,
                    started,
                });
            }
            Report::Completed {
                step,
                effects,
                elapsed,
            } => {
                let step = plan.steps[step].id;
                for effect in effects {
                    let op = self.op(step, effect);
                    self.unwritten.push(Entry::Completed { op });
                    consequences.events.push(What::EffectDone {
                        step,
                        effect,
                        elapsed_ms: millis(elapsed),
                    });
                }
            }
            Report::Failed {
                step,
                effect,
                failure,
                doubt,
            } => self.step_failed(step, effect, (failure, doubt), consequences),
            Report::Finished { step } => self.step_done(step, consequences),
        }
    }

    /// Lets the intent of an effect be written, and says what is told once it is.
    fn announce(&mut self, step: &Step, effect: u32) -> What {
        let intent = self.intent(step, effect);
        let started = What::EffectStarted {
            step: step.id,
            effect,
            site: intent.site.clone(),
            deed: intent.deed.clone(),
        };
        self.unwritten.push(Entry::Intent(Box::new(intent)));
        started
    }

    fn intent(&self, step: &Step, number: u32) -> Intent {
        let effect = &step.effects[number as usize];
        Intent {
            op: self.op(step.id, number),
            urn: step.urn.clone(),
            site: effect.site.to_string(),
            deed: effect.deed(),
            proof: Proof::of(effect, &self.bench.context.vault),
        }
    }

    fn op(&self, step: StepId, effect: u32) -> OpId {
        OpId {
            run: self.bench.context.run,
            step,
            effect,
        }
    }

    fn step_done(&mut self, place: usize, consequences: &mut Consequences) {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[place];
        let elapsed = self.end(place);
        self.unwritten.push(Entry::StepDone { step: step.id });
        self.done.push(step.id);
        self.queue.done(place);
        consequences.events.push(What::StepDone {
            step: step.id,
            urn: step.urn.clone(),
            elapsed_ms: millis(elapsed),
        });
    }

    fn step_failed(
        &mut self,
        place: usize,
        effect: u32,
        (failure, doubt): (Failure, bool),
        consequences: &mut Consequences,
    ) {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[place];
        let elapsed = self.end(place);
        let op = self.op(step.id, effect);
        self.unwritten.push(if doubt {
            Entry::Abandoned {
                op,
                why: failure.error.clone(),
            }
        } else {
            Entry::Failed {
                op,
                error: failure.error.clone(),
            }
        });
        self.silent.extend(failure.silent.clone());
        consequences.events.push(What::StepFailed {
            step: step.id,
            urn: step.urn.clone(),
            failure: failure.clone(),
            elapsed_ms: millis(elapsed),
        });
        self.failed.insert(step.id, failure);
        self.skip_followers(place);
        if self.limits.fail_fast {
            self.stop(Because::FailFast { step: step.id });
        }
    }

    /// Takes a step out of what is under way.
    fn end(&mut self, place: usize) -> Duration {
        let plan = Arc::clone(&self.plan);
        for waiting in self.slots.give(&sites_of(&plan.steps[place].effects)) {
            self.queue.put_back(waiting);
        }
        let Some(running) = self.running.remove(&place) else {
            return Duration::ZERO;
        };
        self.tasks.remove(&running.task);
        running.begun.elapsed()
    }

    /// A worker that ended without a report has panicked.
    async fn lost(&mut self, lost: &JoinError) {
        let Some(place) = self.tasks.get(&lost.id()).copied() else {
            return;
        };
        let mut batch = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            batch.push(report);
        }
        self.take_in(&mut batch).await;
        let failure = Failure::defect(&lost.to_string(), &self.bench.context.vault);
        let effect = self.effect_under_way(place);
        let mut consequences = Consequences::default();
        self.step_failed(place, effect, (failure, true), &mut consequences);
        self.write(consequences).await;
    }

    /// The effect that a step under way was at.
    fn effect_under_way(&self, place: usize) -> u32 {
        let step = self.plan.steps[place].id;
        let status = self
            .store
            .as_ref()
            .and_then(|store| store.step_status(step));
        status.map_or(0, crate::state::StepStatus::effect)
    }

    // The journal

    /// Puts everything unwritten on the disk, then lets its consequences happen.
    async fn write(&mut self, consequences: Consequences) {
        let durability = if consequences.leaves.is_empty() {
            Durability::Later
        } else {
            Durability::Now
        };
        if let Err(error) = self.append(durability).await {
            self.trouble.get_or_insert(error);
            self.stop(Because::NoJournal);
        }
        for event in consequences.events {
            self.emitter.emit(event);
        }
        if self.trouble.is_some() {
            // Without its intent on the disk no effect begins: the workers are refused.
            return self.refuse(consequences.leaves);
        }
        for leave in consequences.leaves {
            for started in leave.started {
                self.emitter.emit(started);
            }
            // A worker that no longer waits is reported by its end.
            let _ = leave.granted.send(());
        }
    }

    async fn append(&mut self, durability: Durability) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut self.unwritten);
        if entries.is_empty() {
            return Ok(());
        }
        self.with_store(move |store| store.append(&entries, durability))
            .await
    }

    /// Lets blocking work be done with the store, beside the workers.
    async fn with_store<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut LockedStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(mut store) = self.store.take() else {
            return Err(StoreError::Poisoned);
        };
        if !store.waits() {
            let result = work(&mut store);
            self.store = Some(store);
            return result;
        }
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(&mut store);
            (store, result)
        });
        match worked.await {
            Ok((store, result)) => {
                self.store = Some(store);
                result
            }
            Err(_) => Err(StoreError::Poisoned),
        }
    }

    fn refuse(&mut self, leaves: Vec<Leave>) {
        for leave in leaves {
            drop(leave.granted);
            let plan = Arc::clone(&self.plan);
            self.end(leave.step);
            self.note_skipped(&plan.steps[leave.step], Because::NoJournal);
            self.skip_followers(leave.step);
        }
    }
}
