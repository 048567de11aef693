//! From what is to what should be: the steps and their order.
//!
//! The order, and why:
//! 1. another location: the old balancer goes, a new one is made;
//! 2. labels: the owner's mark first;
//! 3. a larger type before it is needed, a smaller one when everything fits;
//! 4. the network, without which no private target can be added;
//! 5. targets are added before any is removed, so connections always find one; the
//!    exception is a server that is a target by its public address, which Hetzner takes only
//!    once: it goes just before it comes back, after all others came;
//! 6. services are added and changed once targets exist; undeclared ones go after, unless
//!    the type has no room for both;
//! 7. the public interface goes last, when no target needs it;
//! 8. protection is lifted first and set last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::load_balancer::{
    LABEL_PREFIX, LoadBalancerChange as Change, LoadBalancerSpec, LoadBalancerState, TargetRef,
    TargetState, capacity,
};

/// The steps from `state` (`None`: there is no balancer of that name) to `spec`, in order.
///
/// The answer depends on nothing else; equal questions have equal answers. `spec` is taken
/// to be without faults ([`LoadBalancerSpec::faults`]).
pub fn changes(spec: &LoadBalancerSpec, state: Option<&LoadBalancerState>) -> Vec<Change> {
    match state {
        None => from_nothing(spec),
        Some(state) if state.location != spec.location => {
            let lift = state
                .delete_protection
                .then_some(Change::SetDeleteProtection { enabled: false });
            let delete = Change::Delete { id: state.id };
            lift.into_iter()
                .chain([delete])
                .chain(from_nothing(spec))
                .collect()
        }
        Some(state) => update(spec, state),
    }
}

fn from_nothing(spec: &LoadBalancerSpec) -> Vec<Change> {
    let create = Change::Create {
        load_balancer_type: spec.load_balancer_type.clone(),
        location: spec.location.clone(),
        algorithm: spec.algorithm.clone(),
        labels: spec.labels.clone(),
        public_interface: spec.public_interface,
    };
    let empty = LoadBalancerState {
        id: 0,
        name: spec.name.clone(),
        load_balancer_type: spec.load_balancer_type.clone(),
        location: spec.location.clone(),
        network: None,
        public_interface: spec.public_interface,
        algorithm: spec.algorithm.clone(),
        labels: spec.labels.clone(),
        delete_protection: false,
        services: Vec::new(),
        targets: Vec::new(),
    };
    std::iter::once(create)
        .chain(update(spec, &empty))
        .collect()
}

