//! Connections and health checks on the wrong ports of servers.

use std::collections::BTreeMap;

use super::facts::{Facts, Hop, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;
use crate::resource::{Endpoint, Fitness, FitnessCheck};

/// What a server says to its peers and to those who check it, never to clients.
pub(super) const NOT_FOR_CLIENTS: [&str; 2] = ["rest", "raft"];

/// What can be wrong with a hop to servers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// Clients come to a port that is not for them.
    NotForClients { port: u16, speaks: String },
    /// The check asks a port that cannot tell.
    Check { port: u16, right: u16 },
    /// Nothing is asked.
    Blind { right: u16 },
    /// The check asks for something that every server answers alike.
    Alike { path: String, right: String },
    /// The check asks for something that has another name now.
    Renamed { path: String, now: String },
}

/// One finding for each declaration and mistake.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, Wrong), Vec<(&Hop, &Endpoint)>> = BTreeMap::new();
    for hop in &facts.hops {
        for to in &hop.to {
            for wrong in judge(hop, to, facts) {
                let key = (&hop.by.place, wrong);
                found.entry(key).or_default().push((hop, to));
            }
        }
    }
    found
        .into_iter()
        .map(|((place, wrong), ends)| finding(place, &wrong, &ends, facts))
        .collect()
}

fn judge(hop: &Hop, to: &Endpoint, facts: &Facts) -> Vec<Wrong> {
    let Some(server) = facts.server_at(to.address) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    if let Some(speaks) = facts.speaks(to)
        && NOT_FOR_CLIENTS.contains(&speaks)
    {
        wrong.push(Wrong::NotForClients {
            port: to.port,
            speaks: speaks.to_owned(),
        });
    }
    if let (Some(fitness), Way::Service { check }) = (&server.fitness, &hop.way) {
        // One server alone is a matter of its address, not of its check.
        let blind = hop.to.len() > 1;
        wrong.extend(unfit(check.as_ref(), fitness, blind));
    }
    wrong
}

/// What is wrong with a check, or with having none.
fn unfit(check: Option<&FitnessCheck>, fitness: &Fitness, needed: bool) -> Option<Wrong> {
    let right = fitness.port;
    let Some(check) = check else {
        return needed.then_some(Wrong::Blind { right });
    };
    if check.port != right {
        let port = check.port;
        return Some(Wrong::Check { port, right });
    }
    let path = check.path.split('?').next().unwrap_or_default();
    if fitness.paths.iter().any(|known| known == path) {
        return None;
    }
    let path = path.to_owned();
    Some(match fitness.renamed.iter().find(|(old, _)| *old == path) {
        Some((_, now)) => Wrong::Renamed {
            path,
            now: now.clone(),
        },
        None => Wrong::Alike {
            path,
            right: fitness.paths.first().cloned().unwrap_or_default(),
        },
    })
}

fn finding(place: &Place, wrong: &Wrong, ends: &[(&Hop, &Endpoint)], facts: &Facts) -> Finding {
    let names = and(ends.iter().map(|(hop, _)| &hop.name));
    let servers = and(ends.iter().map(|(_, to)| to.address));
    match wrong {
        Wrong::NotForClients { port, speaks } => {
            let finding = Finding::error(
                "kbz::port::not-for-clients",
                format!(
                    "connections through {names} come to port {port}, where {speaks} is spoken"
                ),
            );
            let label = format!("leads to port {port} of {servers}");
            labelled(finding, [(place, label)]).help(clients_cure(ends[0].1, facts))
        }
        Wrong::Check { port, right } => {
            let finding = Finding::error(
                "kbz::check::wrong-port",
                format!("the check of {names} asks port {port}, which cannot tell who is fit"),
            );
            let label = format!("the servers tell it on port {right}");
            labelled(finding, [(place, label)])
                .help(format!("check port {right}: `server … check port {right}`"))
        }
        Wrong::Blind { right } => {
            let finding = Finding::error(
                "kbz::check::blind",
                format!("nothing tells {names} which server is fit"),
            );
            let label = format!("leads to {servers}, whichever of them leads");
            labelled(finding, [(place, label)]).help(format!(
                "let it check port {right}, where the servers tell it"
            ))
        }
        Wrong::Alike { path, right } => {
            let finding = Finding::error(
                "kbz::check::alike",
                format!("the check of {names} asks for {path}, which every server answers alike"),
            );
            let label = format!("leads to {servers}, whichever of them leads");
            labelled(finding, [(place, label)]).help(format!(
                "ask for {right}, which the leader alone answers with 200"
            ))
        }
        Wrong::Renamed { path, now } => {
            let finding = Finding::warning(
                "kbz::check::renamed",
                format!("the check of {names} asks for {path}, a name of old"),
            );
            let label = format!("it is {now} now");
            labelled(finding, [(place, label)])
                .help(format!("ask for {now}, or lead to the cluster itself"))
        }
    }
}

fn clients_cure(to: &Endpoint, facts: &Facts) -> String {
    let ports = facts.server_at(to.address).map(|server| &server.ports);
    let mut ports = ports.into_iter().flatten();
    match ports.find(|(_, what)| !NOT_FOR_CLIENTS.contains(&what.as_str())) {
        Some((port, what)) => format!(
            "lead to port {port}, where {what} is spoken, and keep {} for the check",
            to.port
        ),
        None => "lead to the port on which the servers serve clients".to_owned(),
    }
}
