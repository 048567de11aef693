//! What the claims say, one record for each sort.

use std::net::IpAddr;

use crate::ident::{HostName, Place, Urn};
use crate::model::{FirewallRule, Protocol};
use crate::resource::{Endpoint, Fitness, FitnessCheck, RunningContainer};

/// Who states something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct By {
    pub(super) place: Place,
    pub(super) urn: Urn,
}

/// A service that accepts connections on a host.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) by: By,
    pub(super) host: HostName,
    pub(super) bind: IpAddr,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    pub(super) service: String,
    pub(super) remote: bool,
}

/// Something that hands connections on: a balancer outside the hosts, or a service on one.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) by: By,
    pub(super) name: String,
    pub(super) from: Endpoint,
    pub(super) to: Vec<Endpoint>,
    pub(super) way: Way,
}

/// How a hop hands connections on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// A balancer outside the hosts.
    Balancer { public: bool },
    /// A service on a host.
    Service { check: Option<FitnessCheck> },
    /// A client that serves others.
    Client,
}

/// A server of a cluster.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) by: By,
    pub(super) of: String,
    pub(super) address: IpAddr,
    pub(super) ports: Vec<(u16, String)>,
    pub(super) fitness: Option<Fitness>,
}

/// A rule of a host's firewall.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) by: By,
    pub(super) host: HostName,
    pub(super) rule: FirewallRule,
}

/// Somebody who uses an endpoint.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) by: By,
    pub(super) who: String,
    pub(super) endpoint: Endpoint,
}

/// Text of a declaration.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) by: By,
    pub(super) place: String,
    pub(super) text: String,
    pub(super) private: bool,
    pub(super) holds_secret: bool,
}

/// A file or a directory of a host.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) by: By,
    pub(super) host: HostName,
    pub(super) path: String,
    pub(super) directory: bool,
    pub(super) owner: Option<String>,
}

/// A container of a host.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) by: By,
    pub(super) goal: RunningContainer,
}

/// Somebody who works as a role of a cluster.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) by: By,
    pub(super) role: String,
    pub(super) who: String,
}

/// A place where data is kept.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) by: By,
    pub(super) host: HostName,
    pub(super) path: String,
}

/// A group that decides by majority.
#[derive(Debug)]
pub(super) struct Voters {
    pub(super) by: By,
    pub(super) group: String,
    pub(super) members: Vec<HostName>,
}
