//! A Patroni cluster made of primitives, as a component with a group.

use std::collections::BTreeMap;

use kbz_infra::effect::{Condition, Gate};
use kbz_infra::ident::{HostName, StackName, Urn};
use kbz_infra::plan::{Group, Leadership};
use kbz_infra::prelude::*;
use kbz_infra::primitive::{Container, Image, Supervision};
use kbz_infra::probe::{Cluster, PatroniAccess, PgAccess, Probe, RaftAccess, Site};
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::GroupName;
use kbz_infra::sim::World;
use serde_json::json;

use crate::names::{host, stack};

/// The nodes of the cluster.
pub const NODES: [(&str, &str); 3] = [
    ("db-1", "10.0.0.120"),
    ("db-2", "10.0.0.121"),
    ("db-3", "10.0.0.122"),
];

/// The hosts for anything else.
pub const OTHERS: [(&str, &str); 2] = [("app-1", "10.0.0.11"), ("app-2", "10.0.0.12")];

/// The nodes by name.
pub fn members() -> Vec<HostName> {
    NODES.iter().map(|(name, _)| host(name)).collect()
}

/// Fresh hosts: three for a cluster, two for anything.
///
/// # Panics
/// Never: the addresses above are good ones.
pub fn world() -> World {
    let hosts = NODES.iter().chain(&OTHERS);
    World::empty(
        stack(),
        hosts.map(|(name, address)| (host(name), address.parse().unwrap())),
    )
}

/// The cluster itself.
///
/// # Panics
/// Never: the addresses above are good ones.
pub fn patroni() -> Site {
    Site::from(PatroniAccess {
        scope: "pg".to_owned(),
        members: members(),
        port: 8008,
        user: "patroni".to_owned(),
        password: SecretRef::new("SUPER"),
        raft: RaftAccess {
            addresses: NODES.map(|(_, address)| address.parse().unwrap()).into(),
            port: 7000,
            password: SecretRef::new("PATRONI_RAFT_PASS"),
        },
    })
}

/// The first node's own server: the leader, unless a test moves it.
pub fn postgres() -> PgAccess {
    PgAccess {
        via: members(),
        address: NODES[0].1.to_owned(),
        port: 5432,
        user: "postgres".to_owned(),
        password: SecretRef::new("SUPER"),
    }
}

/// What must hold before the next node is disturbed.
pub fn gate() -> Gate {
    Gate {
        probe: Probe::at(&patroni(), Cluster {}),
        condition: Condition::ClusterHealthy {
            voters: 3,
            synchronous: 1,
            max_lag: 1 << 20,
        },
        settle: 0,
        deadline: 60,
    }
}

/// A cluster whose nodes have an edition of their configuration and of their image each.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// The edition of each node's configuration, where it is not 0.
    pub configuration: BTreeMap<HostName, u32>,
    /// The edition of the image.
    pub image: u32,
}

impl Default for Postgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Postgres {
    /// The first edition of everything.
    pub fn new() -> Self {
        Self {
            configuration: BTreeMap::new(),
            image: 1,
        }
    }

    /// Another edition of a node's configuration.
    #[must_use]
    pub fn configured(mut self, host: &HostName, edition: u32) -> Self {
        self.configuration.insert(host.clone(), edition);
        self
    }

    /// Another edition of the image.
    #[must_use]
    pub fn image(mut self, image: u32) -> Self {
        self.image = image;
        self
    }

    /// A program of this cluster alone.
    pub fn program(&self) -> Program {
        self.program_of(stack())
    }

    /// The same as a program of another stack.
    ///
    /// # Panics
    /// Never: the cluster alone is a good program.
    pub fn program_of(&self, name: StackName) -> Program {
        let mut stack = Stack::new(name, Settings::new("."));
        stack.add(self.clone());
        stack.finish().unwrap()
    }

    fn yaml(&self, node: &HostName, address: &str) -> String {
        let partners = NODES.iter().filter(|(_, other)| *other != address);
        let partners: Vec<String> = partners.map(|(_, other)| format!("{other}:7000")).collect();
        let edition = self.configuration.get(node).copied().unwrap_or_default();
        json!({
            "edition": edition,
            "scope": "pg",
            "restapi": {"connect_address": format!("{address}:8008")},
            "raft": {"self_addr": format!("{address}:7000"), "partner_addrs": partners},
            "bootstrap": {"dcs": {"synchronous_mode": true}},
            "postgresql": {
                "connect_address": format!("{address}:5432"),
                "data_dir": "/data/pg",
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "repl"},
                },
            },
        })
        .to_string()
    }
}

const UNIT: &str = "patroni-docker.service";
const UNIT_TEXT: &str = "[Service]\nExecStart=/usr/bin/docker start --attach patroni\n\
                         ExecReload=/usr/bin/docker kill --signal=HUP patroni\nRestart=always\n";

impl Component for Postgres {
    fn urn(&self) -> Urn {
        Urn::global("postgres", "pg")
    }

    fn expand(&self, scope: &mut kbz_infra::program::Scope<'_>) -> Result<()> {
        let group = GroupName("pg".to_owned());
        for (name, address) in NODES {
            let node = host(name);
            let image = format!("kbz/patroni:{}", self.image);
            let config = scope.add(Directory::on(&node, "/opt/patroni"));
            let data = scope.add(Directory::on(&node, "/opt/data").remove_with_contents());
            let yaml =
                File::on(&node, "/opt/patroni/patroni.yml").content(self.yaml(&node, address));
            let yaml = scope.add(yaml.depends_on(&config));
            let image = scope.add(Image::on(&node, &image));
            let container = Container::on(&node, "patroni", image.reference())
                .writes("/opt/patroni", "/etc/patroni")
                .writes("/opt/data", "/data")
                .supervised_by(Supervision::systemd(UNIT))
                .after([
                    image.urn().clone(),
                    data.urn().clone(),
                    config.urn().clone(),
                ])
                .member_of(&group, &node);
            let container = scope.add(container);
            let file = File::on(&node, format!("/etc/systemd/system/{UNIT}")).content(UNIT_TEXT);
            let file = scope.add(file);
            let used = [yaml.urn(), container.urn(), file.urn()].map(Clone::clone);
            let unit = SystemdUnit::on(&node, UNIT).restart_on(used.clone());
            scope.add(unit.after(used).member_of(&group, &node));
        }
        scope.group(Group {
            name: group,
            members: members(),
            gate: Some(gate()),
            leadership: Some(Leadership {
                probe: Probe::at(&patroni(), Cluster {}),
                site: patroni(),
                timing: None,
            }),
            drain: None,
        });
        Ok(())
    }
}
