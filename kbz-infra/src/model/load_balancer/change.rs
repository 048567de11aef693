//! One change of a load balancer: plain data, with everything that is needed to do it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::service::Service;
use super::spec::NetworkSpec;
use super::state::{Algorithm, LoadBalancerState, TargetRef};

/// A step from what is to what should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum LoadBalancerChange {
    /// Make it, still without network, services and targets.
    Create {
        /// Its size.
        load_balancer_type: String,
        /// Where it will stand.
        location: String,
        /// Who gets the next connection.
        algorithm: Algorithm,
        /// Its labels, the owner's mark among them.
        labels: BTreeMap<String, String>,
        /// Whether it answers on a public address.
        public_interface: bool,
    },
    /// Remove it with everything that it has.
    Delete {
        /// The number of the one that is meant.
        id: u64,
    },
    /// Replace all labels.
    SetLabels {
        /// All labels before.
        from: BTreeMap<String, String>,
        /// All labels after, those of others included.
        to: BTreeMap<String, String>,
    },
    /// Change its size.
    ChangeType {
        /// The size before.
        from: String,
        /// The size after.
        to: String,
    },
    /// Switch the public addresses on or off.
    SetPublicInterface {
        /// On or off.
        enabled: bool,
    },
    /// Leave a private network.
    DetachFromNetwork {
        /// The network's number.
        id: u64,
        /// The network's name.
        network: String,
        /// The address that is given up.
        ip: IpAddr,
    },
    /// Join a private network at an address.
    AttachToNetwork(NetworkSpec),
    /// Choose targets in another way.
    ChangeAlgorithm {
        /// The way before.
        from: Algorithm,
        /// The way after.
        to: Algorithm,
    },
    /// Forward to one more address.
    AddTarget {
        /// A private address.
        ip: IpAddr,
    },
    /// Forward to one address less.
    RemoveTarget {
        /// How Hetzner names it.
        target: TargetRef,
        /// Its private address, for people.
        private_ip: Option<IpAddr>,
    },
    /// Listen on one more port.
    AddService {
        /// The new service.
        service: Service,
    },
    /// Change what a port does.
    UpdateService {
        /// The port.
        listen_port: u16,
        /// What it did.
        from: Service,
        /// What it will do.
        to: Service,
    },
    /// Listen on one port less.
    DeleteService {
        /// The port.
        listen_port: u16,
        /// What it did.
        from: Service,
    },
    /// Let Hetzner refuse or allow its deletion.
    SetDeleteProtection {
        /// Refuse or allow.
        enabled: bool,
    },
}

/// What a change does to those who use the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    /// Nobody notices.
    None,
    /// Connections through a removed target or service are cut.
    Connections,
    /// Everything through it is down until later changes are done.
    Outage,
}

/// Where a change stands in the world as it was just read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds already.
    Done,
    /// It can be done.
    Ready,
    /// The world is neither before nor after the change: it was planned for another one.
    Unexpected(String),
}

impl LoadBalancerChange {
    /// What users notice.
    pub fn disturbance(&self) -> Disturbance {
        match self {
            Self::Create { .. }
            | Self::SetLabels { .. }
            | Self::ChangeType { .. }
            | Self::SetPublicInterface { enabled: true }
            | Self::AttachToNetwork(_)
            | Self::ChangeAlgorithm { .. }
            | Self::AddTarget { .. }
            | Self::AddService { .. }
            | Self::SetDeleteProtection { .. } => Disturbance::None,
            Self::UpdateService { from, to, .. } => {
                let only_check = Service {
                    health_check: to.health_check.clone(),
                    ..from.clone()
                };
                if only_check == *to {
                    Disturbance::None
                } else {
                    Disturbance::Connections
                }
            }
            Self::RemoveTarget { .. }
            | Self::DeleteService { .. }
            | Self::SetPublicInterface { enabled: false } => Disturbance::Connections,
            Self::Delete { .. } | Self::DetachFromNetwork { .. } => Disturbance::Outage,
        }
    }

