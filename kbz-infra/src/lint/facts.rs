//! The claims of a graph, sorted by what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::effect::{FirewallRule, Protocol};
use crate::graph::Graph;
use crate::ident::{HostName, Place, Urn};
use crate::resource::{Claim, Endpoint};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A balancer outside the hosts.
    Balancer { public: bool },
    /// A service on a host.
    Service { check_port: Option<u16> },
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

/// Text that other people can read.
#[derive(Debug)]
pub(super) struct Readable {
    pub(super) by: By,
    pub(super) place: String,
    pub(super) text: String,
    pub(super) holds_secret: bool,
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

/// All claims, sorted.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) listeners: Vec<Listener>,
    pub(super) hops: Vec<Hop>,
    pub(super) servers: Vec<Server>,
    pub(super) openings: Vec<Opening>,
    pub(super) firewalled: BTreeMap<HostName, By>,
    pub(super) advertised: Vec<Use>,
    pub(super) exported: Vec<(By, String, String)>,
    pub(super) clients: Vec<Use>,
    pub(super) images: Vec<(By, String)>,
    pub(super) readable: Vec<Readable>,
    pub(super) stores: Vec<Store>,
    pub(super) writers: Vec<(String, Store)>,
    pub(super) voters: Vec<Voters>,
}

impl Facts {
    /// The claims of a graph.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut facts = Self::default();
        for (urn, place, claim) in graph.claims() {
            facts.add(By { place, urn }, claim);
        }
        facts
    }

    fn add(&mut self, by: By, claim: Claim) {
        match claim {
            Claim::Listens {
                host,
                bind,
                address,
                port,
                protocol,
                service,
                remote,
            } => self.listeners.push(Listener {
                by,
                host,
                bind,
                address,
                port,
                protocol,
                service,
                remote,
            }),
            Claim::Balances {
                balancer,
                entry,
                to,
                public,
            } => self.add_hop(by, balancer, entry, to, Way::Balancer { public }),
            Claim::Forwards {
                service,
                from,
                to,
                check_port,
            } => self.add_hop(by, service, from, to, Way::Service { check_port }),
            Claim::Connects { client, serves, to } => self.add_client(by, &client, serves, to),
            Claim::Node { of, address, ports } => self.servers.push(Server {
                by,
                of,
                address,
                ports,
            }),
            Claim::Advertises { name, endpoint } => {
                let who = format!("the output `{name}`");
                self.advertised.push(Use { by, who, endpoint });
            }
            Claim::Exports { name, text } => self.exported.push((by, name, text)),
            Claim::Voters { group, members } => self.voters.push(Voters { by, group, members }),
            Claim::Image { reference } => self.images.push((by, reference)),
            Claim::Opens { host, rule } => self.openings.push(Opening { by, host, rule }),
            Claim::Firewalled { host } => {
                self.firewalled.insert(host, by);
            }
            Claim::Readable {
                place,
                text,
                holds_secret,
            } => self.readable.push(Readable {
                by,
                place,
                text,
                holds_secret,
            }),
            Claim::StoresData { host, path } => self.stores.push(Store { by, host, path }),
            Claim::WritesTo { host, path, who } => {
                self.writers.push((who, Store { by, host, path }));
            }
        }
    }

    fn add_hop(&mut self, by: By, name: String, from: Endpoint, to: Vec<Endpoint>, way: Way) {
        let to = to.into_iter().map(|to| outward(to, from.address));
        let to = to.collect();
        self.hops.push(Hop {
            by,
            name,
            from,
            to,
            way,
        });
    }

    fn add_client(&mut self, by: By, client: &Urn, serves: Option<Endpoint>, to: Endpoint) {
        self.clients.push(Use {
            by: by.clone(),
            who: format!("`{client}`"),
            endpoint: to.clone(),
        });
        if let Some(serves) = serves {
            self.add_hop(by, client.to_string(), serves, vec![to], Way::Client);
        }
    }

    /// The host that has an address, as far as services on it tell.
    pub(super) fn host_of(&self, address: IpAddr) -> Option<&HostName> {
        self.listeners
            .iter()
            .find(|listener| listener.address == address)
            .map(|listener| &listener.host)
    }

    /// The server that has an address.
    pub(super) fn server_at(&self, address: IpAddr) -> Option<&Server> {
        self.servers.iter().find(|server| server.address == address)
    }

    /// What speaks on a port of a server.
    pub(super) fn speaks(&self, endpoint: &Endpoint) -> Option<&str> {
        let server = self.server_at(endpoint.address)?;
        let port = server
            .ports
            .iter()
            .find(|(port, _)| *port == endpoint.port)?;
        Some(&port.1)
    }

    /// Every endpoint that a connection to `from` can come to, `from` included.
    pub(super) fn reached_from(&self, from: &Endpoint) -> BTreeSet<Endpoint> {
        let mut reached = BTreeSet::from([from.clone()]);
        let mut open = vec![from.clone()];
        while let Some(here) = open.pop() {
            for hop in self.hops.iter().filter(|hop| hop.from == here) {
                for to in &hop.to {
                    if reached.insert(to.clone()) {
                        open.push(to.clone());
                    }
                }
            }
        }
        reached
    }

    /// The entry points outside the hosts from which connections come to a server, with the
    /// names of their balancers.
    pub(super) fn entries_to(&self, server: &Server) -> Vec<(&str, &Endpoint)> {
        let balancers = self
            .hops
            .iter()
            .filter(|hop| matches!(hop.way, Way::Balancer { .. }));
        let leads = |hop: &&Hop| {
            self.reached_from(&hop.from)
                .iter()
                .any(|end| end.address == server.address)
        };
        balancers
            .filter(leads)
            .map(|hop| (hop.name.as_str(), &hop.from))
            .collect()
    }
}

/// An endpoint as others see it: on loopback it is the host itself that is reached.
fn outward(endpoint: Endpoint, own: IpAddr) -> Endpoint {
    if endpoint.address.is_loopback() {
        Endpoint {
            address: own,
            ..endpoint
        }
    } else {
        endpoint
    }
}
