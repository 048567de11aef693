//! Short ways to state claims.

use crate::ident::HostName;
use crate::model::{FirewallRule, Protocol};
use crate::resource::{Claim, Endpoint, Fitness, FitnessCheck};

/// A host by name and address.
pub(super) type Host<'a> = (&'a str, &'a str);

pub(super) const DB: [Host<'_>; 3] = [
    ("db-master-01", "10.0.0.120"),
    ("db-slave-01", "10.0.0.121"),
    ("db-slave-02", "10.0.0.122"),
];
pub(super) const LB: [Host<'_>; 2] = [("haproxy-01", "10.0.0.11"), ("haproxy-02", "10.0.0.12")];
/// The address of the load balancer.
pub(super) const ENTRY: Host<'_> = ("lb-haproxy", "10.0.0.10");

fn name(host: Host<'_>) -> HostName {
    HostName::new(host.0).unwrap()
}

pub(super) fn at(host: Host<'_>, port: u16) -> Endpoint {
    Endpoint {
        address: host.1.parse().unwrap(),
        port,
    }
}

fn ends<'a>(to: impl IntoIterator<Item = (Host<'a>, u16)>) -> Vec<Endpoint> {
    to.into_iter().map(|(host, port)| at(host, port)).collect()
}

pub(super) fn listens(host: Host<'_>, bind: &str, port: u16, service: &str) -> Claim {
    Claim::Listens {
        host: name(host),
        bind: bind.parse().unwrap(),
        address: host.1.parse().unwrap(),
        port,
        protocol: Protocol::Tcp,
        service: service.to_owned(),
        remote: true,
    }
}

pub(super) fn balances<'a>(
    port: u16,
    to: impl IntoIterator<Item = (Host<'a>, u16)>,
    public: bool,
) -> Claim {
    Claim::Balances {
        balancer: ENTRY.0.to_owned(),
        entry: at(ENTRY, port),
        to: ends(to),
        public,
    }
}

pub(super) fn forwards<'a>(
    host: Host<'_>,
    service: &str,
    port: u16,
    to: impl IntoIterator<Item = (Host<'a>, u16)>,
    check_port: Option<u16>,
) -> Claim {
    let check = check_port.map(|port| FitnessCheck {
        port,
        path: "/primary".to_owned(),
    });
    Claim::Forwards {
        service: format!("{service}@{}", host.0),
        from: at(host, port),
        to: ends(to),
        check,
    }
}

pub(super) fn node(host: Host<'_>, of: &str) -> Claim {
    let ports = match of {
        "PostgreSQL" => vec![(5432, "sql"), (8008, "rest"), (7000, "raft")],
        _ => vec![(9000, "s3")],
    };
    let fitness = Fitness {
        port: 8008,
        paths: vec!["/primary".to_owned()],
        renamed: vec![("/master".to_owned(), "/primary".to_owned())],
    };
    Claim::Node {
        fitness: (of == "PostgreSQL").then_some(fitness),
        of: of.to_owned(),
        address: host.1.parse().unwrap(),
        ports: ports
            .into_iter()
            .map(|(port, what)| (port, what.to_owned()))
            .collect(),
    }
}

pub(super) fn voters(group: &str, members: &[Host<'_>]) -> Claim {
    Claim::Voters {
        group: group.to_owned(),
        members: members.iter().map(|host| name(*host)).collect(),
    }
}

pub(super) fn image(reference: &str) -> Claim {
    Claim::Image {
        reference: reference.to_owned(),
    }
}

pub(super) fn opens(host: Host<'_>, port: u16, from: Option<&str>) -> Claim {
    Claim::Opens {
        host: name(host),
        rule: FirewallRule {
            port,
            protocol: Protocol::Tcp,
            from: from.map(|net| net.parse().unwrap()),
        },
    }
}

pub(super) fn firewalled(host: Host<'_>) -> Claim {
    Claim::Firewalled { host: name(host) }
}

pub(super) fn clear_text(place: &str, text: &str) -> Claim {
    Claim::Says {
        place: place.to_owned(),
        text: text.to_owned(),
        private: false,
        holds_secret: false,
    }
}

pub(super) fn stores(host: Host<'_>, path: &str) -> Claim {
    Claim::StoresData {
        host: name(host),
        path: path.to_owned(),
    }
}

pub(super) fn writes(host: Host<'_>, path: &str, who: &str) -> Claim {
    Claim::WritesTo {
        host: name(host),
        path: path.to_owned(),
        who: who.to_owned(),
    }
}