fn update(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Vec<Change> {
    let resize = resize(spec, state);
    let (grow, shrink) = match resize {
        Some(Change::ChangeType { ref from, ref to }) if to < from => (None, resize),
        _ => (resize, None),
    };
    let unprotect = protection(spec, state).filter(|_| !spec.delete_protection);
    let protect = protection(spec, state).filter(|_| spec.delete_protection);
    let interface = interface(spec, state);
    let (open, close) = if spec.public_interface {
        (interface, None)
    } else {
        (None, interface)
    };
    let mut steps: Vec<Change> = Vec::new();
    steps.extend(unprotect);
    steps.extend(labels(spec, state));
    steps.extend(grow);
    steps.extend(open);
    steps.extend(network(spec, state));
    let (add, remove) = targets(spec, state);
    steps.extend(add);
    steps.extend(services(spec, state));
    steps.extend(algorithm(spec, state));
    steps.extend(remove);
    steps.extend(close);
    steps.extend(shrink);
    steps.extend(protect);
    steps
}

fn protection(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Option<Change> {
    let enabled = spec.delete_protection;
    (state.delete_protection != enabled).then_some(Change::SetDeleteProtection { enabled })
}

fn interface(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Option<Change> {
    let enabled = spec.public_interface;
    (state.public_interface != enabled).then_some(Change::SetPublicInterface { enabled })
}

fn resize(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Option<Change> {
    let (from, to) = (
        state.load_balancer_type.clone(),
        spec.load_balancer_type.clone(),
    );
    (from != to).then_some(Change::ChangeType { from, to })
}

fn algorithm(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Option<Change> {
    let (from, to) = (state.algorithm.clone(), spec.algorithm.clone());
    (from != to).then_some(Change::ChangeAlgorithm { from, to })
}

/// Ours as declared, others' as they are.
fn labels(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Option<Change> {
    let foreign = state
        .labels
        .iter()
        .filter(|(key, _)| !key.starts_with(LABEL_PREFIX));
    let to: BTreeMap<_, _> = foreign
        .chain(&spec.labels)
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    (to != state.labels).then(|| Change::SetLabels {
        from: state.labels.clone(),
        to,
    })
}

fn network(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Vec<Change> {
    let attach = Change::AttachToNetwork(spec.network.clone());
    match &state.network {
        None => vec![attach],
        Some(have) if have.name == spec.network.name && have.ip == spec.network.ip => Vec::new(),
        Some(have) => {
            let leave = Change::DetachFromNetwork {
                id: have.id,
                network: have.name.clone(),
                ip: have.ip,
            };
            vec![leave, attach]
        }
    }
}

/// Targets to add (with what must make room for them), and targets to remove afterwards.
fn targets(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> (Vec<Change>, Vec<Change>) {
    let missing: BTreeSet<IpAddr> = spec
        .targets
        .iter()
        .copied()
        .filter(|ip| state.target(*ip).is_none())
        .collect();
    let declared = |t: &&TargetState| t.address().is_some_and(|ip| spec.targets.contains(&ip));
    let undeclared: Vec<&TargetState> = state.targets.iter().filter(|t| !declared(t)).collect();
    let in_the_way = |ip: IpAddr| {
        undeclared
            .iter()
            .copied()
            .find(move |t| t.private_ip == Some(ip) && matches!(t.reference, TargetRef::Server(_)))
    };
    let (blocked, free): (Vec<IpAddr>, Vec<IpAddr>) = missing
        .into_iter()
        .partition(|ip| in_the_way(*ip).is_some());

    let mut add: Vec<Change> = free
        .into_iter()
        .map(|ip| Change::AddTarget { ip })
        .collect();
    let mut moved = Vec::new();
    for ip in blocked {
        if let Some(target) = in_the_way(ip) {
            moved.push(target.reference.clone());
            add.push(remove(target));
            add.push(Change::AddTarget { ip });
        }
    }
    let gone = undeclared
        .into_iter()
        .filter(|t| !moved.contains(&t.reference));
    (add, gone.map(remove).collect())
}

fn remove(target: &TargetState) -> Change {
    Change::RemoveTarget {
        target: target.reference.clone(),
        private_ip: target.private_ip,
    }
}

fn services(spec: &LoadBalancerSpec, state: &LoadBalancerState) -> Vec<Change> {
    let mut wanted: Vec<_> = spec.services.iter().collect();
    wanted.sort_by_key(|service| service.listen_port);
    let mut have: Vec<_> = state.services.iter().collect();
    have.sort_by_key(|service| service.listen_port);

    let is_wanted = |port: u16| wanted.iter().any(|service| service.listen_port == port);
    let delete: Vec<Change> = have
        .iter()
        .filter(|service| !is_wanted(service.listen_port))
        .map(|&from| Change::DeleteService {
            listen_port: from.listen_port,
            from: from.clone(),
        })
        .collect();
    let set: Vec<Change> = wanted
        .into_iter()
        .filter_map(|to| match state.service(to.listen_port) {
            None => Some(Change::AddService {
                service: to.clone(),
            }),
            Some(from) if from == to => None,
            Some(from) => Some(Change::UpdateService {
                listen_port: to.listen_port,
                from: from.clone(),
                to: to.clone(),
            }),
        })
        .collect();
    if has_room(spec, state, delete.len()) {
        set.into_iter().chain(delete).collect()
    } else {
        delete.into_iter().chain(set).collect()
    }
}

/// Whether the declared services fit beside the undeclared ones, while both exist.
fn has_room(spec: &LoadBalancerSpec, state: &LoadBalancerState, undeclared: usize) -> bool {
    let larger = spec
        .load_balancer_type
        .as_str()
        .max(state.load_balancer_type.as_str());
    capacity(larger).is_none_or(|(most, _)| spec.services.len() + undeclared <= most)
}
