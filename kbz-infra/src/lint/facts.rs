//! The claims of a graph, sorted by what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) use super::records::{
    By, Hop, Kept, Listener, Opening, Running, Said, Server, Store, Use, Voters, Way, Worker,
};
use crate::ident::{HostName, Place, Urn};
use crate::resource::{Claim, Endpoint};

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
    pub(super) texts: Vec<Said>,
    pub(super) dockerfiles: Vec<(By, String, String)>,
    pub(super) kept: Vec<Kept>,
    pub(super) containers: Vec<Running>,
    pub(super) units: BTreeSet<(HostName, String)>,
    pub(super) superusers: Vec<(By, String)>,
    pub(super) workers: Vec<Worker>,
    pub(super) stores: Vec<Store>,
    pub(super) writers: Vec<(String, Store)>,
    pub(super) voters: Vec<Voters>,
}

impl Facts {
    /// The claims of a program, each with who states it and where.
    pub(super) fn of(claims: Vec<(Urn, Place, Claim)>) -> Self {
        let mut facts = Self::default();
        for (urn, place, claim) in claims {
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
                check,
            } => self.add_hop(by, service, from, to, Way::Service { check }),
            Claim::Connects { client, serves, to } => self.add_client(by, &client, serves, to),
            Claim::Node {
                of,
                address,
                ports,
                fitness,
            } => self.servers.push(Server {
                by,
                of,
                address,
                ports,
                fitness,
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
            Claim::Says {
                place,
                text,
                private,
                holds_secret,
            } => self.texts.push(Said {
                by,
                place,
                text,
                private,
                holds_secret,
            }),
            Claim::Dockerfile { image, text } => self.dockerfiles.push((by, image, text)),
            Claim::Keeps {
                host,
                path,
                directory,
                owner,
            } => self.kept.push(Kept {
                by,
                host,
                path,
                directory,
                owner,
            }),
            Claim::Container(goal) => self.containers.push(Running { by, goal }),
            Claim::Runs { host, unit } => {
                self.units.insert((host, unit));
            }
            // Only a forecast asks for that.
            Claim::FindsLeader(_) => {}
            Claim::Superuser { role } => self.superusers.push((by, role)),
            Claim::WorksAs { role, who } => self.workers.push(Worker { by, role, who }),
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
