//! The interpreter of the real world.
//!
//! It holds the ways to all sites and nothing else: what is asked and done is decided by the
//! data that it is given. Reads go to `read`, `sql` and `patroni`; effects to `run`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bollard::Docker;

use super::engine::HostEngine;
use super::hetzner::{HetznerClient, HetznerError};
use super::pool::Hosts;
use super::read::{self, HostSite};
use super::registry::Registry;
use super::run::{self, HostChange};
use super::sql::SqlError;
use super::{patroni, sql};
use crate::diag::error_chain;
use crate::effect::{Action, Effect, EffectError, Halt, Interpreter, RunContext, SiteReadings};
use crate::ident::{HostName, StackName};
use crate::probe::{
    LoadBalancer, LoadBalancerReading, MarkedReading, Outage, PatroniAccess, PgAccess, Probe,
    Query, Reading, Site,
};
use crate::secret::Vault;

/// Why a load balancer can be neither asked nor changed.
const NO_HETZNER: &str = "the environment names no Hetzner API and token";

/// Carries the vocabulary out on real hosts.
pub struct HostInterpreter {
    hosts: Hosts,
    knock: Hosts,
    operator: Docker,
    hetzner: Option<HetznerClient>,
    registry: Registry,
    vault: Arc<Vault>,
    /// One client per host, which keeps its connection to the engine.
    engines: Mutex<BTreeMap<HostName, HostEngine>>,
    raft: patroni::RaftKeys,
}

impl HostInterpreter {
    /// An interpreter for `stack` on `hosts`.
    ///
    /// `knock` leads to the same hosts over connections of its own; a change that may cut the
    /// operator off is kept only when one of them comes about after it. `operator` is the
    /// Docker engine of the machine that runs the program.
    pub fn new(
        stack: &StackName,
        hosts: Hosts,
        knock: Hosts,
        operator: Docker,
        vault: Arc<Vault>,
    ) -> Self {
        Self {
            hosts,
            knock,
            operator,
            hetzner: None,
            registry: Registry::of(stack),
            vault,
            engines: Mutex::new(BTreeMap::new()),
            raft: patroni::RaftKeys::default(),
        }
    }

    /// The same with a Hetzner Cloud project.
    pub fn with_hetzner(mut self, client: HetznerClient) -> Self {
        self.hetzner = Some(client);
        self
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.hosts.close().await;
        self.knock.close().await;
    }

    fn host(&self, name: &HostName) -> Result<HostSite, Outage> {
        let outage = |why: String| Outage::new(&Site::Host(name.clone()), why);
        let transport = self
            .hosts
            .get(name)
            .map_err(|error| outage(error.to_string()))?;
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = match engines.get(name).cloned() {
            Some(engine) => engine,
            None => HostEngine::of(&transport).map_err(|error| outage(error_chain(&error)))?,
        };
        engines.insert(name.clone(), engine.clone());
        Ok(HostSite {
            transport,
            engine,
            registry: self.registry.clone(),
        })
    }

    async fn answer(&self, site: &Site, queries: &[&Query]) -> SiteReadings {
        let outage = |why: String| {
            let why = crate::diag::cleaned(&self.vault.redact(&why));
            Outage::new(site, why)
        };
        let answered = match site {
            Site::Host(name) => {
                let host = self.host(name).map_err(|silent| outage(silent.why))?;
                read::answer(&host, queries).await
            }
            Site::Operator => read::answer_engine(&self.operator, queries).await,
            Site::Postgres(access) => {
                let answered = sql::read(&self.hosts, access, &self.vault, queries).await;
                return answered.map_err(|error| match error {
                    SqlError::Unasked(why) => outage(why).unasked(),
                    SqlError::Lost(why) => outage(why),
                    SqlError::Refused { said, .. } => outage(said),
                });
            }
            Site::Patroni(access) => {
                patroni::read(&self.hosts, access, &self.vault, &self.raft, queries).await
            }
            Site::Hetzner => self.ask_hetzner(queries).await,
        };
        answered.map_err(outage)
    }

    async fn ask_hetzner(&self, queries: &[&Query]) -> Result<Vec<Reading>, String> {
        let client = self.hetzner.as_ref().ok_or(NO_HETZNER)?;
        let asked = queries.iter().map(|query| async move {
            let read = async {
                Ok(match query {
                    Query::LoadBalancer(query) => {
                        Some(LoadBalancerReading(client.read(&query.name).await?).into())
                    }
                    Query::Marked(query) => {
                        let names = client.names(&query.mark).await?.into_iter();
                        let found = names.map(|name| LoadBalancer { name }.into());
                        Some(MarkedReading(found.collect()).into())
                    }
                    _ => None,
                })
            };
            let read: Result<Option<Reading>, HetznerError> = read.await;
            let misplaced = || format!("Hetzner Cloud cannot be asked {query:?}");
            read.map_err(|error| error_chain(&error))?
                .ok_or_else(misplaced)
        });
        futures::future::try_join_all(asked).await
    }

