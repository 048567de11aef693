//! What the nodes of one Redis cluster share.

use std::net::IpAddr;

use ipnet::IpNet;
use kbz_infra::component::haproxy::config::{Check, TcpStep};
use kbz_infra::prelude::*;
use kbz_infra::resource::{Claim, Group, GroupName};

use super::RedisNode;
use super::config::{Passwords, Ports, Timing};

/// A Redis cluster: one master, its replicas, and a Sentinel beside each.
#[derive(Debug, Clone)]
pub struct RedisCluster {
    name: String,
    passwords: Passwords,
    ports: Ports,
    timing: Timing,
    max_memory: u64,
    clients: IpNet,
}

impl RedisCluster {
    /// The component's name in addresses.
    pub const KIND: &'static str = "redis-cluster";

    /// A cluster by the name under which its Sentinels know it, for the clients of a network.
    pub fn new(name: impl Into<String>, passwords: Passwords, clients: IpNet) -> Self {
        Self {
            name: name.into(),
            passwords,
            ports: Ports::default(),
            timing: Timing::default(),
            max_memory: 1 << 30,
            clients,
        }
    }

    /// Bytes of memory for data on each node. Default: 1 GiB.
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// How fast a lost master is noticed.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// What HAProxy asks a node: whether it is the master. Its user may ask nothing else.
    pub fn is_master() -> Check {
        Check::Dialogue(vec![
            TcpStep::SendLine("AUTH health none".to_owned()),
            TcpStep::Expect("+OK".to_owned()),
            TcpStep::SendLine("ROLE".to_owned()),
            TcpStep::Expect("master".to_owned()),
        ])
    }

    /// The name under which the Sentinels know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    pub(super) fn settings(&self) -> (Timing, u64) {
        (self.timing, self.max_memory)
    }

    pub(super) fn client_network(&self) -> IpNet {
        self.clients
    }

    pub(super) fn group(&self) -> GroupName {
        GroupName(self.name.clone())
    }

    fn nodes(&self, scope: &Scope<'_>) -> Vec<Handle<RedisNode>> {
        let all = scope.all::<RedisNode>().into_iter();
        all.filter(|node| node.is_of(&self.urn())).collect()
    }

    /// The addresses of the nodes, in the order of the program.
    pub(super) fn addresses(&self, scope: &Scope<'_>) -> Vec<IpAddr> {
        let nodes = self.nodes(scope);
        nodes.iter().map(|node| node.address()).collect()
    }
}

impl Component for RedisCluster {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn summary(&self) -> String {
        format!("{} MiB", self.max_memory >> 20)
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let nodes = self.nodes(scope);
        if nodes.len() < 3 {
            let what = format!("the cluster `{}` has {} Sentinels", self.name, nodes.len());
            return Err(scope
                .finding("example::redis::sentinels", what)
                .help("three survive the loss of one: add a RedisNode")
                .into());
        }
        let members: Vec<HostName> = nodes.iter().map(|node| node.host().clone()).collect();
        scope.claim(Claim::Voters {
            group: self.name.clone(),
            members: members.clone(),
        });
        scope.group(Group {
            name: self.group(),
            members,
            gate: None,
            leadership: None,
            drain: None,
        });
        Ok(())
    }
}
