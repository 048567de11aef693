//! The second interpreter: a model of hosts, in memory and deterministic.
//!
//! A [`World`] answers every query and carries out every action of the vocabulary, as the real
//! hosts would as far as a plan can tell: it keeps files with owners and modes, units, containers
//! and images, a firewall that stands in the way, Patroni clusters that live while a majority of
//! their nodes run and hold data on disk, PostgreSQL behind whatever leads to it, and load
//! balancers. It refuses what they would refuse: a file in a directory that is not there, a
//! container without its image, a role that owns a database.
//!
//! It serves tests of the planner and the executor, the environment that needs no machine, and
//! previews before there are hosts.
//!
//! # Limits
//! - Nothing takes time of its own: what hosts need moments for holds before the next effect. So
//!   a gate that is not open when it is reached will not open, and fails at once. A world that is
//!   given a pace waits that long before each effect, whatever it is.
//! - A service is what its configuration file says (`patroni.yml`, `haproxy.cfg`,
//!   `pgbouncer.ini`); other containers do nothing. Validation commands accept everything.
//! - Kernel parameters that the model does not know by name are 0; images contain one user beside
//!   `root`, with ids 999; every image can be built and pulled.
//! - The world holds what was resolved from secrets, as real hosts do: nothing of it is printed,
//!   and who writes [`World::to_value`] to a file has to protect it like credentials.

mod cluster;
mod docker;
mod drift;
mod fault;
mod files;
mod host;
mod refusal;
mod registry;
mod route;
mod service;
mod sql;
mod system;
mod systemd;
#[cfg(test)]
mod tests;
mod universe;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use fault::Fault;
pub use universe::Universe;

use self::fault::Faults;
use self::refusal::failed;
use crate::effect::{Action, Effect, EffectError, Gate, Interpreter, RunContext, SiteReadings};
use crate::ident::{HostName, StackName};
use crate::probe::{Outage, Probe, Site};

/// A modelled world that can be read and changed.
pub struct World(Mutex<Inner>);

struct Inner {
    universe: Universe,
    faults: Faults,
    effects: u64,
    reads: u64,
    record: Option<Vec<Effect>>,
    pace: Duration,
}

impl World {
    /// Fresh hosts with their addresses, as `stack` finds them.
    pub fn empty(stack: StackName, hosts: impl IntoIterator<Item = (HostName, IpAddr)>) -> Self {
        Self::of(Universe::new(stack, hosts))
    }

    /// A world as it was described before.
    pub fn of(universe: Universe) -> Self {
        Self(Mutex::new(Inner {
            universe,
            faults: Faults::default(),
            effects: 0,
            reads: 0,
            record: None,
            pace: Duration::ZERO,
        }))
    }

    /// A world as [`to_value`](Self::to_value) wrote it.
    pub fn from_value(value: serde_json::Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value).map(Self::of)
    }

    /// The same, from the text of that value.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text).map(Self::of)
    }

    /// The whole world, with everything that was written to its files.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(&self.inner().universe)
    }

    /// The same world before the change, while it is being built.
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut Universe)) -> Self {
        self.change(change);
        self
    }

    /// Something happens from outside.
    pub fn change<T>(&self, change: impl FnOnce(&mut Universe) -> T) -> T {
        change(&mut self.inner().universe)
    }

    /// The world as it is now.
    pub fn snapshot(&self) -> Universe {
        self.inner().universe.clone()
    }

    /// The same world, in which every effect takes so long before it happens.
    #[must_use]
    pub fn paced(self, pace: Duration) -> Self {
        self.inner().pace = pace;
        self
    }

    /// Lets the effect of this number, from 1, go wrong.
    pub fn fault(&self, effect: u64, fault: Fault) {
        self.inner().faults.plan(effect, fault);
    }

    /// Lets something happen from outside just before the effect of this number, from 1.
    pub fn before_effect(&self, effect: u64, happens: impl FnOnce(&mut Universe) + Send + 'static) {
        self.inner().faults.hook(effect, Box::new(happens));
    }

    /// How many effects were asked for.
    pub fn effects(&self) -> u64 {
        self.inner().effects
    }

    /// How many sites were read, each time that they were.
    pub fn reads(&self) -> u64 {
        self.inner().reads
    }

    /// Keeps every effect that is asked for from now on, for [`recorded`](Self::recorded).
    pub fn record(&self) {
        self.inner().record.get_or_insert_default();
    }

    /// The effects that were asked for since [`record`](Self::record), in their order.
    pub fn recorded(&self) -> Vec<Effect> {
        self.inner().record.clone().unwrap_or_default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic in a test's hook leaves a world that is still worth looking at.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Carries an effect out with all that goes wrong with it; `None` when it hangs.
    fn run(&mut self, effect: &Effect, run: &RunContext) -> Option<Result<(), EffectError>> {
        self.effects += 1;
        if let Some(record) = &mut self.record {
            record.push(effect.clone());
        }
        self.faults.before(self.effects, &mut self.universe);
        let lost = |why: &str| EffectError::Unreachable(Outage::new(&effect.site, why));
        let fault = self.faults.of(self.effects);
        match fault {
            Some(Fault::Hang) => return None,
            Some(Fault::FailBefore) => return Some(Err(failed("effect", "it failed"))),
            Some(Fault::LoseRequest) => return Some(Err(lost("the request was lost"))),
            Some(Fault::FailAfter | Fault::LoseAnswer) | None => {}
        }
        let outcome = match &effect.action {
            Action::Gate(gate) => self.pass(gate),
            _ => self.universe.run(effect, run),
        };
        Some(match fault {
            Some(Fault::FailAfter) => Err(failed("effect", "it failed at its end")),
            Some(Fault::LoseAnswer) => Err(lost("the answer was lost")),
            Some(Fault::Hang | Fault::FailBefore | Fault::LoseRequest) | None => outcome,
        })
    }

    /// Judges a gate. Time changes nothing in a model, so a closed gate stays closed.
    fn pass(&self, gate: &Gate) -> Result<(), EffectError> {
        let probes = std::slice::from_ref(&gate.probe);
        let waiting = match self.universe.read(&gate.probe.site, probes) {
            Ok(readings) => match readings.first().map(|reading| gate.check(reading)) {
                Some(Ok(())) => return Ok(()),
                Some(Err(waiting)) => waiting.to_string(),
                None => "waits for an answer".to_owned(),
            },
            Err(outage) => outage.to_string(),
        };
        Err(gate.closed(waiting))
    }
}

#[async_trait]
impl Interpreter for World {
    async fn read(&self, site: &Site, probes: &[Probe]) -> SiteReadings {
        let mut inner = self.inner();
        inner.reads += 1;
        inner.universe.read(site, probes)
    }

    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        let pace = self.inner().pace;
        if !pace.is_zero() {
            // Whoever leaves meanwhile finds the effect not begun.
            let waited = run.cancel.run_until_cancelled(tokio::time::sleep(pace));
            waited.await;
        }
        if run.cancel.is_cancelled() {
            return Err(EffectError::Cancelled);
        }
        let outcome = self.inner().run(effect, run);
        if let Some(outcome) = outcome {
            return outcome;
        }
        run.cancel.cancelled().await;
        Err(EffectError::Cancelled)
    }
}

/// Says how much there is, and nothing of what it holds.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("World")
            .field("universe", &inner.universe)
            .field("effects", &inner.effects)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Universe")
            .field("stack", &self.stack)
            .field("hosts", &self.hosts.len())
            .field("clusters", &self.clusters.len())
            .field("balancers", &self.balancers.len())
            .finish_non_exhaustive()
    }
}
