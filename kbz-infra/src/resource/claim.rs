//! What an object means for the topology.
//!
//! Kinds state claims; the lint judges them without knowing any kind: two owners of a port, a
//! connection that runs in a circle, a database that the outside can reach.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::timing::LeaderSearch;
use crate::ident::{HostName, Urn};
use crate::model::{FirewallRule, Protocol};

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

/// How a server tells what it is fit for, to whoever asks over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fitness {
    /// The port to ask.
    pub port: u16,
    /// The paths that servers answer according to what they are, without parameters.
    pub paths: Vec<String>,
    /// Paths of old, with what they are called now.
    pub renamed: Vec<(String, String)>,
}

/// How a service finds out whether a server is fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitnessCheck {
    /// The port that it asks.
    pub port: u16,
    /// The path that it asks for, with its parameters.
    pub path: String,
}

/// A limit of a container for which engines have defaults of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The size of `/dev/shm`.
    SharedMemory,
    /// How many files may be open.
    OpenFiles,
    /// How much of the output is kept.
    Logs,
}

/// A container of a host, as far as checks need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningContainer {
    /// The host.
    pub host: HostName,
    /// The container's name.
    pub name: String,
    /// Repository and tag of its image.
    pub image: String,
    /// The user that it runs as, where that is not the image's own.
    pub user: Option<String>,
    /// The paths of the host that it sees.
    pub sees: Vec<String>,
    /// The unit that starts it, where Docker does not.
    pub unit: Option<String>,
    /// The limits that the declaration leaves to the engine.
    pub unsaid: Vec<Limit>,
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
        /// How it finds out whether a server is fit, if it asks at all.
        check: Option<FitnessCheck>,
    },
    /// A server of a cluster: clients must go through an entry point instead.
    Node {
        /// What it is a server of, such as `PostgreSQL`.
        of: String,
        /// The address that must not be used.
        address: IpAddr,
        /// The ports that it serves, and what speaks there: `sql`, `rest`, `raft`.
        ports: Vec<(u16, String)>,
        /// How it tells what it is fit for, if it does.
        fitness: Option<Fitness>,
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
    /// Text of a declaration: a file, environment, arguments.
    Says {
        /// Where it stands.
        place: String,
        /// The text, without the secrets that are references.
        text: String,
        /// Whether its owner alone can read it.
        private: bool,
        /// Whether a reference to a secret is part of it.
        holds_secret: bool,
    },
    /// What an image is built from.
    Dockerfile {
        /// Repository and tag of the image.
        image: String,
        /// The instructions.
        text: String,
    },
    /// Data is kept on a file system of a host that should be of a given type.
    StoresData {
        /// The host.
        host: HostName,
        /// The directory.
        path: String,
    },
    /// A file or a directory of a host is as declared.
    Keeps {
        /// The host.
        host: HostName,
        /// The path.
        path: String,
        /// Whether it is a directory.
        directory: bool,
        /// The name or the number of its owner, where the host tells who that is.
        owner: Option<String>,
    },
    /// A container runs.
    Container(RunningContainer),
    /// A unit of a host is to run.
    Runs {
        /// The host.
        host: HostName,
        /// The unit's full name.
        unit: String,
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
    /// A role of a cluster that may do everything.
    Superuser {
        /// The role.
        role: String,
    },
    /// A role is what somebody works as.
    WorksAs {
        /// The role.
        role: String,
        /// Who, in words: `the owner of the database keybuzz`.
        who: String,
    },
    /// A way in finds the leader of a group by itself.
    FindsLeader(LeaderSearch),
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
