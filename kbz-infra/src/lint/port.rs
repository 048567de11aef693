//! One owner for each host and port, and connections that come to somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::facts::{Facts, Hop, Listener, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::{HostName, Place};
use crate::resource::Endpoint;

/// Clashes on hosts, clashes on balancers, and ports on which nobody listens.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = clashes(&facts.listeners);
    findings.extend(entry_clashes(&facts.hops));
    findings.extend(unanswered(facts));
    findings
}

/// Two services with the same places and words are one finding, on however many hosts.
type Clash<'a> = (Place, Place, &'a str, &'a str, u16);

fn clashes(listeners: &[Listener]) -> Vec<Finding> {
    let mut found: BTreeMap<Clash<'_>, Vec<(&Listener, &Listener)>> = BTreeMap::new();
    for (index, first) in listeners.iter().enumerate() {
        for second in listeners[index + 1..].iter().filter(|b| collide(first, b)) {
            let key = (
                first.by.place.clone(),
                second.by.place.clone(),
                first.service.as_str(),
                second.service.as_str(),
                first.port,
            );
            found.entry(key).or_default().push((first, second));
        }
    }
    found.into_values().map(|pairs| clash(&pairs)).collect()
}

fn collide(a: &Listener, b: &Listener) -> bool {
    let same = a.host == b.host && a.port == b.port && a.protocol == b.protocol;
    same && overlap(a.bind, b.bind)
}

/// Whether two binds want the same address. An IPv6 wildcard takes IPv4 too, as Linux has it.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    let takes =
        |wide: IpAddr, other: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || other.is_ipv4());
    a == b || takes(a, b) || takes(b, a)
}

fn clash(pairs: &[(&Listener, &Listener)]) -> Finding {
    let (a, b) = pairs[0];
    let hosts = and(pairs.iter().map(|(listener, _)| &listener.host));
    let (first, second) = if a.service == b.service {
        ("the first", "the second")
    } else {
        (a.service.as_str(), b.service.as_str())
    };
    let message = format!(
        "port {}/{} of {hosts} has two owners: {} and {}",
        a.port, a.protocol, a.service, b.service
    );
    let said = |who: &str, listener: &Listener| {
        format!("{who} listens on {}", shown(listener.bind, listener.port))
    };
    let labels = [
        (&b.by.place, said(second, b)),
        (&a.by.place, said(first, a)),
    ];
    labelled(Finding::error("kbz::port::clash", message), labels).help(format!(
        "give one of them another port, or take one of them away from {hosts}"
    ))
}

fn shown(address: IpAddr, port: u16) -> Endpoint {
    Endpoint { address, port }
}

/// Two services of balancers behind one entry.
fn entry_clashes(hops: &[Hop]) -> Vec<Finding> {
    let balancers: Vec<&Hop> = hops
        .iter()
        .filter(|hop| matches!(hop.way, Way::Balancer { .. }))
        .collect();
    let mut findings = Vec::new();
    for (index, first) in balancers.iter().enumerate() {
        for second in balancers[index + 1..]
            .iter()
            .filter(|b| b.from == first.from)
        {
            let message = format!("{} has two owners", first.from);
            let finding = Finding::error("kbz::port::clash", message);
            let labels = [
                (&second.by.place, format!("{} takes it too", second.name)),
                (&first.by.place, format!("{} takes it", first.name)),
            ];
            findings.push(labelled(finding, labels).help("give one of them another port"));
        }
    }
    findings
}

/// Connections to a host of the stack on a port that no service of the stack has.
fn unanswered(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, u16), Vec<(&Hop, &HostName)>> = BTreeMap::new();
    for hop in &facts.hops {
        for to in &hop.to {
            let Some(host) = facts.host_of(to.address) else {
                continue;
            };
            if !answered(to, facts) {
                let key = (&hop.by.place, to.port);
                found.entry(key).or_default().push((hop, host));
            }
        }
    }
    found
        .into_iter()
        .map(|((place, port), ends)| {
            let names = and(ends.iter().map(|(hop, _)| &hop.name));
            let hosts: BTreeSet<&HostName> = ends.iter().map(|(_, host)| *host).collect();
            let message = format!(
                "nothing of this stack listens on port {port} of {}",
                and(hosts)
            );
            let label = format!("{names} connects to it");
            labelled(
                Finding::warning("kbz::port::nobody", message),
                [(place, label)],
            )
            .help("declare the service, or lead to the port of one that is declared")
        })
        .collect()
}

fn answered(to: &Endpoint, facts: &Facts) -> bool {
    let mut listeners = facts.listeners.iter();
    let listens = |listener: &Listener| listener.address == to.address && listener.port == to.port;
    listeners.any(listens) || facts.speaks(to).is_some()
}