    async fn carry_out(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        let Effect { site, action } = effect;
        if let Action::Gate(gate) = action {
            return run::wait(self, gate, run).await;
        }
        match site {
            Site::Host(name) => self.change(name)?.run(action, run).await,
            Site::Operator => run::on_operator(&self.operator, action, run).await,
            Site::Postgres(access) => {
                self.fence(site, &access.via, run).await?;
                self.on_postgres(access, action, run).await
            }
            Site::Patroni(access) => {
                self.fence(site, &access.members, run).await?;
                self.on_patroni(access, action, run).await
            }
            Site::Hetzner => match &self.hetzner {
                Some(client) => {
                    self.fence(site, self.hosts.names(), run).await?;
                    run::on_hetzner(client, action, run).await
                }
                None => Err(Outage::new(site, NO_HETZNER).into()),
            },
        }
    }

    /// Makes sure that no newer run has changed the hosts: what has no registry of its own is
    /// guarded by that of the first of `hosts` that answers.
    async fn fence(
        &self,
        site: &Site,
        hosts: impl IntoIterator<Item = &HostName>,
        run: &RunContext,
    ) -> Result<(), EffectError> {
        let mut silent = Outage::new(site, "no host answers that could tell whether it may");
        for name in hosts {
            match run::fence(&self.host(name)?, run).await {
                Err(EffectError::Unreachable(outage)) => silent = outage,
                outcome => return outcome,
            }
        }
        Err(silent.into())
    }

    fn change(&self, name: &HostName) -> Result<HostChange<'_>, Outage> {
        let site = self.host(name)?;
        let knock = self.knock.get(name);
        let knock =
            knock.map_err(|error| Outage::new(&Site::Host(name.clone()), error.to_string()));
        Ok(HostChange {
            site,
            knock: knock?,
            operator: &self.operator,
        })
    }

    /// Carries out effects that go together: more than one are scripts of one host.
    async fn carry_out_all(&self, effects: &[Effect], run: &RunContext) -> Result<(), Halt> {
        match effects {
            [] => Ok(()),
            [effect] => self.carry_out(effect, run).await.map_err(Halt::at_once),
            [first, ..] => match &first.site {
                Site::Host(name) => {
                    let change = self.change(name).map_err(Halt::at_once)?;
                    change.run_all(effects, run).await
                }
                other => Err(Halt::at_once(run::misplaced(other, &first.action))),
            },
        }
    }

    async fn on_postgres(
        &self,
        access: &PgAccess,
        action: &Action,
        run: &RunContext,
    ) -> Result<(), EffectError> {
        let site = Site::from(access.clone());
        let outcome = sql::run(&self.hosts, access, &run.vault, action).await;
        let outcome = outcome.ok_or_else(|| run::misplaced(&site, action))?;
        outcome.map_err(|error| match error {
            SqlError::Unasked(why) => Outage::new(&site, run::tidy(run, &why)).unasked().into(),
            SqlError::Lost(why) => Outage::new(&site, run::tidy(run, &why)).into(),
            SqlError::Refused { said, .. } => run::failed(site.to_string(), run::tidy(run, &said)),
        })
    }

    async fn on_patroni(
        &self,
        access: &PatroniAccess,
        action: &Action,
        run: &RunContext,
    ) -> Result<(), EffectError> {
        let outcome = patroni::run(&self.hosts, access, &run.vault, action, run).await;
        outcome.ok_or_else(|| run::misplaced(&Site::from(access.clone()), action))?
    }
}

#[async_trait]
impl Interpreter for HostInterpreter {
    async fn read(&self, site: &Site, probes: &[Probe]) -> SiteReadings {
        let queries: Vec<&Query> = probes.iter().map(|probe| &probe.query).collect();
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let readings = self.answer(site, &queries).await?;
        if readings.len() == probes.len() {
            return Ok(readings);
        }
        Err(Outage::new(site, "it did not answer every question"))
    }

    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        tokio::select! {
            outcome = self.carry_out(effect, run) => outcome,
            () = run.cancel.cancelled() => Err(EffectError::Cancelled),
        }
    }

    async fn run_all(&self, effects: &[Effect], run: &RunContext) -> Result<(), Halt> {
        tokio::select! {
            outcome = self.carry_out_all(effects, run) => outcome,
            () = run.cancel.cancelled() => Err(Halt::at_once(EffectError::Cancelled)),
        }
    }
}
