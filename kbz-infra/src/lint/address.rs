//! Services bound to addresses that their hosts do not have, and addresses with two hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::facts::{Facts, Hop, Listener, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;

/// Binds to foreign addresses, and addresses that two hosts claim.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = foreign_binds(facts);
    findings.extend(shared_addresses(facts));
    findings
}

fn foreign_binds(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str, IpAddr), Vec<&Listener>> = BTreeMap::new();
    for listener in &facts.listeners {
        if is_foreign(listener, facts) {
            let key = (&listener.by.place, listener.service.as_str(), listener.bind);
            found.entry(key).or_default().push(listener);
        }
    }
    found
        .into_values()
        .map(|listeners| foreign(&listeners, facts))
        .collect()
}

fn is_foreign(listener: &Listener, facts: &Facts) -> bool {
    let bind = listener.bind;
    let own = |other: &Listener| other.host == listener.host && other.address == bind;
    !bind.is_unspecified() && !bind.is_loopback() && !facts.listeners.iter().any(own)
}

fn foreign(listeners: &[&Listener], facts: &Facts) -> Finding {
    let first = listeners[0];
    let hosts = and(listeners.iter().map(|listener| &listener.host));
    let message = format!(
        "{} on {hosts} binds to {}, which is no address of its host",
        first.service, first.bind
    );
    let said = format!("binds to {}:{}", first.bind, first.port);
    let mut labels = vec![(&first.by.place, said)];
    let finding = match owner(first.bind, facts) {
        Some((place, whose)) => {
            labels.push((place, whose));
            Finding::error("kbz::address::foreign-bind", message)
        }
        // It may be one that the inventory does not name, such as a public one.
        None => Finding::warning("kbz::address::foreign-bind", message),
    };
    labelled(finding, labels).help(format!(
        "bind to every address of the host (0.0.0.0), or to its own ({})",
        and(listeners.iter().map(|listener| listener.address))
    ))
}

fn owner(address: IpAddr, facts: &Facts) -> Option<(&Place, String)> {
    let balancer =
        |hop: &&Hop| matches!(hop.way, Way::Balancer { .. }) && hop.from.address == address;
    if let Some(hop) = facts.hops.iter().find(balancer) {
        return Some((&hop.by.place, format!("{address} belongs to {}", hop.name)));
    }
    let other = facts.listeners.iter().find(|l| l.address == address)?;
    Some((
        &other.by.place,
        format!("{address} belongs to {}", other.host),
    ))
}

/// Addresses of hosts that a balancer claims too.
fn shared_addresses(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<IpAddr, (&Hop, &Listener)> = BTreeMap::new();
    for hop in &facts.hops {
        let same = |listener: &&Listener| listener.address == hop.from.address;
        if let (Way::Balancer { .. }, Some(listener)) =
            (&hop.way, facts.listeners.iter().find(same))
        {
            found.entry(hop.from.address).or_insert((hop, listener));
        }
    }
    found
        .into_iter()
        .map(|(address, (hop, listener))| {
            let message = format!("{} and {} both have {address}", hop.name, listener.host);
            let labels = [
                (&hop.by.place, format!("{} takes it", hop.name)),
                (&listener.by.place, format!("on {}", listener.host)),
            ];
            labelled(Finding::error("kbz::address::clash", message), labels)
                .help("give the balancer an address of its own in the private network")
        })
        .collect()
}
