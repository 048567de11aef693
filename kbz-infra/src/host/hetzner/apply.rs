//! Carrying out a change: look, ask, follow the action, look again where it is not clear.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::call::Call;
use super::client::HetznerClient;
use super::error::HetznerError;
use super::patience::Clock;
use super::wire;
use crate::model::load_balancer::LoadBalancerChange as Change;
use crate::model::load_balancer::{LoadBalancerState, Standing, TargetRef};

/// How a change came to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It held before.
    Already,
    /// It was carried out now.
    Now,
}

/// How often a refusal that sounds like "already so" is looked into before it is believed.
const LOOKS: u32 = 5;

impl HetznerClient {
    /// Carries out a change of the balancer called `name`; twice is the same as once.
    pub async fn apply(&self, name: &str, change: &Change) -> Result<Applied, HetznerError> {
        let mut clock = Clock::start(self.patience());
        let (mut applied, mut looks) = (Applied::Already, LOOKS);
        loop {
            let state = self.read_within(name, &clock).await?;
            match change.standing(state.as_ref()) {
                Standing::Done => return Ok(applied),
                Standing::Ready => {}
                Standing::Unexpected(why) => {
                    return Err(HetznerError::Unexpected {
                        name: name.to_owned(),
                        why,
                    });
                }
            }
            applied = Applied::Now;
            match self.ask(name, state.as_ref(), change, &clock).await {
                Ok(()) => return Ok(applied),
                Err(error) if error.is_unsure() => clock.pause(error).await?,
                Err(error) if error.may_be_done() && looks > 0 => {
                    looks -= 1;
                    clock.pause(error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes the balancer called `name` of a stack, protected or not; one that is gone is
    /// fine, one of another owner is an error.
    pub async fn delete(&self, name: &str, stack: &str) -> Result<Applied, HetznerError> {
        let Some(state) = self.read(name).await? else {
            return Ok(Applied::Already);
        };
        if state.owner() != Some(stack) {
            let why = match state.owner() {
                Some(owner) => format!("it belongs to stack {owner}"),
                None => "it belongs to no stack".to_owned(),
            };
            let name = name.to_owned();
            return Err(HetznerError::Unexpected { name, why });
        }
        if state.delete_protection {
            self.apply(name, &Change::SetDeleteProtection { enabled: false })
                .await?;
        }
        self.apply(name, &Change::Delete { id: state.id }).await
    }

    async fn ask(
        &self,
        name: &str,
        state: Option<&LoadBalancerState>,
        change: &Change,
        clock: &Clock,
    ) -> Result<(), HetznerError> {
        let call = self.call(name, state, change, clock).await?;
        let answer: Value = self.send(&call, clock).await?;
        match serde_json::from_value::<wire::ActionAnswer>(answer) {
            Ok(answer) => self.follow(answer.action, clock).await,
            // deletions and updates are answered without an action and hold at once
            Err(_) if call.method != reqwest::Method::POST => Ok(()),
            Err(source) => Err(HetznerError::Garbled {
                call: call.name(),
                source,
            }),
        }
    }

    /// The request that makes a change.
    async fn call(
        &self,
        name: &str,
        state: Option<&LoadBalancerState>,
        change: &Change,
        clock: &Clock,
    ) -> Result<Call, HetznerError> {
        let Some(state) = state else {
            return Ok(Call::post("/load_balancers", creation(name, change)));
        };
        let path = format!("/load_balancers/{}", state.id);
        let (command, body) = match change {
            Change::Create { .. } => {
                return Ok(Call::post("/load_balancers", creation(name, change)));
            }
            Change::Delete { .. } => return Ok(Call::delete(path)),
            Change::SetLabels { to, .. } => return Ok(Call::put(path, json!({"labels": to}))),
            Change::ChangeType { to, .. } => ("change_type", json!({"load_balancer_type": to})),
            Change::SetPublicInterface { enabled: true } => ("enable_public_interface", json!({})),
            Change::SetPublicInterface { enabled: false } => {
                ("disable_public_interface", json!({}))
            }
            Change::DetachFromNetwork { id, .. } => ("detach_from_network", json!({"network": id})),
            Change::AttachToNetwork(to) => {
                let network = self.network_id(&to.name, clock).await?;
                (
                    "attach_to_network",
                    json!({"network": network, "ip": to.ip}),
                )
            }
            Change::ChangeAlgorithm { to, .. } => ("change_algorithm", json!({"type": to})),
            Change::AddTarget { ip } => ("add_target", self.added(state, *ip, clock).await?),
            Change::RemoveTarget { target, .. } => ("remove_target", removed(target)?),
            Change::AddService { service } => ("add_service", json!(service)),
            Change::UpdateService { to, .. } => ("update_service", json!(to)),
            Change::DeleteService { listen_port, .. } => {
                ("delete_service", json!({"listen_port": listen_port}))
            }
            Change::SetDeleteProtection { enabled } => {
                ("change_protection", json!({"delete": enabled}))
            }
        };
        Ok(Call::post(format!("{path}/actions/{command}"), body))
    }

    /// A target as Hetzner wants it named: a cloud server by its number, any other by its
    /// address.
    async fn added(
        &self,
        state: &LoadBalancerState,
        ip: IpAddr,
        clock: &Clock,
    ) -> Result<Value, HetznerError> {
        let server = match &state.network {
            Some(network) => self.server_at(ip, network.id, clock).await?,
            None => None,
        };
        Ok(match server {
            Some(id) => json!({"type": "server", "server": {"id": id}, "use_private_ip": true}),
            None => json!({"type": "ip", "ip": {"ip": ip}}),
        })
    }

    /// Polls an action to its end.
    async fn follow(&self, action: wire::Action, clock: &Clock) -> Result<(), HetznerError> {
        let (mut action, mut clock) = (action, clock.again(self.patience()));
        loop {
            let wire::Action {
                id,
                command,
                status,
                error,
            } = action;
            match status.as_str() {
                "success" => return Ok(()),
                "error" => {
                    let wire::Error { code, message } = error.unwrap_or_default();
                    return Err(HetznerError::ActionFailed {
                        id,
                        command,
                        code,
                        message,
                    });
                }
                // running, or a newer word for it
                _ => clock.pause(HetznerError::Running { id, command }).await?,
            }
            let call = Call::get(format!("/actions/{id}"));
            action = self.send::<wire::ActionAnswer>(&call, &clock).await?.action;
        }
    }
}

fn creation(name: &str, change: &Change) -> Value {
    let Change::Create {
        load_balancer_type,
        location,
        algorithm,
        labels,
        public_interface,
    } = change
    else {
        return Value::Null;
    };
    json!({
        "name": name, "load_balancer_type": load_balancer_type, "location": location,
        "algorithm": {"type": algorithm}, "labels": labels, "public_interface": public_interface,
    })
}

fn removed(target: &TargetRef) -> Result<Value, HetznerError> {
    match target {
        TargetRef::Ip(ip) => Ok(json!({"type": "ip", "ip": {"ip": ip}})),
        TargetRef::Server(id) => Ok(json!({"type": "server", "server": {"id": id}})),
        TargetRef::LabelSelector(selector) => {
            Ok(json!({"type": "label_selector", "label_selector": {"selector": selector}}))
        }
        TargetRef::Other(_) => Err(HetznerError::ForeignTarget {
            target: target.to_string(),
        }),
    }
}
