//! Servers of a cluster that stand straight behind a balancer.

use std::collections::BTreeMap;

use super::facts::{Facts, Hop, Server, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;

/// What leads straight to servers, by declaration, balancer and cluster.
type Found<'a> = BTreeMap<(&'a Place, &'a str, &'a str), Vec<(&'a Hop, &'a Server)>>;

/// A balancer must lead to services that know which server is fit, never to the servers.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: Found<'_> = BTreeMap::new();
    for hop in &facts.hops {
        if !matches!(hop.way, Way::Balancer { .. }) {
            continue;
        }
        for to in &hop.to {
            if let Some(server) = facts.server_at(to.address) {
                let key = (&hop.by.place, hop.name.as_str(), server.of.as_str());
                found.entry(key).or_default().push((hop, server));
            }
        }
    }
    found
        .into_iter()
        .map(|((_, name, of), ends)| finding(name, of, &ends, facts))
        .collect()
}

fn finding(name: &str, of: &str, ends: &[(&Hop, &Server)], facts: &Facts) -> Finding {
    let addresses = and(ends.iter().map(|(_, server)| server.address));
    let message = format!("{name} has servers of {of} as its targets");
    let hop = ends[0].0;
    let own = (&hop.by.place, format!("leads straight to {addresses}"));
    let servers = ends.iter().map(|(_, server)| {
        let what = format!("{} is a server of {of}", server.address);
        (&server.by.place, what)
    });
    let finding = Finding::error("kbz::topology::server-behind-balancer", message);
    labelled(finding, [own].into_iter().chain(servers)).help(cure(ends[0].1, facts))
}

/// Names the services that lead to the server, where there are some.
fn cure(server: &Server, facts: &Facts) -> String {
    let leads = |hop: &&Hop| {
        let to_server = hop.to.iter().any(|to| to.address == server.address);
        to_server && matches!(hop.way, Way::Service { .. })
    };
    let services: Vec<String> = facts
        .hops
        .iter()
        .filter(leads)
        .map(|hop| hop.name.clone())
        .collect();
    if services.is_empty() {
        "a balancer cannot tell the leader from the others; put a service between that asks the \
         cluster who leads, and make its hosts the targets"
            .to_owned()
    } else {
        format!(
            "make {} the targets: they ask the cluster which server is fit",
            and(services)
        )
    }
}
