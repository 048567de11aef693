//! The way from the engine to the model world: decides how long each effect takes and what goes
//! wrong with it, and keeps watch over what is done.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kbz_infra::effect::{Effect, EffectError, Halt, Interpreter, RunContext, SiteReadings};
use kbz_infra::plan::Plan;
use kbz_infra::probe::{Probe, Site};
use kbz_infra::sim::{Universe, World};
use tokio_util::sync::CancellationToken;

use crate::breach::{Breach, Law};
use crate::chance::Chance;
use crate::cluster::members;
use crate::disk::MemoryDisk;
use crate::hand::lay_on;
use crate::story::{Death, Mishap, Run};

/// The longest that an effect takes before it happens, and again after it, in milliseconds.
const LONGEST: usize = 40;

/// The world as one operator reaches it.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    disk: MemoryDisk,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    watch: Watch,
    /// What is under way and has not happened yet, by the number of the effect.
    waiting: BTreeMap<usize, (Effect, RunContext)>,
    /// The faults that came about.
    fired: usize,
    hands: usize,
}

/// What a run may do, and what it has done.
struct Watch {
    chance: Chance,
    plan: Option<Arc<Plan>>,
    mishaps: BTreeMap<usize, Mishap>,
    death: Option<Death>,
    limits: (usize, usize),
    /// How many effects of each step are done, and whether one is under way.
    steps: Vec<(usize, bool)>,
    begun: usize,
    busy: BTreeMap<Site, usize>,
    /// The fewest nodes of the cluster that may run.
    fewest: usize,
    breach: Option<Breach>,
    /// Places of the effects that have happened.
    happened: BTreeSet<(u32, u32)>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            chance: Chance::new(0),
            plan: None,
            mishaps: BTreeMap::new(),
            death: None,
            limits: (1, 1),
            steps: Vec::new(),
            begun: 0,
            busy: BTreeMap::new(),
            fewest: 0,
            breach: None,
            happened: BTreeSet::new(),
        }
    }
}

/// How a run went, as the world saw it.
pub(crate) struct Seen {
    /// How many faults came about.
    pub(crate) fired: usize,
    /// How many times a hand came between.
    pub(crate) hands: usize,
    /// The effects that have happened, by step and number.
    pub(crate) happened: BTreeSet<(u32, u32)>,
    /// What must not have been done.
    pub(crate) breach: Option<Breach>,
}

impl Stage {
    pub(crate) fn new(world: Universe, disk: MemoryDisk) -> Self {
        Self {
            world: Arc::new(World::of(world)),
            disk,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of `plan` begins.
    pub(crate) fn begin(&self, plan: &Arc<Plan>, run: &Run, limits: (usize, usize), seed: u64) {
        let fewest = if plan.steps.iter().any(is_of_group) {
            running(&self.world).min(2)
        } else {
            0
        };
        *self.inner() = Inner {
            watch: Watch {
                chance: Chance::new(seed),
                mishaps: run.mishaps.iter().cloned().collect(),
                death: run.death,
                limits,
                steps: vec![(0, false); plan.steps.len()],
                plan: Some(Arc::clone(plan)),
                fewest,
                ..Watch::default()
            },
            ..Inner::default()
        };
    }

    /// The run is over: what was on its way when the process died has happened, or has not.
    pub(crate) async fn end(&self) -> Seen {
        let waiting = std::mem::take(&mut self.inner().waiting);
        for (_, (effect, context)) in waiting {
            let happens = self.inner().watch.chance.percent(50);
            if happens {
                let context = RunContext {
                    cancel: CancellationToken::new(),
                    ..context
                };
                // The operator who might hear of an error is dead.
                self.world.run(&effect, &context).await.ok();
                self.inner().watch.note_orphan(&effect);
            }
        }
        let mut inner = self.inner();
        Seen {
            fired: inner.fired,
            hands: inner.hands,
            happened: std::mem::take(&mut inner.watch.happened),
            breach: inner.watch.breach.take(),
        }
    }

    async fn dead<T>(&self) -> T {
        self.disk.die();
        pending().await
    }

    fn rest(&self) -> Duration {
        let millis = self.inner().watch.chance.below(LONGEST);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    /// What goes wrong with an effect, and whether the site does.
    fn mishap(&self, number: usize) {
        let mut inner = self.inner();
        match inner.watch.mishaps.remove(&number) {
            Some(Mishap::Fault(fault)) => {
                inner.fired += 1;
                self.world.fault(self.world.effects() + 1, fault);
            }
            Some(Mishap::Hand(item)) => {
                inner.hands += 1;
                inner.watch.fewest = 0;
                self.world.change(|world| lay_on(&item, world));
            }
            None => {}
        }
    }
}

#[async_trait]
impl Interpreter for Stage {
    async fn read(&self, site: &Site, probes: &[Probe]) -> SiteReadings {
        if self.disk.is_dead() {
            return pending().await;
        }
        self.world.read(site, probes).await
    }

    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        if self.disk.is_dead() {
            return pending().await;
        }
        let (number, place, death) = {
            let mut inner = self.inner();
            let place = inner.watch.enter(effect);
            let number = inner.watch.begun;
            inner.waiting.insert(number, (effect.clone(), run.clone()));
            (number, place, inner.watch.death)
        };
        let _busy = Busy {
            stage: self,
            site: &effect.site,
        };
        let dies = |wanted: bool| {
            matches!(death, Some(Death::AtEffect { number: at, happened, .. })
                if at == number && happened == wanted)
        };
        if dies(false) {
            self.inner().waiting.remove(&number);
            return self.dead().await;
        }
        tokio::time::sleep(self.rest()).await;
        if self.disk.is_dead() {
            return pending().await;
        }
        self.mishap(number);
        self.inner().waiting.remove(&number);
        let outcome = self.world.run(effect, run).await;
        {
            let mut inner = self.inner();
            if outcome.is_ok()
                && let Some(place) = place
            {
                inner.watch.happened.insert(place);
            }
            inner.watch.count_running(&self.world);
        }
        if dies(true) {
            return self.dead().await;
        }
        tokio::time::sleep(self.rest()).await;
        self.inner().watch.leave(place, outcome.is_ok());
        outcome
    }

    /// As on a host: an answer that is lost tells nothing of any of them.
    async fn run_all(&self, effects: &[Effect], run: &RunContext) -> Result<(), Halt> {
        for (done, effect) in effects.iter().enumerate() {
            let outcome = self.run(effect, run).await;
            outcome.map_err(|error| match error {
                EffectError::Unreachable(_) => Halt::at_once(error),
                error => Halt { done, error },
            })?;
        }
        Ok(())
    }
}

/// An effect under way, until it ends or is dropped.
struct Busy<'a> {
    stage: &'a Stage,
    site: &'a Site,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(busy) = self.stage.inner().watch.busy.get_mut(self.site) {
            *busy -= 1;
        }
    }
}

