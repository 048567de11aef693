//! A PostgreSQL cluster under Patroni: what all its nodes share.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::dcs_config::{DcsConfig, Synchronous, Timing};
use super::node_config::Ports;
use super::parameters::{Cluster as ClusterParameters, Parameter};
use crate::diag::{Finding, SourceLocation};
use crate::program::{Credentials, Result, Scope};
use crate::resource::GroupName;

/// The container and service that runs Patroni on each node.
pub(super) const CONTAINER: &str = "patroni";

/// Patroni's own RAFT as the distributed configuration store: the nodes vote among themselves,
/// always with a password, and no other service is needed.
///
/// Deprecated in Patroni since 3.0, and still shipped and tested in 4.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raft {
    pub(super) voters: Option<usize>,
}

impl Raft {
    /// RAFT with a stated number of voters: an even one does not compile, and a program whose
    /// inventory gives another number of nodes is refused.
    pub fn voters<const N: usize>() -> Self
    where
        Voters<N>: Decide,
    {
        Self { voters: Some(N) }
    }
}

/// So many voters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voters<const N: usize>;

/// Voters that can lose one of them and still decide, each of whom counts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lose one and decide, or has one voter too many",
    label = "take an odd number, three at least",
    note = "three voters survive the loss of one, five of two; four survive no more than three do"
)]
pub trait Decide: sealed::Sealed {}

impl Decide for Voters<3> {}
impl Decide for Voters<5> {}
impl Decide for Voters<7> {}

mod sealed {
    pub trait Sealed {}

    impl<const N: usize> Sealed for super::Voters<N> {}
}

/// A PostgreSQL cluster under Patroni.
#[derive(Debug, Clone)]
pub struct PatroniCluster {
    pub(super) name: String,
    pub(super) raft: Raft,
    pub(super) credentials: Option<Credentials>,
    pub(super) synchronous: Synchronous,
    pub(super) timing: Timing,
    pub(super) max_connections: u32,
    pub(super) parameters: Vec<(String, Parameter)>,
    pub(super) clients: BTreeSet<IpNet>,
    pub(super) ports: Ports,
}

impl PatroniCluster {
    /// The component's name in addresses.
    pub const KIND: &'static str = "patroni-cluster";

    /// A cluster by name (Patroni's `scope`), with RAFT and a synchronous standby.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            raft: Raft::default(),
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
    pub fn dcs(mut self, raft: Raft) -> Self {
        self.raft = raft;
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

    /// Sets parameters of PostgreSQL on all nodes, such as those that an environment has of its
    /// own.
    pub fn parameters<N, V>(mut self, parameters: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<Parameter>,
    {
        let pairs = parameters.into_iter();
        self.parameters
            .extend(pairs.map(|(name, value)| (name.into(), value.into())));
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
    pub(crate) fn group_name(&self) -> GroupName {
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
}
