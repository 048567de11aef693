//! Connections and health checks on the wrong ports of servers.

use std::collections::BTreeMap;

use super::facts::{Facts, Hop, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;
use crate::resource::Endpoint;

/// What a server says to its peers and to those who check it, never to clients.
const NOT_FOR_CLIENTS: [&str; 2] = ["rest", "raft"];

/// The speech that tells whether a server is fit.
const TELLS_FITNESS: &str = "rest";

/// What can be wrong with a hop to servers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// Clients come to a port that is not for them.
    NotForClients { port: u16, speaks: String },
    /// The check asks a port that cannot tell.
    Check { port: u16, right: u16 },
    /// Nothing is asked.
    Blind { right: u16 },
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
    let tells = server.ports.iter().find(|(_, what)| what == TELLS_FITNESS);
    if let (Some((right, _)), Way::Service { check_port }) = (tells, hop.way) {
        match check_port {
            Some(port) if port == *right => {}
            Some(port) => wrong.push(Wrong::Check {
                port,
                right: *right,
            }),
            // One server alone is a matter of its address, not of its check.
            None if hop.to.len() > 1 => wrong.push(Wrong::Blind { right: *right }),
            None => {}
        }
    }
    wrong
}

fn finding(place: &Place, wrong: &Wrong, ends: &[(&Hop, &Endpoint)], facts: &Facts) -> Finding {
    let names = and(ends.iter().map(|(hop, _)| &hop.name));
    let servers = and(ends.iter().map(|(_, to)| to.address));
    match wrong {
        Wrong::NotForClients { port, speaks } => {
            let finding = Finding::error(
                "kbz::port::not-for-clients",
                format!("{names} hands connections to port {port}, where {speaks} is spoken"),
            );
            let label = format!("leads to port {port} of {servers}");
            labelled(finding, [(place, label)]).help(clients_cure(ends[0].1, facts))
        }
        Wrong::Check { port, right } => {
            let finding = Finding::error(
                "kbz::check::wrong-port",
                format!("{names} asks port {port} whether a server is fit, which cannot tell"),
            );
            let label = format!("the servers tell it on port {right}");
            labelled(finding, [(place, label)])
                .help(format!("check port {right}: `server … check port {right}`"))
        }
        Wrong::Blind { right } => {
            let finding = Finding::error(
                "kbz::check::blind",
                format!("{names} does not ask which server is fit"),
            );
            let label = format!("hands connections to {servers}, whichever of them leads");
            labelled(finding, [(place, label)]).help(format!(
                "let it check port {right}, where the servers tell it"
            ))
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
