//! The fields of a load balancer: what a change says of one, and which are left as they are found.
//!
//! Each target, service and label is a field of its own (`targets.10.0.0.12`, `services.5432`,
//! `labels.kbz.tier`); `targets`, `services` and `labels` mean all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::load_balancer::{
    HealthCheck, HttpCheck, LABEL_STACK, LoadBalancerChange, Service, TargetRef,
};
use crate::resource::{Context, Reason};

/// Why changes are made. Two changes of one field are one reason: what makes room for a target,
/// or for a network, and what comes instead.
pub(super) fn reasons(changes: &[LoadBalancerChange]) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for reason in changes.iter().flat_map(reasons_of) {
        let same = reasons.iter_mut().find_map(|known| merged(known, &reason));
        if same.is_none() {
            reasons.push(reason);
        }
    }
    reasons
}

/// Takes a later reason into one before, if both are of one field.
fn merged(known: &mut Reason, later: &Reason) -> Option<()> {
    let (name, _, wanted) = later.as_field()?;
    match known {
        Reason::Field {
            name: known, new, ..
        } if known == name => {
            wanted.clone_into(new);
            Some(())
        }
        _ => None,
    }
}

/// Whether a change is left out, because its field is ignored.
pub(super) fn is_left(context: &Context<'_>, change: &LoadBalancerChange) -> bool {
    let reasons = reasons_of(change);
    let mut names = reasons.iter().filter_map(Reason::as_field);
    // Labels that are ignored are left by the goal itself.
    !matches!(change, LoadBalancerChange::SetLabels { .. })
        && names.any(|(name, ..)| is_ignored(context, name))
}

/// Makes labels that are ignored what they are found to be.
pub(super) fn leave_labels(
    context: &Context<'_>,
    found: &BTreeMap<String, String>,
    goal: &mut BTreeMap<String, String>,
) {
    let names: BTreeSet<String> = found.keys().chain(goal.keys()).cloned().collect();
    let ignored = |name: &String| is_ignored(context, &of_label(name));
    for name in names.into_iter().filter(ignored) {
        match found.get(&name) {
            Some(value) => drop(goal.insert(name, value.clone())),
            None => drop(goal.remove(&name)),
        }
    }
}

/// Whether a field is ignored, alone or with all of its kind.
fn is_ignored(context: &Context<'_>, name: &str) -> bool {
    let all = name.split_once('.').map(|(all, _)| all);
    context.ignores(name) || all.is_some_and(|all| context.ignores(all))
}

/// Why one change is made.
fn reasons_of(change: &LoadBalancerChange) -> Vec<Reason> {
    use LoadBalancerChange as C;
    let one = match change {
        C::Create { .. } => Reason::Missing,
        C::Delete { id } => Reason::field("number", id, NONE),
        C::SetLabels { from, to } => return label_reasons(from, to),
        C::ChangeType { from, to } => Reason::field("type", from, to),
        C::SetPublicInterface { enabled } => Reason::field("public", !enabled, enabled),
        C::DetachFromNetwork { network, ip, .. } => {
            Reason::field("network", format!("{network} {ip}"), NONE)
        }
        C::AttachToNetwork(network) => {
            Reason::field("network", NONE, format!("{} {}", network.name, network.ip))
        }
        C::ChangeAlgorithm { from, to } => Reason::field("algorithm", from, to),
        C::AddTarget { ip } => Reason::field(of_target(ip), NONE, ip),
        C::RemoveTarget { target, private_ip } => removed(target, *private_ip),
        C::AddService { service } => Reason::field(of_service(service), NONE, shown(service)),
        C::UpdateService { from, to, .. } => Reason::field(of_service(to), shown(from), shown(to)),
        C::DeleteService { from, .. } => Reason::field(of_service(from), shown(from), NONE),
        C::SetDeleteProtection { enabled } => Reason::field("delete protection", !enabled, enabled),
    };
    vec![one]
}

/// A target that is taken away: by its address where it has one, otherwise by its name.
fn removed(target: &TargetRef, private_ip: Option<IpAddr>) -> Reason {
    let name = private_ip.map_or_else(|| of_target(target), of_target);
    Reason::field(name, target, NONE)
}

/// Labels that change; the owner's mark has a reason of its own.
fn label_reasons(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> Vec<Reason> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| *name != LABEL_STACK && from.get(*name) != to.get(*name));
    let text = |value: Option<&String>| value.map_or(NONE.to_owned(), Clone::clone);
    differ
        .map(|name| Reason::field(of_label(name), text(from.get(name)), text(to.get(name))))
        .collect()
}

/// What a field has that is not there.
const NONE: &str = "none";

fn of_target(target: impl std::fmt::Display) -> String {
    format!("targets.{target}")
}

fn of_service(service: &Service) -> String {
    format!("services.{}", service.listen_port)
}

fn of_label(name: &str) -> String {
    format!("labels.{name}")
}

/// A service in a few words: `tcp 5432 to 5432, checked by http 8404/healthz every 3 s, 2 s,
/// 2 times`. Two that differ read otherwise.
fn shown(service: &Service) -> String {
    let proxy = if service.proxyprotocol {
        ", proxy protocol"
    } else {
        ""
    };
    format!(
        "{} {} to {}{proxy}, checked by {}",
        service.protocol,
        service.listen_port,
        service.destination_port,
        checked(&service.health_check)
    )
}

fn checked(check: &HealthCheck) -> String {
    let asked = check.http.as_ref().map_or_else(String::new, asked);
    format!(
        "{} {}{asked} every {} s, {} s, {} times",
        check.protocol, check.port, check.interval, check.timeout, check.retries
    )
}

/// What is asked by HTTP, as far as it is not what is asked usually.
fn asked(http: &HttpCheck) -> String {
    let statuses = http.status_codes.join(" ");
    let unusual = [
        (http.tls, "over TLS".to_owned()),
        (!http.domain.is_empty(), format!("of {}", http.domain)),
        (statuses != "2??", format!("for status {statuses}")),
        (
            !http.response.is_empty(),
            format!("for {:?}", http.response),
        ),
    ];
    let unusual = unusual.into_iter().filter(|(is, _)| *is);
    let words = std::iter::once(http.path.clone()).chain(unusual.map(|(_, words)| words));
    words.collect::<Vec<_>>().join(" ")
}
