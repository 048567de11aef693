//! Everything that a modelled world is made of, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::cluster::{Cluster, Hosts};
use super::docker::Engine;
use super::host::HostModel;
use super::refusal::{failed, moved};
use super::registry::Registry;
use crate::effect::{Action, Effect, EffectError, RunContext};
use crate::ident::{HostName, StackName};
use crate::model::load_balancer::{Health, LoadBalancerChange, LoadBalancerState, Standing, apply};
use crate::probe::{
    ImageUserReading, LoadBalancer, LoadBalancerReading, MarkedReading, Outage, PatroniAccess,
    PgAccess, Probe, Query, Reading, Site,
};

/// A modelled world: its hosts, the operator's machine, clusters and load balancers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Universe {
    /// The stack that asks: registries are read on its behalf.
    pub(super) stack: StackName,
    pub(super) hosts: Hosts,
    pub(super) operator: Engine,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) balancers: BTreeMap<String, LoadBalancerState>,
    /// Whether Hetzner answers.
    pub(super) hetzner: bool,
    /// Ports that something answers on, besides the services that the model knows.
    pub(super) listeners: BTreeSet<(HostName, u16)>,
    next_id: u64,
}

impl Universe {
    pub(super) fn new(
        stack: StackName,
        hosts: impl IntoIterator<Item = (HostName, IpAddr)>,
    ) -> Self {
        let hosts = hosts.into_iter();
        Self {
            stack,
            hosts: hosts
                .map(|(name, address)| (name.clone(), HostModel::new(name, address)))
                .collect(),
            operator: Engine::default(),
            clusters: BTreeMap::new(),
            balancers: BTreeMap::new(),
            hetzner: true,
            listeners: BTreeSet::new(),
            next_id: 1,
        }
    }

    /// Answers all questions to one site.
    pub(super) fn read(&self, site: &Site, probes: &[Probe]) -> Result<Vec<Reading>, Outage> {
        let outage = |why: String| Outage::new(site, why);
        let answer = self.answerer(site).map_err(outage)?;
        let answers = probes.iter().map(|probe| {
            let misplaced = || outage(format!("it cannot be asked {:?}", probe.query));
            answer(&probe.query).ok_or_else(misplaced)
        });
        answers.collect()
    }

    /// What answers for a site, or why nothing does.
    fn answerer<'a>(&'a self, site: &'a Site) -> Result<Box<Answerer<'a>>, String> {
        match site {
            Site::Operator => Ok(Box::new(|query| self.answer_operator(query))),
            Site::Host(name) => {
                let host = self.reached(name)?;
                Ok(Box::new(|query| host.answer(query, &self.stack)))
            }
            Site::Postgres(access) => {
                let server = self.server(access)?;
                let sql = &self.clusters[&server.scope].sql;
                Ok(Box::new(|query| sql.answer(query)))
            }
            Site::Patroni(access) => {
                let cluster = self.asked(access)?;
                Ok(Box::new(|query| match query {
                    Query::Cluster(_) => Some(cluster.view(access, &self.hosts).into()),
                    Query::Dcs(_) => Some(cluster.dcs().into()),
                    _ => None,
                }))
            }
            Site::Hetzner if !self.hetzner => Err("the API does not answer".to_owned()),
            Site::Hetzner => Ok(Box::new(|query| match query {
                Query::LoadBalancer(balancer) => Some(self.balancer(&balancer.name).into()),
                Query::Marked(query) => Some(self.labelled(&query.mark).into()),
                _ => None,
            })),
        }
    }

    fn reached(&self, name: &HostName) -> Result<&HostModel, String> {
        let host = self.hosts.get(name).ok_or("there is no such host")?;
        if host.powered && host.reachable {
            Ok(host)
        } else {
            Err("the connection timed out".to_owned())
        }
    }

    fn answer_operator(&self, query: &Query) -> Option<Reading> {
        match query {
            Query::ImageTag(image) => Some(self.operator.image(&image.reference).into()),
            Query::ImageUser(_) => Some(ImageUserReading(None).into()),
            _ => None,
        }
    }

