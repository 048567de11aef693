//! What runs inside the modelled containers that the data plane consists of.
//!
//! A service is what its configuration said when it last read it: at the start of its container
//! and at a reload. So a reload that was forgotten shows. Which service a container runs follows
//! from the configuration file in its mounts; containers without one do nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::Files;
use crate::model::ContainerSpec;

/// A service of the data plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Service {
    /// PostgreSQL under Patroni.
    Patroni(Box<PatroniNode>),
    /// HAProxy with its frontends.
    Haproxy(Vec<Frontend>),
    /// PgBouncer.
    Pgbouncer(Pooler),
}

/// A node of a Patroni cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PatroniNode {
    pub(super) scope: String,
    pub(super) raft: SocketAddr,
    pub(super) partners: Vec<SocketAddr>,
    pub(super) postgres_port: u16,
    pub(super) rest_port: u16,
    /// The data directory on the host; `None` where the container alone holds it.
    pub(super) data: Option<String>,
    pub(super) dcs: Value,
    pub(super) superuser: String,
    pub(super) replication: String,
}

/// A port of HAProxy and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Frontend {
    pub(super) port: u16,
    /// In the order in which they are tried.
    pub(super) backends: Vec<Backend>,
}

/// Servers of HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Backend {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) wants: Wanted,
}

/// Which role a server must have to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Wanted {
    /// Any.
    #[default]
    Any,
    /// The leader of its cluster.
    Primary,
    /// A replica.
    Replica,
}

/// PgBouncer's port and the server behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pooler {
    pub(super) port: u16,
    pub(super) upstream: SocketAddr,
}

/// The names of the configuration files that make a container a service.
pub(super) const CONFIGURATIONS: [&str; 3] = ["patroni.yml", "haproxy.cfg", "pgbouncer.ini"];

impl Service {
    /// The service that a container is, by the configuration in its mounts.
    pub(super) fn of(spec: &ContainerSpec, files: &Files) -> Option<Self> {
        CONFIGURATIONS.iter().find_map(|name| {
            let mut sources = spec.mounts.values().map(|mount| &mount.source);
            let text = sources.find_map(|source| files.text(&format!("{source}/{name}")))?;
            match *name {
                "patroni.yml" => patroni(text, spec).map(|node| Self::Patroni(Box::new(node))),
                "haproxy.cfg" => Some(Self::Haproxy(haproxy(text))),
                _ => pgbouncer(text).map(Self::Pgbouncer),
            }
        })
    }

    pub(super) fn patroni(&self) -> Option<&PatroniNode> {
        match self {
            Self::Patroni(node) => Some(node),
            Self::Haproxy(_) | Self::Pgbouncer(_) => None,
        }
    }

    /// The ports that it listens on.
    pub(super) fn ports(&self) -> Vec<u16> {
        match self {
            Self::Patroni(node) => vec![node.postgres_port, node.rest_port, node.raft.port()],
            Self::Haproxy(frontends) => frontends.iter().map(|front| front.port).collect(),
            Self::Pgbouncer(pooler) => vec![pooler.port],
        }
    }
}

/// The part of `patroni.yml` that the model needs.
#[derive(Deserialize)]
struct PatroniFile {
    scope: String,
    restapi: RestApi,
    raft: Raft,
    bootstrap: Bootstrap,
    postgresql: Postgresql,
}

#[derive(Deserialize)]
struct RestApi {
    connect_address: String,
}

#[derive(Deserialize)]
struct Raft {
    self_addr: SocketAddr,
    #[serde(default)]
    partner_addrs: Vec<SocketAddr>,
}

#[derive(Deserialize)]
struct Bootstrap {
    dcs: Value,
}

#[derive(Deserialize)]
struct Postgresql {
    connect_address: String,
    data_dir: String,
    authentication: Authentication,
}

