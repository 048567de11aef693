//! Databases that the outside can reach.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::facts::{Facts, Hop, Opening, Server, Way};
use super::label::{and, labelled};
use crate::diag::{Finding, Severity};
use crate::ident::Place;
use crate::resource::Endpoint;

/// A shorter prefix than this lets in more than any private network holds.
const WIDEST: u8 = 8;

/// Public balancers before servers, firewalls open to everybody, and servers without a firewall.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = public_balancers(facts);
    findings.extend(open_ports(facts));
    findings.extend(unprotected(facts));
    findings
}

fn public_balancers(facts: &Facts) -> Vec<Finding> {
    let public = |hop: &&Hop| hop.way == Way::Balancer { public: true };
    let mut found: BTreeMap<(&Place, &str), Vec<(&Hop, &Server)>> = BTreeMap::new();
    for hop in facts.hops.iter().filter(public) {
        if let Some(server) = server_behind(&hop.from, facts) {
            let key = (&hop.by.place, hop.name.as_str());
            found.entry(key).or_default().push((hop, server));
        }
    }
    found
        .into_iter()
        .map(|((place, name), ends)| {
            let of = and(ends.iter().map(|(_, server)| &server.of));
            let ports = and(ends.iter().map(|(hop, _)| hop.from.port));
            let finding = Finding::error(
                "kbz::exposure::public",
                format!("{name} offers {of} to the internet"),
            );
            let label = format!("has a public address; its port {ports} leads to {of}");
            labelled(finding, [(place, label)])
                .help("keep it in the private network: take `.public()` away")
        })
        .collect()
}

/// The first server that connections to an endpoint can come to.
fn server_behind<'a>(endpoint: &Endpoint, facts: &'a Facts) -> Option<&'a Server> {
    facts
        .reached_from(endpoint)
        .iter()
        .find_map(|end| facts.server_at(end.address))
}

/// Rules that let everybody in, with the servers that they expose.
type Opened<'a> = BTreeMap<(&'a Place, Severity, u16), Vec<(&'a Opening, &'a Server)>>;

fn open_ports(facts: &Facts) -> Vec<Finding> {
    let mut found: Opened<'_> = BTreeMap::new();
    for opening in facts
        .openings
        .iter()
        .filter(|opening| to_all(opening.rule.from))
    {
        if let Some((severity, server)) = exposed(opening, facts) {
            let key = (&opening.by.place, severity, opening.rule.port);
            found.entry(key).or_default().push((opening, server));
        }
    }
    found
        .into_iter()
        .map(|((place, severity, port), ends)| open_port(place, severity, port, &ends))
        .collect()
}

fn open_port(
    place: &Place,
    severity: Severity,
    port: u16,
    ends: &[(&Opening, &Server)],
) -> Finding {
    let hosts = and(ends.iter().map(|(opening, _)| &opening.host));
    let of = and(ends.iter().map(|(_, server)| &server.of));
    let message = match severity {
        Severity::Error => format!("the firewall opens {of} on {hosts} to everybody"),
        Severity::Warning | Severity::Advice => {
            format!("the firewall lets everybody to {of} through port {port} of {hosts}")
        }
    };
    let code = "kbz::exposure::open-to-all";
    let finding = match severity {
        Severity::Error => Finding::error(code, message),
        Severity::Warning | Severity::Advice => Finding::warning(code, message),
    };
    labelled(
        finding,
        [(place, format!("port {port} is open to everybody"))],
    )
    .help("open it to the private network alone, such as 10.0.0.0/24")
}

/// The server that a rule exposes: one on the host itself, or one behind a service on it.
fn exposed<'a>(opening: &Opening, facts: &'a Facts) -> Option<(Severity, &'a Server)> {
    let address = facts
        .listeners
        .iter()
        .find(|listener| listener.host == opening.host)?
        .address;
    let endpoint = Endpoint {
        address,
        port: opening.rule.port,
    };
    if facts.speaks(&endpoint).is_some() {
        return Some((Severity::Error, facts.server_at(address)?));
    }
    let behind = facts.hops.iter().find(|hop| hop.from == endpoint)?;
    let server = server_behind(&behind.from, facts)?;
    Some((Severity::Warning, server))
}

fn to_all(from: Option<IpNet>) -> bool {
    from.is_none_or(|net| net.prefix_len() < WIDEST)
}

/// Servers on hosts whose firewall nobody declares.
fn unprotected(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str), Vec<String>> = BTreeMap::new();
    for server in &facts.servers {
        let Some(host) = facts.host_of(server.address) else {
            continue;
        };
        if !facts.firewalled.contains_key(host) {
            let key = (&server.by.place, server.of.as_str());
            found.entry(key).or_default().push(host.to_string());
        }
    }
    found
        .into_iter()
        .map(|((place, of), hosts)| {
            let hosts = and(hosts);
            let finding = Finding::warning(
                "kbz::exposure::no-firewall",
                format!("{of} runs on {hosts} without a firewall"),
            );
            labelled(
                finding,
                [(place, "whoever reaches the host reaches it".to_owned())],
            )
            .help("declare a firewall for the host")
        })
        .collect()
}