    /// Whether connections find a way once it is done that they may not have found before.
    pub fn brings_into_service(&self) -> bool {
        match self {
            Self::AttachToNetwork(_)
            | Self::AddTarget { .. }
            | Self::AddService { .. }
            | Self::UpdateService { .. } => true,
            Self::Create { .. }
            | Self::Delete { .. }
            | Self::SetLabels { .. }
            | Self::ChangeType { .. }
            | Self::SetPublicInterface { .. }
            | Self::DetachFromNetwork { .. }
            | Self::ChangeAlgorithm { .. }
            | Self::RemoveTarget { .. }
            | Self::DeleteService { .. }
            | Self::SetDeleteProtection { .. } => false,
        }
    }

    /// Whether the change holds, may be done, or was planned for another world.
    ///
    /// It is asked before each attempt, so an attempt whose answer was lost is not repeated,
    /// and after a crash it tells whether an open change happened.
    pub fn standing(&self, state: Option<&LoadBalancerState>) -> Standing {
        match (self, state) {
            (Self::Create { .. }, None) => Standing::Ready,
            (Self::Create { .. }, Some(state)) => self.created(state),
            (Self::Delete { .. }, None) => Standing::Done,
            (_, None) => Standing::Unexpected("the load balancer does not exist".to_owned()),
            (_, Some(state)) => self.standing_in(state),
        }
    }

    /// A balancer of that name exists: ours when it carries all of our labels.
    fn created(&self, state: &LoadBalancerState) -> Standing {
        let Self::Create { labels, .. } = self else {
            return Standing::Ready;
        };
        if labels
            .iter()
            .all(|(key, value)| state.labels.get(key) == Some(value))
        {
            return Standing::Done;
        }
        Standing::Unexpected(format!("load balancer {} exists and is not ours", state.id))
    }

    fn standing_in(&self, state: &LoadBalancerState) -> Standing {
        match self {
            Self::Create { .. } => self.created(state),
            // another number is another balancer: the one that was meant is gone
            Self::Delete { id } => done_if(state.id != *id),
            Self::SetLabels { from, to } => between(&state.labels, from, to, "labels are"),
            Self::ChangeType { from, to } => {
                between(&state.load_balancer_type, from, to, "the type is")
            }
            Self::SetPublicInterface { enabled } => done_if(state.public_interface == *enabled),
            Self::DetachFromNetwork { id, .. } => done_if(
                state
                    .network
                    .as_ref()
                    .is_none_or(|network| network.id != *id),
            ),
            Self::AttachToNetwork(wanted) => attached(state, wanted),
            Self::ChangeAlgorithm { from, to } => {
                between(&state.algorithm, from, to, "the algorithm is")
            }
            Self::AddTarget { ip } => done_if(state.target(*ip).is_some()),
            Self::RemoveTarget { target, .. } => {
                done_if(!state.targets.iter().any(|have| have.reference == *target))
            }
            Self::AddService { service } => match state.service(service.listen_port) {
                None => Standing::Ready,
                Some(have) if have == service => Standing::Done,
                Some(_) => {
                    let port = service.listen_port;
                    Standing::Unexpected(format!("port {port} is already a different service"))
                }
            },
            Self::UpdateService {
                listen_port,
                from,
                to,
            } => match state.service(*listen_port) {
                Some(have) => between(have, from, to, &format!("port {listen_port} is")),
                None => Standing::Unexpected(format!("port {listen_port} is no service")),
            },
            Self::DeleteService { listen_port, .. } => {
                done_if(state.service(*listen_port).is_none())
            }
            Self::SetDeleteProtection { enabled } => done_if(state.delete_protection == *enabled),
        }
    }
}

fn done_if(done: bool) -> Standing {
    if done {
        Standing::Done
    } else {
        Standing::Ready
    }
}

fn between<T: PartialEq>(now: &T, from: &T, to: &T, what: &str) -> Standing {
    if now == to {
        return Standing::Done;
    }
    if now == from {
        return Standing::Ready;
    }
    Standing::Unexpected(format!("{what} neither as planned from nor as planned to"))
}

fn attached(state: &LoadBalancerState, wanted: &NetworkSpec) -> Standing {
    match &state.network {
        None => Standing::Ready,
        Some(have) if have.name == wanted.name && have.ip == wanted.ip => Standing::Done,
        Some(have) => {
            Standing::Unexpected(format!("it is attached to {} at {}", have.name, have.ip))
        }
    }
}
