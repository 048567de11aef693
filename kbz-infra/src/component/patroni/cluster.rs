//! A PostgreSQL cluster under Patroni: what all its nodes share.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::dcs_config::{DcsConfig, Synchronous, Timing};
use super::node::PatroniNode;
use super::node_config::Ports;
use super::parameters::{Cluster as ClusterParameters, Parameter};
use crate::component::BaseOs;
use crate::diag::{Finding, SourceLocation};
use crate::effect::{Condition, Gate};
use crate::ident::{HostName, Urn};
use crate::primitive::{ClusterGate, PatroniConfig};
use crate::probe::{self, PatroniAccess, Probe, Site};
use crate::program::{Component, Credentials, DeclareExt as _, Handle, Result, Scope};
use crate::resource::{Claim, Group, GroupName, Leadership};

/// The container and service that runs Patroni on each node.
pub(super) const CONTAINER: &str = "patroni";

/// How long three empty nodes may take to become a cluster, and one node to come back: a
/// replica may have to be copied anew.
const GATE_DEADLINE: u64 = 600;

/// Bytes that a replica may be behind for the cluster to count as whole.
const GATE_LAG: u64 = 1 << 20;

/// Patroni's own RAFT as the distributed configuration store: the nodes vote among themselves,
/// always with a password, and no other service is needed.
///
/// Deprecated in Patroni since 3.0, and still shipped and tested in 4.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raft {}

/// A PostgreSQL cluster under Patroni.
#[derive(Debug, Clone)]
pub struct PatroniCluster {
    name: String,
    credentials: Option<Credentials>,
    synchronous: Synchronous,
    timing: Timing,
    max_connections: u32,
    parameters: Vec<(String, Parameter)>,
    clients: BTreeSet<IpNet>,
    ports: Ports,
}

impl PatroniCluster {
    /// The component's name in addresses.
    pub const KIND: &'static str = "patroni-cluster";

