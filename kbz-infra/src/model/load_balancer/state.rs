//! What was read of a load balancer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::labels::LABEL_STACK;
use super::open::open_enum;
use super::service::Service;

open_enum! {
    /// Who gets the next connection.
    Algorithm {
        /// Each in turn.
        RoundRobin = "round_robin",
        /// Who has the fewest.
        LeastConnections = "least_connections",
    }
}

open_enum! {
    /// What the checks found.
    Health {
        /// It gets connections.
        Healthy = "healthy",
        /// It gets none.
        Unhealthy = "unhealthy",
        /// It was not checked yet.
        Unknown = "unknown",
    }
}

/// A load balancer as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerState {
    /// The number that Hetzner gave it.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its size.
    pub load_balancer_type: String,
    /// Where it stands.
    pub location: String,
    /// Its place in a private network.
    pub network: Option<NetworkState>,
    /// Whether it answers on a public address.
    pub public_interface: bool,
    /// Who gets the next connection.
    pub algorithm: Algorithm,
    /// All of its labels, also those of others.
    pub labels: BTreeMap<String, String>,
    /// Whether Hetzner refuses to delete it.
    pub delete_protection: bool,
    /// What it listens on.
    pub services: Vec<Service>,
    /// Where it forwards to.
    pub targets: Vec<TargetState>,
}

/// A place in a private network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkState {
    /// The network's number.
    pub id: u64,
    /// The network's name.
    pub name: String,
    /// The balancer's address in it.
    pub ip: IpAddr,
}

/// How Hetzner names a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetRef {
    /// A dedicated server, by its address.
    Ip(IpAddr),
    /// A cloud server, by its number.
    Server(u64),
    /// Every server with these labels.
    LabelSelector(String),
    /// A kind of a newer API, which this version can neither add nor remove.
    Other(String),
}

impl std::fmt::Display for TargetRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Server(id) => write!(f, "server {id}"),
            Self::LabelSelector(selector) => write!(f, "servers with {selector}"),
            Self::Other(kind) => write!(f, "a target of kind {kind}"),
        }
    }
}

/// A target as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetState {
    /// How Hetzner names it.
    pub reference: TargetRef,
    /// Its address in the private network, where it is one server that has one.
    pub private_ip: Option<IpAddr>,
    /// Whether that address is the one that is used.
    pub use_private_ip: bool,
    /// What the checks found, by listen port.
    pub health: BTreeMap<u16, Health>,
}

impl TargetState {
    /// The private address that connections go to, if they go to one.
    pub fn address(&self) -> Option<IpAddr> {
        self.private_ip.filter(|_| self.use_private_ip)
    }
}

impl LoadBalancerState {
    /// The stack that the labels name as the owner, if any.
    pub fn owner(&self) -> Option<&str> {
        self.labels.get(LABEL_STACK).map(String::as_str)
    }

    /// The service on a port.
    pub fn service(&self, listen_port: u16) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.listen_port == listen_port)
    }

    /// The target that uses a private address.
    pub fn target(&self, address: IpAddr) -> Option<&TargetState> {
        self.targets
            .iter()
            .find(|target| target.address() == Some(address))
    }

    /// Addresses that get connections on a port now.
    pub fn healthy_targets(&self, listen_port: u16) -> Vec<IpAddr> {
        let healthy = |t: &&TargetState| t.health.get(&listen_port) == Some(&Health::Healthy);
        self.targets
            .iter()
            .filter(healthy)
            .filter_map(TargetState::address)
            .collect()
    }
}