    /// The cluster behind an access, if one of its members answers.
    fn asked(&self, access: &PatroniAccess) -> Result<&Cluster, String> {
        let silent = || "no member answers".to_owned();
        let cluster = self.clusters.get(&access.scope).ok_or_else(silent)?;
        if cluster.view(access, &self.hosts).seen_by.is_empty() {
            return Err(silent());
        }
        Ok(cluster)
    }

    /// Carries an effect out.
    pub(super) fn run(&mut self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        let outage = |why: String| EffectError::Unreachable(Outage::new(&effect.site, why));
        if effect.site.host().is_none() && effect.site != Site::Operator {
            self.fence(run)?;
        }
        match &effect.site {
            Site::Operator => self.run_operator(&effect.action),
            Site::Host(name) => {
                self.reached(name).map_err(outage)?;
                self.run_host(name, &effect.action, run)
            }
            Site::Postgres(access) => self.run_sql(access, &effect.action, run),
            Site::Patroni(access) => {
                self.asked(access).map_err(outage)?;
                let cluster = self.clusters.get_mut(&access.scope);
                cluster.map_or(Ok(()), |cluster| cluster.act(&effect.action))
            }
            Site::Hetzner if !self.hetzner => Err(outage("the API does not answer".to_owned())),
            Site::Hetzner => self.run_hetzner(&effect.action, run),
        }
    }

    /// Refuses a run where a newer one has changed a host: what has no registry of its own is
    /// guarded by those of the hosts.
    fn fence(&self, run: &RunContext) -> Result<(), EffectError> {
        let registries = self
            .hosts
            .values()
            .filter(|host| host.powered && host.reachable);
        let registries = registries.filter_map(|host| host.registries.get(&run.stack));
        let newest = registries
            .map(Registry::newest_run)
            .max()
            .unwrap_or_default();
        if newest <= run.run {
            return Ok(());
        }
        let found = format!("run {newest} has changed the hosts, a newer run than this one");
        Err(moved("the stack", found))
    }

    fn run_operator(&mut self, action: &Action) -> Result<(), EffectError> {
        match action {
            Action::BuildImage(context) => {
                self.operator.add_image(&context.reference());
                Ok(())
            }
            Action::RemoveImage { reference } => self.operator.remove_image(reference),
            _ => Err(failed("this machine", "it is no place for this")),
        }
    }

    fn run_host(
        &mut self,
        name: &HostName,
        action: &Action,
        run: &RunContext,
    ) -> Result<(), EffectError> {
        let Some(host) = self.hosts.get_mut(name) else {
            return Ok(());
        };
        let outcome = host.act(action, run, &mut self.operator);
        let moves_clusters = matches!(
            action,
            Action::Systemd { .. }
                | Action::StartContainer { .. }
                | Action::RemoveContainer { .. }
                | Action::AllowTraffic(_)
                | Action::RevokeTraffic(_)
                | Action::EnableFirewall {}
                | Action::RemoveDirectory { .. }
        );
        if moves_clusters {
            self.settle(name);
        }
        outcome
    }

    /// Lets every cluster that has to do with a host notice what happened there.
    pub(super) fn settle(&mut self, host: &HostName) {
        let known = self.clusters.iter();
        let mut scopes: BTreeSet<String> = known
            .filter(|(_, cluster)| cluster.concerns(host))
            .map(|(scope, _)| scope.clone())
            .collect();
        let services = self.hosts.get(host).into_iter();
        let services = services.flat_map(|host| host.docker.services());
        let nodes = services.filter_map(|(_, _, service)| service.patroni());
        scopes.extend(nodes.map(|node| node.scope.clone()));
        for scope in scopes {
            let new = || Cluster::new(&scope);
            let mut cluster = self.clusters.remove(&scope).unwrap_or_else(new);
            cluster.settle(&mut self.hosts);
            self.clusters.insert(scope, cluster);
        }
    }

    fn run_sql(
        &mut self,
        access: &PgAccess,
        action: &Action,
        run: &RunContext,
    ) -> Result<(), EffectError> {
        let site = Site::from(access.clone());
        let server = self.server(access);
        let server = server.map_err(|why| EffectError::Unreachable(Outage::new(&site, why)))?;
        let Some(cluster) = self.clusters.get_mut(&server.scope) else {
            return Ok(());
        };
        if cluster.leader() != Some(&server.member) {
            let said = "cannot be executed in a read-only transaction";
            return Err(failed(site.to_string(), said));
        }
        cluster.sql.act(action, run)
    }

