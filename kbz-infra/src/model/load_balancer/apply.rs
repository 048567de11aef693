//! What a change does to a state: the world as a simulation sees it.
//!
//! It does what Hetzner does with changes that it accepts, and nothing that it would
//! refuse: the answer says why instead.

use super::change::LoadBalancerChange as Change;
use super::spec::capacity;
use super::state::{LoadBalancerState, NetworkState, TargetRef, TargetState};

/// Why Hetzner would refuse a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(&'static str);

/// The number of networks that a model knows nothing about.
const SOME_NETWORK: u64 = 1;

/// The state after a change of the balancer called `name`; `new_id` is for a created one.
pub fn apply(
    name: &str,
    state: Option<LoadBalancerState>,
    change: &Change,
    new_id: u64,
) -> Result<Option<LoadBalancerState>, Refusal> {
    match (change, state) {
        (
            Change::Create {
                load_balancer_type,
                location,
                algorithm,
                labels,
                public_interface,
            },
            None,
        ) => Ok(Some(LoadBalancerState {
            id: new_id,
            name: name.to_owned(),
            load_balancer_type: load_balancer_type.clone(),
            location: location.clone(),
            network: None,
            public_interface: *public_interface,
            algorithm: algorithm.clone(),
            labels: labels.clone(),
            delete_protection: false,
            services: Vec::new(),
            targets: Vec::new(),
        })),
        (Change::Create { .. }, Some(_)) => Err(Refusal("name is already used")),
        (_, None) => Err(Refusal("load balancer not found")),
        (Change::Delete { .. }, Some(state)) if state.delete_protection => {
            Err(Refusal("load balancer is protected from deletion"))
        }
        (Change::Delete { .. }, Some(_)) => Ok(None),
        (change, Some(state)) => edit(state, change).map(Some),
    }
}

fn edit(mut state: LoadBalancerState, change: &Change) -> Result<LoadBalancerState, Refusal> {
    match change {
        Change::Create { .. } | Change::Delete { .. } => {}
        Change::SetLabels { to, .. } => state.labels.clone_from(to),
        Change::ChangeType { to, .. } => {
            let (services, targets) = (state.services.len(), state.targets.len());
            if capacity(to).is_some_and(|most| services > most.0 || targets > most.1) {
                return Err(Refusal("the type is too small"));
            }
            state.load_balancer_type.clone_from(to);
        }
        Change::SetPublicInterface { enabled } => {
            if !enabled && state.targets.iter().any(|target| !target.use_private_ip) {
                return Err(Refusal("a target uses its public address"));
            }
            state.public_interface = *enabled;
        }
        Change::DetachFromNetwork { .. } => state.network = None,
        Change::AttachToNetwork(to) => {
            if state.network.is_some() {
                return Err(Refusal("it is already attached to a network"));
            }
            let (name, ip) = (to.name.clone(), to.ip);
            state.network = Some(NetworkState {
                id: SOME_NETWORK,
                name,
                ip,
            });
        }
        Change::ChangeAlgorithm { to, .. } => state.algorithm = to.clone(),
        Change::AddTarget { ip } => add_target(&mut state, *ip)?,
        Change::RemoveTarget { target, .. } => {
            if let TargetRef::Other(_) = target {
                return Err(Refusal("a target of an unknown kind cannot be removed"));
            }
            state.targets.retain(|have| have.reference != *target);
        }
        Change::AddService { service } => {
            if state.service(service.listen_port).is_some() {
                return Err(Refusal("the port is already in use"));
            }
            let most = capacity(&state.load_balancer_type).map_or(usize::MAX, |most| most.0);
            if state.services.len() >= most {
                return Err(Refusal("the type allows no further service"));
            }
            state.services.push(service.clone());
        }
        Change::UpdateService {
            listen_port, to, ..
        } => {
            let place = state
                .services
                .iter_mut()
                .find(|s| s.listen_port == *listen_port);
            *place.ok_or(Refusal("service not found"))? = to.clone();
        }
        Change::DeleteService { listen_port, .. } => {
            state
                .services
                .retain(|service| service.listen_port != *listen_port);
        }
        Change::SetDeleteProtection { enabled } => state.delete_protection = *enabled,
    }
    Ok(state)
}

fn add_target(state: &mut LoadBalancerState, ip: std::net::IpAddr) -> Result<(), Refusal> {
    if state.network.is_none() {
        return Err(Refusal("it is not attached to a network"));
    }
    let same_server = |have: &TargetState| {
        have.private_ip == Some(ip) && !matches!(have.reference, TargetRef::LabelSelector(_))
    };
    if state.targets.iter().any(same_server) {
        return Err(Refusal("the target is already defined"));
    }
    state.targets.push(TargetState {
        reference: TargetRef::Ip(ip),
        private_ip: Some(ip),
        use_private_ip: true,
        health: std::collections::BTreeMap::new(),
    });
    Ok(())
}
