//! What is wanted of a load balancer, and what is wrong with it before anyone is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::service::{CheckProtocol, LEAST_INTERVAL, Service};
use super::state::Algorithm;

/// A load balancer as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerSpec {
    /// Its name, unique in the project.
    pub name: String,
    /// Its size: `lb11`, `lb21` or `lb31`.
    pub load_balancer_type: String,
    /// Where it stands: `fsn1`, `nbg1`, ...; another one means another balancer.
    pub location: String,
    /// Its place in a private network.
    pub network: NetworkSpec,
    /// Whether it answers on a public address too.
    pub public_interface: bool,
    /// Who gets the next connection.
    pub algorithm: Algorithm,
    /// Its labels; the prefix [`LABEL_PREFIX`](super::LABEL_PREFIX) marks those that are removed when undeclared.
    pub labels: BTreeMap<String, String>,
    /// Whether Hetzner refuses to delete it.
    pub delete_protection: bool,
    /// What it listens on, each port once.
    pub services: Vec<Service>,
    /// Private addresses that it forwards to.
    pub targets: BTreeSet<IpAddr>,
}

/// A place in a private network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The network's name.
    pub name: String,
    /// The balancer's address in it.
    pub ip: IpAddr,
}

/// What is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecFault {
    /// It cannot be addressed.
    #[error("the load balancer has no name")]
    NoName,
    /// Two services want one port.
    #[error("port {0} is declared twice: a load balancer listens on a port once")]
    DuplicatePort(u16),
    /// Nothing would be forwarded.
    #[error("port {0} has no target: add targets, or remove the service")]
    NoTargets(u16),
    /// Connections would go round for ever.
    #[error("{0} is the load balancer's own address and cannot be its target")]
    OwnTarget(IpAddr),
    /// Port 0 means nothing.
    #[error("the service on port {0} uses port 0")]
    PortZero(u16),
    /// Hetzner refuses the numbers.
    #[error("the health check of port {port} has {field} {value}: Hetzner takes {least} to {most}")]
    CheckRange {
        /// The listen port.
        port: u16,
        /// The number's name.
        field: &'static str,
        /// What was given.
        value: u32,
        /// The least that is taken.
        least: u32,
        /// The most that is taken.
        most: u32,
    },
    /// `http` without a request, or a request without `http`.
    #[error("the health check of port {0} must have an http part exactly when it speaks http")]
    CheckShape(u16),
    /// The type is too small.
    #[error("{kind} allows {most} {what}, {wanted} are declared: choose a larger type")]
    TooMany {
        /// The type.
        kind: String,
        /// Services or targets.
        what: &'static str,
        /// How many it allows.
        most: usize,
        /// How many there are.
        wanted: usize,
    },
    /// Hetzner refuses the label.
    #[error("label `{0}` is not valid: keys and values take up to 63 letters, digits, `-_.`")]
    Label(String),
}

/// What the known types hold: services, targets.
pub(crate) fn capacity(load_balancer_type: &str) -> Option<(usize, usize)> {
    match load_balancer_type {
        "lb11" => Some((5, 25)),
        "lb21" => Some((15, 75)),
        "lb31" => Some((30, 150)),
        _ => None,
    }
}

impl LoadBalancerSpec {
    /// Everything that is wrong and can be known without asking Hetzner.
    pub fn faults(&self) -> Vec<SpecFault> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty() {
            faults.push(SpecFault::NoName);
        }
        if self.targets.contains(&self.network.ip) {
            faults.push(SpecFault::OwnTarget(self.network.ip));
        }
        let mut ports = BTreeSet::new();
        for service in &self.services {
            let port = service.listen_port;
            if !ports.insert(port) {
                faults.push(SpecFault::DuplicatePort(port));
            }
            if self.targets.is_empty() {
                faults.push(SpecFault::NoTargets(port));
            }
            faults.extend(service.faults());
        }
        faults.extend(self.size_faults());
        faults.extend(
            self.labels
                .iter()
                .filter_map(|(key, value)| label_fault(key, value)),
        );
        faults
    }

    fn size_faults(&self) -> Vec<SpecFault> {
        let Some((services, targets)) = capacity(&self.load_balancer_type) else {
            return Vec::new();
        };
        let counts = [
            ("services", services, self.services.len()),
            ("targets", targets, self.targets.len()),
        ];
        counts
            .into_iter()
            .filter(|(_, most, wanted)| wanted > most)
            .map(|(what, most, wanted)| SpecFault::TooMany {
                kind: self.load_balancer_type.clone(),
                what,
                most,
                wanted,
            })
            .collect()
    }
}

impl Service {
    fn faults(&self) -> Vec<SpecFault> {
        let port = self.listen_port;
        let check = &self.health_check;
        let mut faults = Vec::new();
        if [port, self.destination_port, check.port].contains(&0) {
            faults.push(SpecFault::PortZero(port));
        }
        if (check.protocol == CheckProtocol::Http) != check.http.is_some() {
            faults.push(SpecFault::CheckShape(port));
        }
        let ranges = [
            ("interval", check.interval, LEAST_INTERVAL, 60),
            ("timeout", check.timeout, 1, 60),
            ("retries", check.retries, 1, 5),
        ];
        for (field, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                faults.push(SpecFault::CheckRange {
                    port,
                    field,
                    value,
                    least,
                    most,
                });
            }
        }
        faults
    }
}

fn label_fault(key: &str, value: &str) -> Option<SpecFault> {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    let good = is_label(name) && (value.is_empty() || is_label(value));
    (!good).then(|| SpecFault::Label(format!("{key}={value}")))
}

fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