    /// A load balancer with the health of its targets, as it is now.
    /// The balancers that bear a label, given as `KEY=VALUE`.
    fn labelled(&self, label: &str) -> MarkedReading {
        let bears = |labels: &BTreeMap<String, String>| {
            let mut labels = labels.iter();
            labels.any(|(key, value)| label == format!("{key}={value}"))
        };
        let found = self.balancers.values().filter(|it| bears(&it.labels));
        let found = found.map(|balancer| {
            let name = balancer.name.clone();
            LoadBalancer { name }.into()
        });
        MarkedReading(found.collect())
    }

    fn balancer(&self, name: &str) -> LoadBalancerReading {
        let Some(balancer) = self.balancers.get(name) else {
            return LoadBalancerReading(None);
        };
        let mut read = balancer.clone();
        for target in &mut read.targets {
            let ports = balancer.services.iter().map(|service| service.listen_port);
            let found = ports.map(|port| {
                let well = self.is_healthy(balancer, port, target);
                let health = if well {
                    Health::Healthy
                } else {
                    Health::Unhealthy
                };
                (port, health)
            });
            target.health = found.collect();
        }
        LoadBalancerReading(Some(read))
    }

    fn run_hetzner(&mut self, action: &Action, run: &RunContext) -> Result<(), EffectError> {
        match action {
            Action::ChangeLoadBalancer { name, change } => self.change_balancer(name, change),
            Action::DeleteLoadBalancer { name } => {
                let Some(balancer) = self.balancers.get(name) else {
                    return Ok(());
                };
                if balancer.owner() != Some(run.stack.as_str()) {
                    let said = "it does not belong to this stack";
                    return Err(failed(format!("load balancer {name}"), said));
                }
                self.balancers.remove(name);
                Ok(())
            }
            _ => Err(failed("Hetzner Cloud", "it is no place for this")),
        }
    }

    fn change_balancer(
        &mut self,
        name: &str,
        change: &LoadBalancerChange,
    ) -> Result<(), EffectError> {
        let what = format!("load balancer {name}");
        let state = self.balancers.get(name);
        match change.standing(state) {
            Standing::Done => return Ok(()),
            Standing::Ready => {}
            Standing::Unexpected(found) => return Err(EffectError::Moved { what, found }),
        }
        let changed = apply::apply(name, state.cloned(), change, self.next_id);
        match changed.map_err(|refusal| failed(what, refusal.to_string()))? {
            Some(state) => {
                self.next_id += 1;
                self.balancers.insert(name.to_owned(), state);
            }
            None => drop(self.balancers.remove(name)),
        }
        Ok(())
    }

    /// What there is that a fresh world does not have, in words, without values of anything.
    pub fn traces(&self) -> Vec<String> {
        let hosts = self.hosts.values().flat_map(|host| {
            let traces = host.traces().into_iter();
            traces.map(move |trace| format!("{}: {trace}", host.name))
        });
        hosts.chain(self.traces_beside_hosts()).collect()
    }

    /// The part of it that no registry can know: what is on no host, and what is on hosts whose
    /// registries were lost.
    pub fn traces_without_marks(&self) -> Vec<String> {
        let bare = self.hosts.values();
        let bare = bare.filter(|host| host.registries.is_empty());
        let traces = bare.flat_map(|host| {
            let traces = host.traces().into_iter();
            traces.map(move |trace| format!("{}: {trace}", host.name))
        });
        traces.chain(self.traces_beside_hosts()).collect()
    }

    fn traces_beside_hosts(&self) -> Vec<String> {
        let clusters = self.clusters.iter().flat_map(|(scope, cluster)| {
            let traces = cluster.traces().into_iter();
            traces.map(move |trace| format!("{scope}: {trace}"))
        });
        let balancers = self
            .balancers
            .keys()
            .map(|name| format!("load balancer {name}"));
        clusters.chain(balancers).collect()
    }

    pub(super) fn host_mut(&mut self, name: &HostName) -> Option<&mut HostModel> {
        self.hosts.get_mut(name)
    }
}

/// Answers the questions to one site; `None` for a question that it cannot be asked.
type Answerer<'a> = dyn Fn(&Query) -> Option<Reading> + 'a;
