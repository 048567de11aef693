//! Addresses of servers where an entry point belongs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::check::NOT_FOR_CLIENTS;
use super::facts::{Facts, Hop, Said, Server, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::Place;

/// Outputs, clients and services that name one server of a cluster.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut named: Vec<(&Place, String, &Server)> = Vec::new();
    for using in facts.advertised.iter().chain(&facts.clients) {
        let server = facts.server_at(using.endpoint.address);
        named.extend(server.map(|server| (&using.by.place, using.who.clone(), server)));
    }
    for (by, name, text) in &facts.exported {
        let addresses = facts.servers.iter().filter(|s| names(text, s.address));
        named.extend(addresses.map(|s| (&by.place, format!("the output `{name}`"), s)));
    }
    for said in &facts.texts {
        named.extend(in_text(said, facts).map(|(who, server)| (&said.by.place, who, server)));
    }
    for hop in facts.hops.iter().filter(|hop| is_one_of_many(hop, facts)) {
        let server = hop.to.first().and_then(|to| facts.server_at(to.address));
        named.extend(server.map(|server| (&hop.by.place, hop.name.clone(), server)));
    }
    folded(named, facts)
}

/// One finding for each declaration and cluster.
fn folded(named: Vec<(&Place, String, &Server)>, facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str), Vec<(String, &Server)>> = BTreeMap::new();
    for (place, who, server) in named {
        let key = (place, server.of.as_str());
        found.entry(key).or_default().push((who, server));
    }
    found
        .into_iter()
        .map(|((place, of), uses)| finding(place, of, &uses, facts))
        .collect()
}

fn finding(place: &Place, of: &str, uses: &[(String, &Server)], facts: &Facts) -> Finding {
    let who = and(uses.iter().map(|(who, _)| who));
    let addresses = and(uses.iter().map(|(_, server)| server.address));
    let server = uses[0].1;
    let finding = Finding::error(
        "kbz::endpoint::node-address",
        format!("{who}: a server of {of} ({addresses}) where an entry point belongs"),
    );
    let labels = [
        (place, format!("leads to {addresses} alone, whoever leads")),
        (
            &server.by.place,
            format!("{} is one server of {of}", server.address),
        ),
    ];
    labelled(finding, labels).help(cure(server, facts))
}

fn cure(server: &Server, facts: &Facts) -> String {
    let entries = facts.entries_to(server);
    if entries.is_empty() {
        return "put a service before the cluster that asks it who leads, and name that".to_owned();
    }
    let entries = entries
        .iter()
        .map(|(name, entry)| format!("{entry} ({name})"));
    format!("use {}: it leads to a server that is fit", and(entries))
}

/// A service that hands everything to one server of a cluster with several.
fn is_one_of_many(hop: &Hop, facts: &Facts) -> bool {
    let ([only], Way::Service { .. }) = (hop.to.as_slice(), &hop.way) else {
        return false;
    };
    let Some(server) = facts.server_at(only.address) else {
        return false;
    };
    // A service on the server's own host serves that host: it is no way to the cluster.
    let of_cluster = facts.servers.iter().filter(|other| other.of == server.of);
    only.address != hop.from.address && of_cluster.count() > 1
}

/// Servers that clients are sent to by a text: by a URL, or as the value of a `host`.
fn in_text<'a>(
    said: &'a Said,
    facts: &'a Facts,
) -> impl Iterator<Item = (String, &'a Server)> + 'a {
    let lines = (1..).zip(said.text.lines());
    lines.flat_map(move |(number, line)| {
        let sent = facts.servers.iter().filter(move |s| sends(line, s));
        sent.map(move |server| (format!("{} (line {number})", said.place), server))
    })
}

fn sends(line: &str, server: &Server) -> bool {
    let ends = line.split("://").zip(line.split("://").skip(1));
    let by_url = ends.into_iter().any(|(before, rest)| {
        let authority = rest
            .split(['/', '?', ' ', '"', '\''])
            .next()
            .unwrap_or(rest);
        let hosts = authority.rsplit('@').next().unwrap_or(authority).split(',');
        let database = before.ends_with("postgresql") || before.ends_with("postgres");
        hosts
            .into_iter()
            .any(|host| is_served(host, server, database))
    });
    by_url || names_as_host(line, server.address)
}

/// Whether `ADDRESS[:PORT]` is where a server serves clients; without a port, where the scheme
/// of the URL is the one of its clients.
fn is_served(host: &str, server: &Server, of_clients: bool) -> bool {
    let (address, port) = host.split_once(':').unwrap_or((host, ""));
    let is_for_clients = |(known, speaks): &(u16, String)| {
        known.to_string() == port && !NOT_FOR_CLIENTS.contains(&speaks.as_str())
    };
    let reached = of_clients || server.ports.iter().any(is_for_clients);
    reached && address.parse() == Ok(server.address)
}

/// `host=10.0.0.120`, `DB_HOST: "10.0.0.120"` and the like.
fn names_as_host(line: &str, address: IpAddr) -> bool {
    let text = address.to_string();
    line.match_indices(&text).any(|(at, _)| {
        let before = line[..at].trim_end_matches([' ', '"', '\'']);
        let name = before.trim_end_matches(['=', ':']);
        let named = name.trim_end_matches([' ', '"', '\'']).to_ascii_lowercase();
        let follows = !line[at + text.len()..].starts_with(|c: char| c.is_ascii_digit());
        name.len() < before.len() && follows && named.ends_with("host")
    })
}

/// Whether a text has an address as a word of its own.
fn names(text: &str, address: IpAddr) -> bool {
    let address = address.to_string();
    let part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    text.match_indices(&address).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + address.len()..].chars();
        let ends = match after.next() {
            // A full stop ends a sentence, or goes on with the address.
            Some('.') => !after.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => !part(c),
            None => true,
        };
        ends && !before.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_word() {
        let address: IpAddr = [10, 0, 0, 12].into();
        for text in [
            "postgresql://u@10.0.0.12:5432/db",
            "10.0.0.12",
            "10.0.0.11,10.0.0.12",
            "at 10.0.0.12.",
        ] {
            assert!(names(text, address), "{text}");
        }
        for text in ["10.0.0.120", "110.0.0.12", "10.0.0.12.1", "1.10.0.0.12"] {
            assert!(!names(text, address), "{text}");
        }
    }
}
