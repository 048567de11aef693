//! What the balancer remembers: balancers, their actions, and changes in waiting.
//!
//! Plain data, written as it is to the state file. Names on the wire are the names here,
//! so that a service or a target is stored in the form in which the API speaks of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Everything that survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct World {
    pub(super) last_id: u64,
    pub(super) balancers: BTreeMap<u64, Balancer>,
    pub(super) actions: BTreeMap<u64, Action>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Balancer {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) load_balancer_type: String,
    pub(super) location: String,
    pub(super) created: String,
    pub(super) algorithm: Algorithm,
    pub(super) services: Vec<Service>,
    pub(super) targets: Vec<Target>,
    pub(super) private_net: Option<PrivateNet>,
    pub(super) public: bool,
    pub(super) delete_protected: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Algorithm {
    RoundRobin,
    LeastConnections,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PrivateNet {
    pub(super) network: u64,
    pub(super) ip: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) protocol: String,
    pub(super) listen_port: u16,
    pub(super) destination_port: u16,
    pub(super) proxyprotocol: bool,
    pub(super) health_check: HealthCheck,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HealthCheck {
    pub(super) protocol: CheckProtocol,
    pub(super) port: u16,
    pub(super) interval: u32,
    pub(super) timeout: u32,
    pub(super) retries: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) http: Option<HttpCheck>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckProtocol {
    Tcp,
    Http,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HttpCheck {
    pub(super) domain: String,
    pub(super) path: String,
    pub(super) response: String,
    pub(super) status_codes: Vec<String>,
    pub(super) tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Target {
    Ip {
        ip: IpTarget,
    },
    Server {
        server: ServerTarget,
        #[serde(default)]
        use_private_ip: bool,
    },
    LabelSelector {
        label_selector: SelectorTarget,
        #[serde(default)]
        use_private_ip: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IpTarget {
    pub(super) ip: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerTarget {
    pub(super) id: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SelectorTarget {
    pub(super) selector: String,
}

impl Target {
    /// Whether both name the same target; the way to its address does not count.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip { ip: a }, Self::Ip { ip: b }) => a == b,
            (Self::Server { server: a, .. }, Self::Server { server: b, .. }) => a == b,
            (
                Self::LabelSelector {
                    label_selector: a, ..
                },
                Self::LabelSelector {
                    label_selector: b, ..
                },
            ) => a == b,
            _ => false,
        }
    }

    /// Whether the target's public address is used.
    pub(super) fn is_public(&self) -> bool {
        match self {
            Self::Ip { .. } => false,
            Self::Server { use_private_ip, .. } | Self::LabelSelector { use_private_ip, .. } => {
                !use_private_ip
            }
        }
    }
}

/// Work that the API took on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) command: String,
    pub(super) balancer: u64,
    pub(super) started: String,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The change is applied when the action ends.
    Running(Change),
    Success {
        finished: String,
    },
    Error {
        finished: String,
        code: String,
        message: String,
    },
}

/// What an action does to its balancer once it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    /// The balancer exists from the moment its creation was answered.
    Created,
    AddService(Service),
    UpdateService(Service),
    DeleteService(u16),
    AddTarget(Target),
    RemoveTarget(Target),
    Algorithm(Algorithm),
    Type(String),
    Attach(PrivateNet),
    Detach,
    PublicInterface(bool),
    Protection(bool),
}

impl Balancer {
    pub(super) fn service(&self, listen_port: u16) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.listen_port == listen_port)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Created => {}
            Change::AddService(service) => self.services.push(service),
            Change::UpdateService(new) => {
                let place = self
                    .services
                    .iter_mut()
                    .find(|s| s.listen_port == new.listen_port);
                if let Some(old) = place {
                    *old = new;
                }
            }
            Change::DeleteService(port) => self.services.retain(|s| s.listen_port != port),
            Change::AddTarget(target) => self.targets.push(target),
            Change::RemoveTarget(target) => self.targets.retain(|t| !t.is_same(&target)),
            Change::Algorithm(algorithm) => self.algorithm = algorithm,
            Change::Type(name) => self.load_balancer_type = name,
            Change::Attach(net) => self.private_net = Some(net),
            Change::Detach => self.private_net = None,
            Change::PublicInterface(enabled) => self.public = enabled,
            Change::Protection(delete) => self.delete_protected = delete,
        }
    }
}

/// How many ended actions are remembered.
const REMEMBERED_ACTIONS: usize = 500;

impl World {
    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The action that runs on a balancer, if any.
    pub(super) fn running_on(&self, balancer: u64) -> Option<&Action> {
        self.actions
            .values()
            .find(|a| a.balancer == balancer && matches!(a.outcome, Outcome::Running(_)))
    }

    /// Takes on a change; it is applied by [`World::finish`].
    pub(super) fn begin(&mut self, balancer: u64, command: &str, change: Change) -> Action {
        let action = Action {
            id: self.new_id(),
            command: command.to_owned(),
            balancer,
            started: now(),
            outcome: Outcome::Running(change),
        };
        self.actions.insert(action.id, action.clone());
        while self.actions.len() > REMEMBERED_ACTIONS {
            self.actions.pop_first();
        }
        action
    }

    /// Ends a running action: its change is applied, or it fails and nothing happened.
    pub(super) fn finish(&mut self, action: u64, failure: Option<(String, String)>) {
        let Some(action) = self.actions.get_mut(&action) else {
            return;
        };
        let Outcome::Running(change) = action.outcome.clone() else {
            return;
        };
        if let Some((code, message)) = failure {
            action.outcome = Outcome::Error {
                finished: now(),
                code,
                message,
            };
            return;
        }
        action.outcome = Outcome::Success { finished: now() };
        if let Some(balancer) = self.balancers.get_mut(&action.balancer) {
            balancer.apply(change);
        }
    }
}

/// The present, as the API writes it.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S+00:00")
        .to_string()
}