#[derive(Deserialize)]
struct Authentication {
    superuser: Login,
    replication: Login,
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

fn patroni(text: &str, spec: &ContainerSpec) -> Option<PatroniNode> {
    let file: PatroniFile = serde_saphyr::from_str(text).ok()?;
    Some(PatroniNode {
        scope: file.scope,
        raft: file.raft.self_addr,
        partners: file.raft.partner_addrs,
        postgres_port: port(&file.postgresql.connect_address)?,
        rest_port: port(&file.restapi.connect_address)?,
        data: on_host(spec, &file.postgresql.data_dir),
        dcs: file.bootstrap.dcs,
        superuser: file.postgresql.authentication.superuser.username,
        replication: file.postgresql.authentication.replication.username,
    })
}

/// Where a path inside a container is on the host.
fn on_host(spec: &ContainerSpec, inside: &str) -> Option<String> {
    let mut mounts = spec.mounts.iter().rev();
    mounts.find_map(|(point, mount)| {
        let rest = inside.strip_prefix(point.as_str())?;
        let below = rest.is_empty() || rest.starts_with('/');
        below.then(|| format!("{}{rest}", mount.source))
    })
}

fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

/// The frontends of a `haproxy.cfg`, with the servers of their backends.
fn haproxy(text: &str) -> Vec<Frontend> {
    let sections = sections(text);
    let backends: BTreeMap<&str, Backend> = sections
        .iter()
        .filter(|section| matches!(section.kind, "backend" | "listen"))
        .map(|section| (section.name, backend(section)))
        .collect();
    let fronts = sections.iter();
    fronts
        .filter(|section| matches!(section.kind, "frontend" | "listen"))
        .flat_map(|section| frontends(section, &backends))
        .collect()
}

/// A part of `haproxy.cfg`, such as `backend pg_write`, with the words of its lines.
struct Section<'a> {
    kind: &'a str,
    name: &'a str,
    lines: Vec<Vec<&'a str>>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        if line.starts_with(char::is_whitespace) {
            if let Some(section) = sections.last_mut() {
                section.lines.push(words);
            }
        } else {
            let name = words.get(1).copied().unwrap_or_default();
            let (kind, lines) = (*first, Vec::new());
            sections.push(Section { kind, name, lines });
        }
    }
    sections
}

fn frontends(section: &Section<'_>, backends: &BTreeMap<&str, Backend>) -> Vec<Frontend> {
    let named = |keyword: &'static str| {
        let lines = section.lines.iter().filter(move |line| line[0] == keyword);
        lines.filter_map(|line| line.get(1).copied())
    };
    let chosen = named("default_backend").chain(named("use_backend"));
    let own = (section.kind == "listen").then_some(section.name);
    let leads_to: Vec<Backend> = chosen
        .chain(own)
        .filter_map(|name| backends.get(name).cloned())
        .collect();
    let binds = named("bind").filter_map(port);
    binds
        .map(|port| Frontend {
            port,
            backends: leads_to.clone(),
        })
        .collect()
}

fn backend(section: &Section<'_>) -> Backend {
    let mut backend = Backend::default();
    for line in &section.lines {
        if line[0] == "server" {
            backend.servers.extend(
                line.get(2)
                    .and_then(|address| address.parse::<SocketAddr>().ok()),
            );
        } else if line.iter().any(|word| word.starts_with("/primary")) {
            backend.wants = Wanted::Primary;
        } else if line.iter().any(|word| word.starts_with("/replica")) {
            backend.wants = Wanted::Replica;
        }
    }
    backend
}

/// The port of a `pgbouncer.ini`, and the server of its first database.
fn pgbouncer(text: &str) -> Option<Pooler> {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find_map(|(name, value)| (name.trim() == key).then(|| value.trim()))
    };
    let database = text.lines().find(|line| line.contains("host="))?;
    let word = |key: &str| {
        let mut words = database.split_whitespace();
        words.find_map(|word| word.strip_prefix(key))
    };
    let host: IpAddr = word("host=")?.parse().ok()?;
    let server_port = word("port=").and_then(|port| port.parse().ok());
    Some(Pooler {
        port: value("listen_port")?.parse().ok()?,
        upstream: SocketAddr::new(host, server_port.unwrap_or(5432)),
    })
}
