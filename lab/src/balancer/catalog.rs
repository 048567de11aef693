//! What the project has besides balancers: types, locations, the network, the servers.
//!
//! All of it comes from the options; nothing here changes while the program runs.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Options;
use super::labels::Selector;
use super::world::{Balancer, Target};

/// Id of the one private network.
const NETWORK_ID: u64 = 4711;
/// Ids of servers count from here.
const FIRST_SERVER_ID: u64 = 1001;

pub(super) struct Type {
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) max_connections: u32,
    pub(super) max_services: usize,
    pub(super) max_targets: usize,
}

pub(super) const TYPES: [Type; 3] = [
    Type {
        id: 1,
        name: "lb11",
        max_connections: 10_000,
        max_services: 5,
        max_targets: 25,
    },
    Type {
        id: 2,
        name: "lb21",
        max_connections: 20_000,
        max_services: 15,
        max_targets: 75,
    },
    Type {
        id: 3,
        name: "lb31",
        max_connections: 40_000,
        max_services: 30,
        max_targets: 150,
    },
];

pub(super) struct Location {
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) country: &'static str,
    pub(super) city: &'static str,
    pub(super) zone: &'static str,
}

pub(super) const LOCATIONS: [Location; 3] = [
    Location {
        id: 1,
        name: "fsn1",
        country: "DE",
        city: "Falkenstein",
        zone: "eu-central",
    },
    Location {
        id: 2,
        name: "nbg1",
        country: "DE",
        city: "Nuremberg",
        zone: "eu-central",
    },
    Location {
        id: 3,
        name: "hel1",
        country: "FI",
        city: "Helsinki",
        zone: "eu-central",
    },
];

/// A type by its name or its id.
pub(super) fn find_type(named: &str) -> Option<&'static Type> {
    TYPES
        .iter()
        .find(|t| t.name == named || t.id.to_string() == named)
}

/// A location by its name or its id.
pub(super) fn find_location(named: &str) -> Option<&'static Location> {
    LOCATIONS
        .iter()
        .find(|l| l.name == named || l.id.to_string() == named)
}

#[derive(Debug)]
pub(super) struct Network {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) range: ipnet::Ipv4Net,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) preset: super::PresetServer,
}

#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) network: Network,
    pub(super) servers: Vec<Server>,
}

impl Catalog {
    pub(super) fn new(options: &Options) -> Self {
        let network = Network {
            id: NETWORK_ID,
            name: options.network.clone(),
            range: options.range,
        };
        let servers = (FIRST_SERVER_ID..)
            .zip(&options.servers)
            .map(|(id, preset)| Server {
                id,
                preset: preset.clone(),
            })
            .collect();
        Self { network, servers }
    }

    pub(super) fn server(&self, id: u64) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }

    pub(super) fn selected(&self, selector: &str) -> Vec<&Server> {
        let Some(selector) = Selector::parse(selector) else {
            return Vec::new();
        };
        self.servers
            .iter()
            .filter(|server| selector.matches(&server.preset.labels))
            .collect()
    }

    /// The addresses behind a target. Only private ones exist, so a balancer outside of the
    /// network has no way to its servers.
    pub(super) fn addresses(&self, balancer: &Balancer, target: &Target) -> Vec<IpAddr> {
        match target {
            Target::Ip { ip } => vec![ip.ip],
            _ if balancer.private_net.is_none() || target.is_public() => Vec::new(),
            Target::Server { server, .. } => self
                .server(server.id)
                .map(|s| s.preset.address)
                .into_iter()
                .collect(),
            Target::LabelSelector { label_selector, .. } => {
                let servers = self.selected(&label_selector.selector);
                servers
                    .into_iter()
                    .map(|server| server.preset.address)
                    .collect()
            }
        }
    }
}

impl Type {
    pub(super) fn view(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "description": self.name.to_uppercase(),
            "max_connections": self.max_connections, "max_services": self.max_services,
            "max_targets": self.max_targets, "max_assigned_certificates": 10,
            "deprecated": null, "prices": [],
        })
    }
}

impl Location {
    pub(super) fn view(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "description": self.name, "city": self.city,
            "country": self.country, "network_zone": self.zone, "latitude": 0.0, "longitude": 0.0,
        })
    }
}

impl Network {
    pub(super) fn view(&self, servers: &[Server], balancers: &[u64]) -> Value {
        let servers: Vec<u64> = servers.iter().map(|server| server.id).collect();
        let gateway = self.range.hosts().next().map(|ip| ip.to_string());
        json!({
            "id": self.id, "name": self.name, "ip_range": self.range.to_string(),
            "subnets": [{
                "type": "cloud", "ip_range": self.range.to_string(), "gateway": gateway,
                "network_zone": "eu-central", "vswitch_id": null,
            }],
            "routes": [], "servers": servers, "load_balancers": balancers,
            "protection": {"delete": false}, "labels": {}, "expose_routes_to_vswitch": false,
            "created": "2024-01-01T00:00:00+00:00",
        })
    }
}

impl Server {
    pub(super) fn view(&self, network: u64, balancers: &[u64]) -> Value {
        json!({
            "id": self.id, "name": self.preset.name, "status": "running",
            "labels": self.preset.labels, "public_net": {"ipv4": null, "ipv6": null},
            "private_net": [{
                "network": network, "ip": self.preset.address, "alias_ips": [], "mac_address": "",
            }],
            "load_balancers": balancers, "created": "2024-01-01T00:00:00+00:00",
        })
    }
}
