//! An operator of the model world: what one run of the engine needs, and what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kbz_infra::effect::{Interpreter, Progress, Record, RunContext};
use kbz_infra::exec::{Cancel, Event, Limits, Run as Carried, RunError, RunOutcome};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, Urn};
use kbz_infra::lint;
use kbz_infra::observe::{follow_up, observe};
use kbz_infra::plan::{Plan, Planner, Problem, Request, probes};
use kbz_infra::primitive::PgDatabase;
use kbz_infra::probe::Observation;
use kbz_infra::resource::Op;
use kbz_infra::sim::Universe;
use kbz_infra::state::{LockedStore, Recovery, Store, StoreError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::breach::{Breach, Law};
use crate::cluster::{NODES, OTHERS};
use crate::disk::MemoryDisk;
use crate::items::program;
use crate::laws;
use crate::names::{host, stack};
use crate::secrets::vault;
use crate::stage::{Seen, Stage};
use crate::story::Run;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Went {
    /// It was refused: something protected would go.
    Refused,
    /// Everything that was to be done is done.
    Whole,
    /// Something is left, because something went wrong.
    Broken,
}

/// What one run came to.
pub(crate) struct Told {
    pub(crate) went: Went,
    /// The plan, as bytes; empty where there was none.
    pub(crate) plan: String,
    /// Whether a hand came between.
    pub(crate) by_hand: bool,
    /// Forgotten databases that kept their owners from going, dropped by a hand since.
    pub(crate) in_the_way: BTreeSet<Urn>,
}

/// What a run leaves behind, however it ends.
#[derive(Default)]
struct Notes {
    plan: Option<Arc<Plan>>,
    refused: Vec<Problem>,
    events: Option<UnboundedReceiver<Event>>,
    outcome: Option<Result<RunOutcome, RunError>>,
    run: u64,
    /// Whether there was nothing to do, and that was noted.
    settled: bool,
}

/// What was last under way when its process died.
struct Died {
    run: u64,
    happened: BTreeSet<(u32, u32)>,
}

/// An operator with a world, a disk and a memory of what was made.
pub(crate) struct Operator {
    pub(crate) stage: Arc<Stage>,
    disk: MemoryDisk,
    limits: (usize, usize),
    seed: u64,
    clock: u64,
    died: Option<Died>,
    /// What was made and has not been touched from outside since.
    made: BTreeSet<Urn>,
    /// The databases that stood when the memory was lost, and that it does not know again.
    forgotten: BTreeSet<Urn>,
}

impl Operator {
    pub(crate) fn new(world: Universe, limits: (usize, usize), seed: u64) -> Self {
        let disk = MemoryDisk::default();
        Self {
            stage: Arc::new(Stage::new(world, disk.clone())),
            disk,
            limits,
            seed,
            clock: 0,
            died: None,
            made: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        }
    }

    /// Something happened from outside.
    pub(crate) fn touched(&mut self) {
        self.made.clear();
        self.died = None;
    }

    /// The operator's memory is lost.
    pub(crate) fn forget(&mut self) {
        self.disk.wipe();
        let traces = self.traces();
        let names = traces.iter().filter_map(|trace| {
            let name = trace.strip_prefix("pg: database ")?;
            Some(Urn::global(PgDatabase::KIND, name))
        });
        self.forgotten.extend(names);
    }

    /// What the memory knows again is forgotten no more.
    fn recall(&mut self) {
        if self.forgotten.is_empty() {
            return;
        }
        let store = Store::on(Arc::new(self.disk.clone()), "/kbz", stack());
        // State that cannot be read breaks a law of its own at the next run.
        let known = store.read().map(|read| read.records).unwrap_or_default();
        self.forgotten.retain(|urn| !known.contains_key(urn));
    }

    /// Somebody drops databases, known or not.
    pub(crate) fn drop_by_hand(&mut self, databases: &BTreeSet<Urn>) {
        for urn in databases {
            self.stage
                .world
                .change(|world| world.drop_database("pg", urn.name()));
            self.forgotten.remove(urn);
            self.touched();
        }
    }

    /// What the world has that a fresh one does not.
    pub(crate) fn traces(&self) -> BTreeSet<String> {
        let traces = self.stage.world.change(|world| world.traces());
        traces.into_iter().collect()
    }

    /// The part of it that no registry can know.
    pub(crate) fn traces_without_marks(&self) -> BTreeSet<String> {
        let traces = self
            .stage
            .world
            .change(|world| world.traces_without_marks());
        traces.into_iter().collect()
    }

    /// One run. Where nothing else goes wrong, a forgotten database that keeps its owner from
    /// going is dropped by a hand, as the refusal asks, and the same is run again.
    pub(crate) async fn carry(&mut self, run: &Run, request: Request) -> Result<Told, Breach> {
        let mut told = self.once(run, request).await?;
        let mut found = told.in_the_way.clone();
        while run.is_calm() && !found.is_empty() {
            self.drop_by_hand(&found);
            let again = self.once(run, request).await?;
            told.went = again.went;
            found = again.in_the_way;
            told.in_the_way.extend(found.iter().cloned());
        }
        Ok(told)
    }

    /// One run from its beginning to its end, whatever that is.
    async fn once(&mut self, run: &Run, request: Request) -> Result<Told, Breach> {
        self.clock += 1;
        let mut notes = Notes::default();
        let killed = self.disk.arm(run.death, run.disk_full);
        let died = self.died.take();
        let going = self.go(run, request, died.as_ref(), &mut notes);
        let went = tokio::select! {
            biased;
            () = killed.cancelled() => Ok(()),
            went = going => went,
        };
        let seen = self.stage.end().await;
        let dead = self.disk.is_dead();
        let power = run
            .death
            .filter(|_| dead)
            .and_then(crate::story::Death::power);
        self.disk.revive(power);
        self.recall();
        if dead {
            self.died = Some(Died {
                run: notes.run,
                happened: seen.happened.clone(),
            });
        } else {
            went?;
        }
        if let Some(breach) = &seen.breach {
            return Err(breach.clone());
        }
        self.judge(run, notes, &seen, dead)
    }

    /// What a look at the finished run says.
    fn judge(&mut self, run: &Run, notes: Notes, seen: &Seen, dead: bool) -> Result<Told, Breach> {
        let plan = notes.plan.as_deref();
        let bytes = plan.map(laws::bytes).unwrap_or_default();
        laws::secrets_stay_secret(&bytes, notes.events, notes.outcome.as_ref(), &self.disk)?;
        self.remember(plan, seen);
        let told = |went| Told {
            went,
            plan: bytes.clone(),
            by_hand: seen.hands > 0,
            in_the_way: BTreeSet::new(),
        };
        if !notes.refused.is_empty() {
            return Ok(told(Went::Refused));
        }
        if dead {
            return Ok(told(Went::Broken));
        }
        let Some(plan) = plan else {
            // The disk was full before there was a plan.
            return Ok(told(Went::Broken));
        };
        let outcome = match notes.outcome {
            None if notes.settled => return Ok(told(Went::Whole)),
            None | Some(Err(RunError::Store(StoreError::File(_) | StoreError::Poisoned)))
                if run.disk_full.is_some() =>
            {
                return Ok(told(Went::Broken));
            }
            None => return Err(Breach::of(Law::TheNextRunConverges, "nothing was done")),
            Some(Err(error)) => {
                return Err(Breach::of(Law::TheStateIsRead, laws::chain(&error)));
            }
            Some(Ok(outcome)) => outcome,
        };
        laws::a_failure_skips_exactly_its_descendants(plan, &outcome)?;
        let excused = laws::kept_by_the_forgotten(plan, &outcome, &self.forgotten);
        laws::nothing_fails_by_itself(plan, &outcome, seen, excused.len())?;
        if outcome.is_success() && plan.stuck.is_empty() {
            return Ok(told(Went::Whole));
        }
        Ok(Told {
            in_the_way: excused.into_values().collect(),
            ..told(Went::Broken)
        })
    }

    /// Keeps what was made, for the law that nothing is made twice.
    fn remember(&mut self, plan: Option<&Plan>, seen: &Seen) {
        if seen.hands > 0 {
            return self.touched();
        }
        let Some(plan) = plan else { return };
        for step in &plan.steps {
            let effects = u32::try_from(step.effects.len()).unwrap_or(u32::MAX);
            let whole = (0..effects).all(|number| seen.happened.contains(&(step.id.0, number)));
            match step.op {
                Op::Delete => drop(self.made.remove(&step.urn)),
                // What was taken away and not put back is not there.
                Op::Replace if !whole => drop(self.made.remove(&step.urn)),
                _ if whole && effects > 0 => drop(self.made.insert(step.urn.clone())),
                _ => {}
            }
        }
        self.made.retain(|urn| !plan.forgotten.contains(urn));
    }

    /// What `up` and `destroy` do, as the command line does it.
    async fn go(
        &self,
        run: &Run,
        request: Request,
        died: Option<&Died>,
        notes: &mut Notes,
    ) -> Result<(), Breach> {
        let store = Store::on(Arc::new(self.disk.clone()), "/kbz", stack());
        let mut store = match store.lock() {
            Ok(store) => store,
            Err(error) => return broken(run, error),
        };
        let program = program(&run.program);
        laws::graph_equals_its_declarations(&program.declarations)?;
        let graph = Graph::new(program.declarations)
            .map_err(|errors| Breach::of(Law::TheGraphIsTheDeclarations, format!("{errors:?}")))?;
        let recovery = store.recovery();
        let observation = self.look(&graph, store.records(), recovery.as_ref()).await;
        let vault = vault();
        let planner = Planner::new(&graph, &observation, &vault, store.records());
        let plan = match planner.plan(request) {
            Ok(plan) => plan,
            Err(problems) => {
                laws::only_protection_refuses(&problems)?;
                notes.refused = problems;
                return Ok(());
            }
        };
        laws::protection_holds(&plan, &graph, store.records())?;
        laws::nothing_is_made_twice(&plan, &self.made)?;
        let proof = lint::plan_observed(&plan, graph.groups(), &observation);
        if proof.has_errors() {
            let what = kbz_infra::diag::Renderer::plain(&proof);
            return Err(Breach::of(Law::QuorumIsKept, what));
        }
        let plan = Arc::new(plan);
        notes.plan = Some(Arc::clone(&plan));
        if let Some(recovery) = recovery {
            let fates = recovery.judge(&observation, &vault);
            if let Some(died) = died.filter(|died| died.run == recovery.run) {
                laws::what_is_told_is_true(&recovery, &fates, &died.happened)?;
            }
            if let Err(error) = store.recover(fates) {
                return broken(run, error);
            }
        }
        if plan.is_empty() {
            return match store.settle(plan.kept.values(), &plan.forgotten) {
                Ok(()) => {
                    notes.settled = true;
                    Ok(())
                }
                Err(error) => broken(run, error),
            };
        }
        self.start(run, &plan, store, notes).await;
        Ok(())
    }

    async fn start(&self, run: &Run, plan: &Arc<Plan>, store: LockedStore, notes: &mut Notes) {
        let (parallel, per_site) = self.limits;
        let limits = Limits {
            parallel,
            per_site,
            ..Limits::default()
        };
        // Rising over all runs, also where the memory of them is lost.
        let number = store.next_run().max(self.clock * 1000);
        notes.run = number;
        let context = RunContext {
            stack: stack(),
            run: number,
            vault: vault(),
            progress: Progress::none(),
            cancel: CancellationToken::new(),
        };
        self.stage
            .begin(plan, run, self.limits, self.seed ^ self.clock);
        let (events, heard) = unbounded_channel();
        notes.events = Some(heard);
        let interpreter: Arc<dyn Interpreter> = self.stage.clone();
        let carried = Carried::new(Plan::clone(plan), interpreter, store, context, limits);
        notes.outcome = Some(carried.start(events, Cancel::new()).await);
    }

    /// Reads the world.
    async fn look(
        &self,
        graph: &Graph,
        remembered: &BTreeMap<Urn, Record>,
        recovery: Option<&Recovery>,
    ) -> Observation {
        let interpreter: Arc<dyn Interpreter> = self.stage.clone();
        let names = NODES.iter().chain(&OTHERS);
        let hosts: BTreeSet<HostName> = names.map(|(name, _)| host(name)).collect();
        let mut wanted = probes(graph, &hosts, remembered);
        wanted.extend(recovery.into_iter().flat_map(Recovery::probes));
        let known = |urn: &Urn| graph.node(urn).is_some() || remembered.contains_key(urn);
        let seen = observe(&interpreter, wanted, &|_| {}).await;
        follow_up(&interpreter, seen, &known, &|_| {}).await
    }
}

/// State that could not be read or written: only a full disk may say so.
fn broken(run: &Run, error: StoreError) -> Result<(), Breach> {
    match error {
        StoreError::File(_) | StoreError::Poisoned if run.disk_full.is_some() => Ok(()),
        other => Err(Breach::of(Law::TheStateIsRead, laws::chain(&other))),
    }
}