fn is_of_group(step: &kbz_infra::plan::Step) -> bool {
    step.disturbs.is_some()
}

/// How many nodes of the cluster run.
fn running(world: &World) -> usize {
    let nodes = members();
    world.change(|world| {
        let nodes = nodes.iter();
        nodes
            .filter(|node| world.is_running(node, "patroni"))
            .count()
    })
}

impl Watch {
    /// An effect begins: it must be one of the plan, in its turn, and there must be room for it.
    fn enter(&mut self, effect: &Effect) -> Option<(u32, u32)> {
        self.begun += 1;
        *self.busy.entry(effect.site.clone()).or_default() += 1;
        let (parallel, per_site) = self.limits;
        let together: usize = self.busy.values().sum();
        let here = self.busy[&effect.site];
        if together > parallel || here > per_site {
            let what = format!(
                "{together} effects at a time, {here} of them on {}",
                effect.site
            );
            self.breach(Law::LimitsAreKept, what);
        }
        let place = self.place_of(effect);
        if let Some((step, number)) = place {
            self.steps[step] = (number, true);
            return Some((index(step), index(number)));
        }
        let (deed, site) = (effect.deed(), &effect.site);
        let what = format!("{deed} on {site} is not what comes next");
        self.breach(Law::OnlyWhatIsPlannedInItsOrder, what);
        None
    }

    /// The step and effect of the plan that may be this one now.
    fn place_of(&self, effect: &Effect) -> Option<(usize, usize)> {
        let plan = self.plan.as_ref()?;
        let is_done = |step: usize| self.steps[step] == (plan.steps[step].effects.len(), false);
        let mut steps = plan.steps.iter().enumerate();
        steps.find_map(|(place, step)| {
            let (done, under_way) = self.steps[place];
            let next = step.effects.get(done).filter(|_| !under_way)?;
            let mut after = step.after.iter();
            (next == effect && after.all(|earlier| is_done(earlier.0 as usize)))
                .then_some((place, done))
        })
    }

    fn leave(&mut self, place: Option<(u32, u32)>, done: bool) {
        if let Some((step, number)) = place
            && done
        {
            self.steps[step as usize] = (number as usize + 1, false);
        }
    }

    /// An effect whose operator died has happened all the same.
    fn note_orphan(&mut self, effect: &Effect) {
        let Some(plan) = self.plan.clone() else {
            return;
        };
        for (place, step) in plan.steps.iter().enumerate() {
            let (number, under_way) = self.steps[place];
            if under_way && step.effects.get(number) == Some(effect) {
                self.happened.insert((index(place), index(number)));
                return;
            }
        }
    }

    fn count_running(&mut self, world: &World) {
        if self.fewest == 0 {
            return;
        }
        let now = running(world);
        if now < self.fewest {
            let what = format!("{now} nodes of the cluster run");
            self.breach(Law::QuorumIsKept, what);
        }
    }

    fn breach(&mut self, law: Law, what: String) {
        self.breach.get_or_insert(Breach { law, what });
    }
}

fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
