//! Firewalls that keep out what must come in, and rules that nobody needs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::facts::{Facts, Listener, Opening, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::{HostName, Place};
use crate::model::Protocol;

/// The port of the way in to every host: it is used, though no resource declares it. That a
/// firewall lets it in is said by its type, which takes that rule.
const SSH: u16 = 22;

/// Closed ports, rules that let in others only, and rules for nobody.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = closed(facts);
    findings.extend(kept_out(facts));
    findings.extend(unused(facts));
    findings
}

fn opens(opening: &Opening, host: &HostName, port: u16, protocol: Protocol) -> bool {
    let rule = &opening.rule;
    opening.host == *host && rule.port == port && rule.protocol == protocol
}

/// Services that others need, on hosts whose firewall has no rule for them.
fn closed(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str, u16, Protocol), Vec<&Listener>> = BTreeMap::new();
    let needed = facts.listeners.iter().filter(|listener| {
        listener.remote && !listener.bind.is_loopback() && is_closed(listener, facts)
    });
    for listener in needed {
        let key = (
            &listener.by.place,
            listener.service.as_str(),
            listener.port,
            listener.protocol,
        );
        found.entry(key).or_default().push(listener);
    }
    found
        .into_iter()
        .map(|((place, service, port, protocol), listeners)| {
            let hosts = and(listeners.iter().map(|listener| &listener.host));
            let finding = Finding::error(
                "kbz::firewall::closed",
                format!("the firewall of {hosts} keeps everybody out of {service}"),
            );
            let mut labels = vec![(place, format!("needs {port}/{protocol} to be open"))];
            let walls = listeners
                .iter()
                .filter_map(|l| facts.firewalled.get(&l.host));
            labels.extend(walls.map(|by| (&by.place, "keeps out what no rule lets in".to_owned())));
            labelled(finding, labels).help(format!(
                "declare a rule for {port}/{protocol} on {hosts}, from the network of its clients"
            ))
        })
        .collect()
}

fn is_closed(listener: &Listener, facts: &Facts) -> bool {
    let opened = facts
        .openings
        .iter()
        .any(|o| opens(o, &listener.host, listener.port, listener.protocol));
    facts.firewalled.contains_key(&listener.host) && !opened
}

/// Somebody who connects to a port that is open, but not for them.
struct Outsider<'a> {
    place: &'a Place,
    name: &'a str,
    host: &'a HostName,
    port: u16,
}

fn kept_out(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, u16), Vec<Outsider<'_>>> = BTreeMap::new();
    for hop in &facts.hops {
        let checks = match &hop.way {
            Way::Service { check } => check.as_ref().map(|check| check.port),
            Way::Balancer { .. } | Way::Client => None,
        };
        for to in &hop.to {
            let Some(host) = facts.host_of(to.address) else {
                continue;
            };
            for port in [Some(to.port), checks].into_iter().flatten() {
                if to.address != hop.from.address && refuses(host, port, hop.from.address, facts) {
                    let name = hop.name.as_str();
                    let place = &hop.by.place;
                    let outsider = Outsider {
                        place,
                        name,
                        host,
                        port,
                    };
                    found.entry((place, port)).or_default().push(outsider);
                }
            }
        }
    }
    found
        .into_values()
        .map(|all| outsiders(&all, facts))
        .collect()
}

/// Whether a host has rules for a port, none of which lets this client in.
fn refuses(host: &HostName, port: u16, client: IpAddr, facts: &Facts) -> bool {
    let rules: Vec<&Opening> = facts
        .openings
        .iter()
        .filter(|opening| opens(opening, host, port, Protocol::Tcp))
        .collect();
    let lets_in = |opening: &&Opening| opening.rule.from.is_none_or(|net| net.contains(&client));
    facts.firewalled.contains_key(host) && !rules.is_empty() && !rules.iter().any(lets_in)
}

fn outsiders(all: &[Outsider<'_>], facts: &Facts) -> Finding {
    let names = and(all.iter().map(|outsider| outsider.name));
    let hosts = and(all.iter().map(|outsider| outsider.host));
    let port = all[0].port;
    let finding = Finding::error(
        "kbz::firewall::keeps-out",
        format!("the firewall of {hosts} keeps {names} out of port {port}"),
    );
    let own = (all[0].place, format!("connects to port {port} of {hosts}"));
    let rules = facts.openings.iter().filter(|opening| {
        all.iter()
            .any(|outsider| opens(opening, outsider.host, port, Protocol::Tcp))
    });
    let rules = rules.map(|opening| {
        (
            &opening.by.place,
            format!("lets in others: {}", opening.rule),
        )
    });
    labelled(finding, [own].into_iter().chain(rules))
        .help(format!("let the hosts of {names} in too"))
}

/// Rules for ports on which nothing listens.
fn unused(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, u16, Protocol), Vec<&Opening>> = BTreeMap::new();
    for opening in facts.openings.iter().filter(|o| o.rule.port != SSH) {
        let rule = &opening.rule;
        let used = facts.listeners.iter().any(|listener| {
            opens(opening, &listener.host, listener.port, listener.protocol)
                && !listener.bind.is_loopback()
        });
        if !used {
            let key = (&opening.by.place, rule.port, rule.protocol);
            found.entry(key).or_default().push(opening);
        }
    }
    found
        .into_iter()
        .map(|((place, port, protocol), openings)| {
            let hosts = and(openings.iter().map(|opening| &opening.host));
            let finding = Finding::warning(
                "kbz::firewall::unused",
                format!("the firewall of {hosts} opens {port}/{protocol}, where nothing listens"),
            );
            labelled(finding, [(place, "opened here".to_owned())])
                .help("take the rule away, or declare the service that it is for")
        })
        .collect()
}
