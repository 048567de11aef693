//! What an object means for the topology.
//!
//! Kinds state claims; the lint judges them without knowing any kind: two owners of a port, a
//! connection that runs in a circle, a database that the outside can reach.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::effect::{FirewallRule, Protocol};
use crate::ident::{HostName, Urn};

/// A place that accepts connections: an address as clients see it, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address that clients use.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// One statement about the topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// A service accepts connections on a port of a host.
    Listens {
        /// The host.
        host: HostName,
        /// The address that is bound, `0.0.0.0` for all.
        bind: IpAddr,
        /// The address under which others reach the host.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Of which protocol.
        protocol: Protocol,
        /// The service in a word, such as `pgbouncer`.
        service: String,
        /// Whether other hosts need to reach it, so that the firewall must let them in.
        remote: bool,
    },
    /// A balancer outside the hosts accepts connections and hands them on.
    Balances {
        /// The balancer's name.
        balancer: String,
        /// Where clients connect.
        entry: Endpoint,
        /// Where connections go.
        to: Vec<Endpoint>,
        /// Whether the entry can be reached from outside the private network.
        public: bool,
    },
    /// What comes in at one endpoint leads to others.
    Forwards {
        /// The service in a word.
        service: String,
        /// Where connections come in.
        from: Endpoint,
        /// Where they go.
        to: Vec<Endpoint>,
        /// The port that tells whether a server is fit, where it is not the one served.
        check_port: Option<u16>,
    },
    /// A server of a cluster: clients must go through an entry point instead.
    Node {
        /// What it is a server of, such as `PostgreSQL`.
        of: String,
        /// The address that must not be used.
        address: IpAddr,
        /// The ports that it serves, and what speaks there: `sql`, `rest`, `raft`.
        ports: Vec<(u16, String)>,
    },
    /// A name handed to users of the stack as the place to connect to.
    Advertises {
        /// The name of the output.
        name: String,
        /// Where it points.
        endpoint: Endpoint,
    },
    /// A value handed to users of the stack, as they see it; it may name places to connect to.
    Exports {
        /// The name of the output.
        name: String,
        /// Its value, without the secrets that are references.
        text: String,
    },
    /// A group that decides by majority.
    Voters {
        /// The group's name.
        group: String,
        /// The voters.
        members: Vec<HostName>,
    },
    /// A container image.
    Image {
        /// Repository and tag.
        reference: String,
    },
    /// The firewall lets traffic in on a host.
    Opens {
        /// The host.
        host: HostName,
        /// What is let in.
        rule: FirewallRule,
    },
    /// A host's firewall is in force, so what is not let in is kept out.
    Firewalled {
        /// The host.
        host: HostName,
    },
    /// Text that other people can read: a file that is not private, environment, arguments.
    Readable {
        /// Where it stands.
        place: String,
        /// The text, without the secrets that are references.
        text: String,
        /// Whether a reference to a secret is part of it.
        holds_secret: bool,
    },
    /// Data is kept on a file system of a host that should be of a given type.
    StoresData {
        /// The host.
        host: HostName,
        /// The directory.
        path: String,
    },
    /// A service writes to a directory of a host.
    WritesTo {
        /// The host.
        host: HostName,
        /// The directory.
        path: String,
        /// The service in a word.
        who: String,
    },
    /// One object connects to an endpoint as a client.
    Connects {
        /// Who.
        client: Urn,
        /// The endpoint at which the client itself is reached, if it serves.
        serves: Option<Endpoint>,
        /// To where.
        to: Endpoint,
    },
}