    /// A cluster by name (Patroni's `scope`), with RAFT and a synchronous standby.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            credentials: None,
            synchronous: Synchronous::default(),
            timing: Timing::default(),
            max_connections: 200,
            parameters: Vec::new(),
            clients: BTreeSet::new(),
            ports: Ports::default(),
        }
    }

    /// The roles that the cluster itself needs, and their passwords.
    pub fn credentials(mut self, credentials: &Credentials) -> Self {
        self.credentials = Some(credentials.clone());
        self
    }

    /// The distributed configuration store.
    pub fn dcs(self, _raft: Raft) -> Self {
        self
    }

    /// Whether commits wait for a standby.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How fast a dead leader is noticed.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// `max_connections`, the same on all nodes. Default: 200.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets a parameter of PostgreSQL on all nodes, over the default.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Parameter>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Lets roles log in from a network, besides the members themselves.
    pub fn clients(mut self, network: IpNet) -> Self {
        self.clients.insert(network);
        self
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ports of every node.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The networks of the clients.
    pub(super) fn client_networks(&self) -> &BTreeSet<IpNet> {
        &self.clients
    }

    /// The group of its nodes.
    pub(super) fn group_name(&self) -> GroupName {
        GroupName(self.name.clone())
    }

    /// The credentials, or the finding that they are missing.
    pub(super) fn secrets(&self, scope: &Scope<'_>) -> Result<&Credentials> {
        self.credentials.as_ref().ok_or_else(|| {
            Finding::error(
                "kbz::patroni::credentials",
                format!("the cluster `{}` has no credentials", self.name),
            )
            .label(SourceLocation::from(scope.place()), "declared here")
            .help("give it those of the stack: .credentials(&secrets)")
            .into()
        })
    }

    /// The nodes of the cluster, in the order of the program.
    pub(crate) fn nodes(&self, scope: &Scope<'_>) -> Vec<Handle<PatroniNode>> {
        let nodes = scope.all::<PatroniNode>().into_iter();
        nodes.filter(|node| node.belongs_to(&self.urn())).collect()
    }

    /// The dynamic configuration.
    pub(super) fn dcs_config(&self, major: u16, members: usize) -> DcsConfig {
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        let mut cluster = ClusterParameters::new(major, members);
        cluster.max_connections = self.max_connections;
        let mut parameters = cluster.parameters();
        parameters.extend(self.parameters.iter().cloned());
        let mut dcs = DcsConfig::new(parameters);
        dcs.timing = self.timing;
        dcs.synchronous = self.synchronous;
        dcs
    }

    /// How the cluster's REST API is reached.
    pub(crate) fn access(&self, scope: &Scope<'_>) -> Result<PatroniAccess> {
        let rest = self.secrets(scope)?.rest_api();
        let nodes = self.nodes(scope);
        Ok(PatroniAccess {
            scope: self.name.clone(),
            members: nodes.iter().map(|node| node.host().clone()).collect(),
            port: self.ports.rest,
            user: rest.user,
            password: rest.password,
            container: CONTAINER.to_owned(),
        })
    }

    fn gate(&self, site: &Site, voters: usize) -> Gate {
        let synchronous = match self.synchronous {
            Synchronous::Off => 0,
            Synchronous::On | Synchronous::Strict => 1,
        };
        Gate {
            probe: Probe::at(site, probe::Cluster {}),
            condition: Condition::ClusterHealthy {
                voters,
                synchronous,
                max_lag: GATE_LAG,
            },
            deadline: GATE_DEADLINE,
        }
    }

    /// Refuses a number of voters that cannot lose one and still decide.
    fn check_voters(&self, nodes: &[Handle<PatroniNode>], scope: &Scope<'_>) -> Result<()> {
        if nodes.len() >= 3 && nodes.len() % 2 == 1 {
            return Ok(());
        }
        Err(Finding::error(
            "kbz::patroni::voters",
            format!("the cluster `{}` has {} voters", self.name, nodes.len()),
        )
        .label(
            SourceLocation::from(scope.place()),
            "RAFT needs an odd number of them, three at least",
        )
        .help("add or take away a PatroniNode: three survive the loss of one, five of two")
        .into())
    }

    /// The addresses of the nodes.
    pub(crate) fn addresses(&self, scope: &Scope<'_>) -> Vec<(HostName, IpAddr)> {
        let nodes = self.nodes(scope);
        nodes
            .iter()
            .map(|node| (node.host().clone(), node.address()))
            .collect()
    }
}

impl Component for PatroniCluster {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn summary(&self) -> String {
        let synchronous = match self.synchronous {
            Synchronous::Off => "asynchronous",
            Synchronous::On => "one synchronous standby",
            Synchronous::Strict => "never without a synchronous standby",
        };
        format!("raft, {synchronous}")
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let nodes = self.nodes(scope);
        self.check_voters(&nodes, scope)?;
        let access = self.access(scope)?;
        let site = Site::Patroni(access.clone());
        let major = nodes[0].major();
        let gate = self.gate(&site, nodes.len());
        let members: Vec<HostName> = nodes.iter().map(|node| node.host().clone()).collect();
        scope.claim(Claim::Voters {
            group: self.name.clone(),
            members: members.clone(),
        });
        scope.group(Group {
            name: self.group_name(),
            members,
            gate: Some(gate.clone()),
            leadership: Some(Leadership {
                probe: gate.probe.clone(),
                site: site.clone(),
            }),
        });
        let parts: Vec<Urn> = nodes.iter().map(|node| node.urn().clone()).collect();
        let whole = scope.add(
            ClusterGate::new(format!("{} is whole", self.name), gate)
                .watching(parts.clone())
                .within(parts.clone()),
        );
        let config = PatroniConfig::of(&access, self.dcs_config(major, nodes.len()).to_value())
            .for_postgres(u32::from(major));
        scope.add(config.within(parts).after([whole.urn().clone()]));
        Ok(())
    }
}

/// The address of the component that makes a host ready, when the program declares one.
pub(crate) fn base_os(scope: &Scope<'_>, host: &HostName) -> Option<Urn> {
    let wanted = BaseOs::urn_on(host);
    scope
        .all::<BaseOs>()
        .into_iter()
        .map(|base| base.urn().clone())
        .find(|urn| *urn == wanted)
}
