//! A world in memory, with faults on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::effect::{Action, Effect, EffectError, Interpreter, RunContext, SiteReadings};
use crate::probe::{Outage, Probe, Site};

/// What goes wrong with an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It says no, and nothing has happened.
    Before,
    /// It says no, and it has happened.
    After,
    /// Its site does not answer; it has happened.
    DropAnswer,
    /// Its site ends the connection, so many times, before anything is asked.
    TurnedAway(usize),
    /// It never ends.
    Hang,
    /// The interpreter is broken.
    Panic,
}

type Watch = dyn Fn(&str) + Send + Sync;

#[derive(Default)]
pub(super) struct State {
    /// Effects that have happened, in order.
    happened: Vec<String>,
    /// Effects that were tried.
    tried: usize,
    now: BTreeMap<Site, usize>,
    most: BTreeMap<Site, usize>,
    most_together: usize,
}

/// Remembers what happened; an effect is known by the name of its container.
#[derive(Default)]
pub(super) struct World {
    pub(super) state: Mutex<State>,
    pub(super) faults: BTreeMap<String, Fault>,
    /// How long each effect takes.
    pub(super) pace: Duration,
    /// What a failing effect says.
    pub(super) says: String,
    /// Called when an effect begins.
    pub(super) watch: Option<Box<Watch>>,
}

impl World {
    pub(super) fn with_fault(name: &str, fault: Fault) -> Self {
        Self {
            faults: BTreeMap::from([(name.to_owned(), fault)]),
            pace: Duration::from_millis(10),
            ..Self::default()
        }
    }

    pub(super) fn happened(&self) -> Vec<String> {
        self.state.lock().unwrap().happened.clone()
    }

    pub(super) fn tried(&self) -> usize {
        self.state.lock().unwrap().tried
    }

    /// The most effects at the same time: on one site, and together.
    pub(super) fn most(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        let on_one = state.most.values().copied().max().unwrap_or_default();
        (on_one, state.most_together)
    }

    fn enter(&self, site: &Site) {
        let mut state = self.state.lock().unwrap();
        state.tried += 1;
        let now = state.now.entry(site.clone()).or_default();
        *now += 1;
        let now = *now;
        let most = state.most.entry(site.clone()).or_default();
        *most = now.max(*most);
        let together = state.now.values().sum::<usize>();
        state.most_together = state.most_together.max(together);
    }

    fn exit(&self, site: &Site) {
        *self.state.lock().unwrap().now.get_mut(site).unwrap() -= 1;
    }

    fn happen(&self, name: &str) {
        self.state.lock().unwrap().happened.push(name.to_owned());
    }
}

/// The name under which the world knows an effect.
fn name_of(effect: &Effect) -> String {
    match &effect.action {
        Action::StartContainer { name } => name.clone(),
        other => effect.deed().object.clone() + &format!("{:?}", std::mem::discriminant(other)),
    }
}

#[async_trait]
impl Interpreter for World {
    async fn read(&self, site: &Site, _probes: &[Probe]) -> SiteReadings {
        Err(Outage::new(site, "this world is only written to"))
    }

    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        let name = name_of(effect);
        if let Some(watch) = &self.watch {
            watch(&name);
        }
        self.enter(&effect.site);
        run.progress.say(&format!("at it, {}", self.says));
        tokio::time::sleep(self.pace).await;
        let fault = self.faults.get(&name).copied();
        let failed = EffectError::Failed {
            what: "cannot".to_owned(),
            said: self.says.clone(),
        };
        let result = match fault {
            None => {
                self.happen(&name);
                Ok(())
            }
            Some(Fault::Before) => Err(failed),
            Some(Fault::After) => {
                self.happen(&name);
                Err(failed)
            }
            Some(Fault::DropAnswer) => {
                self.happen(&name);
                Err(Outage::new(&effect.site, "connection lost").into())
            }
            Some(Fault::TurnedAway(times)) if self.tried() > times => {
                self.happen(&name);
                Ok(())
            }
            Some(Fault::TurnedAway(_)) => Err(Outage::new(&effect.site, "connection closed")
                .unasked()
                .into()),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Panic) => {
                self.exit(&effect.site);
                panic!("broken on purpose")
            }
        };
        self.exit(&effect.site);
        result
    }
}

/// The world as an interpreter, and as itself.
pub(super) fn shared(world: World) -> (Arc<World>, Arc<dyn Interpreter>) {
    let world = Arc::new(world);
    (Arc::clone(&world), world)
}
