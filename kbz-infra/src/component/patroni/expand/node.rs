//! What a node is made of: ports, folders, settings, container and unit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::component::patroni::cluster::{CONTAINER, PatroniCluster};
use crate::component::patroni::memory::{HostFacts, MemoryBudget};
use crate::component::patroni::node::PatroniNode;
use crate::component::patroni::node_config::{
    Locale, NodeConfig, NodeConfigError, Tags, data_dir, paths,
};
use crate::component::patroni::patroni_image::PatroniImage;
use crate::component::unit::Unit;
use crate::component::{BaseOs, ServiceImage, Supervise, data_directory, error_chain};
use crate::diag::{Finding, SourceLocation};
use crate::effect::Owner;
use crate::ident::{HostName, Urn};
use crate::model::{FirewallRule as Rule, Protocol};
use crate::primitive::{
    Container, Directory, File, FirewallRule, ServerFiles, Supervision, SystemdUnit,
};
use crate::probe::{Facts, Probe, Site};
use crate::program::{Component, DeclareExt as _, Handle, Result, Scope, Settings};
use crate::resource::{Claim, Content, Fitness, PlanError};

/// The folders of a node on its host.
const DATA: &str = "/opt/keybuzz/postgres/data";
const RAFT: &str = "/opt/keybuzz/postgres/raft";
/// The user inside the image that owns them.
const USER: &str = "postgres";
/// The limit of `/dev/shm`: where parallel queries keep their hash tables. A limit and no
/// reservation, so it may be generous; Docker's own 64 MB break such queries.
const SHM: u64 = 1 << 30;
/// A clean shutdown writes a checkpoint; Docker's own 10 s would end in a kill.
const STOP_GRACE: u32 = 120;
/// What Patroni's REST API answers according to the role of the node; the leader's own first.
const TELLING: [&str; 10] = [
    "/primary",
    "/read-write",
    "/leader",
    "/replica",
    "/read-only",
    "/standby-leader",
    "/synchronous",
    "/sync",
    "/asynchronous",
    "/async",
];

impl PatroniNode {
    /// The file with the node's settings, and what is to be in it.
    pub(super) fn settings(&self, scope: &Scope<'_>) -> Result<(&'static str, Content)> {
        let content = self.expansion(scope)?.settings(scope)?;
        Ok((paths::CONFIG_FILE, content))
    }

    /// What starts PostgreSQL on the node anew when it changes.
    pub(super) fn started_by(&self) -> [Urn; 2] {
        let unit = Unit::patroni(DATA).name();
        [
            Urn::on(Container::KIND, &self.host, CONTAINER),
            Urn::on(SystemdUnit::KIND, &self.host, unit),
        ]
    }

    fn expansion(&self, scope: &Scope<'_>) -> Result<Expansion<'_>> {
        let cluster = self.cluster.as_ref();
        let cluster = cluster.ok_or_else(|| self.missing("cluster", scope))?;
        let image = self.image.as_ref();
        let image = image.ok_or_else(|| self.missing("image", scope))?;
        Expansion::new(self, cluster, image, scope)
    }

    fn missing(&self, what: &str, scope: &Scope<'_>) -> Finding {
        Finding::error(
            "kbz::patroni::node",
            format!("the node on {} has no {what}", self.host),
        )
        .label(SourceLocation::from(scope.place()), "declared here")
        .help(format!("give it one: .{what}(&{what})"))
    }
}

impl Component for PatroniNode {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, self.host.as_str())
    }

    fn summary(&self) -> String {
        format!("PostgreSQL {}", self.major())
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        self.expansion(scope)?.declare(scope)
    }
}

/// What the parts of one node share while they are declared.
struct Expansion<'a> {
    node: &'a PatroniNode,
    cluster: &'a Handle<PatroniCluster>,
    image: ServiceImage,
    members: Vec<(HostName, IpAddr)>,
    after: Vec<Urn>,
}

impl<'a> Expansion<'a> {
    fn new(
        node: &'a PatroniNode,
        cluster: &'a Handle<PatroniCluster>,
        image: &Handle<PatroniImage>,
        scope: &Scope<'_>,
    ) -> Result<Self> {
        Ok(Self {
            node,
            cluster,
            image: image.source_in(scope)?,
            members: cluster.addresses(scope),
            after: BaseOs::of(scope, &node.host).into_iter().collect(),
        })
    }

    fn declare(&self, scope: &mut Scope<'_>) -> Result<()> {
        let host = &self.node.host;
        self.claims(scope);
        BaseOs::declare_reboot(scope, host, Some(&self.cluster.group_name()));
        let raft = self.firewall(scope);
        let image = self.image.declare_on(scope, host, Some(USER));
        let folders = self.folders(scope, &image);
        let settings = File::on(host, paths::CONFIG_FILE)
            .content(self.settings(scope)?)
            .owner(self.owner());
        let settings = settings.after([folders[0].clone()]);
        let settings = scope.add(settings).urn().clone();
        let unit = Unit::patroni(DATA);
        let container = scope.add(
            self.container(scope.settings())
                .supervised_by(Supervision::systemd(unit.name()))
                .after(folders)
                .after([settings.clone(), image])
                .member_of(&self.cluster.group_name(), host),
        );
        let native = scope.add(SystemdUnit::on(host, "postgresql.service").stopped());
        let service = unit.name();
        Supervise::new(host, unit, container.urn())
            .reload_on([settings])
            .after(self.after.iter().cloned())
            .after([native.urn().clone()])
            .after(raft)
            .member_of(&self.cluster.group_name())
            .declare(scope)?;
        self.files(service, scope)
    }

    /// Keeps what Patroni and the server have written as it is declared.
    fn files(&self, service: String, scope: &mut Scope<'_>) -> Result<()> {
        let folder = format!("{DATA}/{}", self.node.major());
        let starts = self.node.started_by();
        let server = self.cluster.server_on(self.node, scope)?;
        let files = ServerFiles::of(&self.node.host, folder, &server, service)
            .settings(paths::CONFIG_FILE, self.settings(scope)?)
            .started_by(starts.clone());
        scope.add(files.after(starts));
        Ok(())
    }

    /// Opens exactly the ports that the members and the clients need, and tells which of the rules
    /// a member cannot start without: those by which it finds the others. Nobody connects to a
    /// server that is not there, so the rest takes its second while that comes up.
    fn firewall(&self, scope: &mut Scope<'_>) -> Vec<Urn> {
        let ports = self.cluster.ports();
        let checked = BaseOs::checked(scope, &self.node.host);
        let peers = self
            .members
            .iter()
            .filter(|(name, _)| *name != self.node.host);
        let peers: BTreeSet<IpNet> = peers.map(|(_, address)| IpNet::from(*address)).collect();
        let mut everybody: BTreeSet<IpNet> = self.cluster.client_networks().clone();
        // A rule costs a host a good part of a second, and one that another covers says nothing.
        let covered = |peer: &IpNet| everybody.iter().any(|network| network.contains(peer));
        let others: Vec<IpNet> = peers
            .iter()
            .filter(|peer| !covered(peer))
            .copied()
            .collect();
        everybody.extend(others);
        let rules = [
            (ports.raft, &peers),
            (ports.rest, &everybody),
            (ports.postgres, &everybody),
        ];
        let mut raft = Vec::new();
        for (port, sources) in rules {
            for from in sources {
                let rule = Rule {
                    port,
                    protocol: Protocol::Tcp,
                    from: Some(*from),
                };
                let rule = FirewallRule::on(&self.node.host, rule).after(checked.clone());
                let rule = scope.add(rule).urn().clone();
                raft.extend((port == ports.raft).then_some(rule));
            }
        }
        raft
    }

    fn folders(&self, scope: &mut Scope<'_>, image: &Urn) -> Vec<Urn> {
        let host = &self.node.host;
        let data = data_directory(host, DATA, scope.settings()).for_data();
        let folder = |path: &str| Directory::on(host, path);
        let after = || self.after.iter().cloned().chain([image.clone()]);
        [folder(paths::CONFIG_DIR), data, folder(RAFT).for_data()]
            .map(|folder| folder.mode(0o700).owner(self.owner()).after(after()))
            .map(|folder| scope.add(folder).urn().clone())
            .into()
    }

    fn owner(&self) -> Owner {
        Owner::InImage {
            reference: self.image.reference(),
            user: USER.to_owned(),
        }
    }

    /// `patroni.yml`, whose memory settings are a function of the host's facts.
    fn settings(&self, scope: &Scope<'_>) -> Result<Content> {
        let host = &self.node.host;
        let config = self.node_config(scope)?;
        // What is wrong whatever the facts are is told now, with the declarations. Of the number
        // of voters the cluster tells.
        let refused = config.render().err();
        if let Some(error) = refused.filter(|error| !matches!(error, NodeConfigError::Voters(_))) {
            return Err(Finding::error("kbz::patroni::config", error_chain(&error))
                .label(
                    SourceLocation::from(scope.place_of(self.cluster)),
                    "its cluster",
                )
                .label(SourceLocation::from(scope.place()), "a node")
                .help("change the declaration of the cluster, or of the node")
                .into());
        }
        let site = Site::Host(host.clone());
        Ok(Content::from_facts(
            [Probe::host(host, Facts::PLAIN)],
            move |context| {
                let facts = context.ask(&site, &Facts::PLAIN)?;
                let mut config = config.clone();
                config.facts = HostFacts {
                    ram_bytes: facts.memory,
                    cpus: facts.cpus,
                };
                config.render().map_err(|error| PlanError::Refused {
                    what: error_chain(&error),
                    help: "change the cluster's declaration, or the host".to_owned(),
                })
            },
        ))
    }

    fn node_config(&self, scope: &Scope<'_>) -> Result<NodeConfig> {
        let secrets = self.cluster.secrets(scope)?;
        let partners = self
            .members
            .iter()
            .filter(|(name, _)| *name != self.node.host);
        let major = self.node.major();
        Ok(NodeConfig {
            scope: self.cluster.name().to_owned(),
            name: self.node.host.clone(),
            address: self.node.address,
            partners: partners.map(|(_, address)| *address).collect(),
            ports: self.cluster.ports(),
            major,
            raft_dir: paths::RAFT_DIR.to_owned(),
            data_dir: data_dir(major),
            superuser: secrets.superuser(),
            replication: secrets.replication(),
            rewind: None,
            rest_api: secrets.rest_api(),
            raft_password: secrets.raft_password(),
            facts: HostFacts {
                ram_bytes: 4 << 30,
                cpus: 2,
            },
            memory: scope
                .settings()
                .memory_budget
                .map_or(MemoryBudget::Host, MemoryBudget::Bytes),
            parameters: BTreeMap::new(),
            clients: self.cluster.client_networks().clone(),
            locale: Locale::default(),
            bootstrap: self.cluster.dcs_config(major, self.members.len()),
            tags: Tags::default(),
        })
    }

    fn container(&self, settings: &Settings) -> Container {
        Container::on(&self.node.host, CONTAINER, self.image.reference())
            .reads(paths::CONFIG_DIR, paths::CONFIG_DIR)
            .writes(DATA, paths::DATA_MOUNT)
            .writes(RAFT, paths::RAFT_DIR)
            .shm_size(SHM)
            .nofile(settings.open_files)
            .cap_drop("ALL")
            .stop_grace(STOP_GRACE)
    }

    fn claims(&self, scope: &mut Scope<'_>) {
        let ports = self.cluster.ports();
        let (host, address) = (&self.node.host, self.node.address);
        let speaks = [
            (ports.postgres, "sql"),
            (ports.rest, "rest"),
            (ports.raft, "raft"),
        ];
        for (port, service) in speaks {
            scope.claim(Claim::Listens {
                host: host.clone(),
                bind: address,
                address,
                port,
                protocol: Protocol::Tcp,
                service: format!("{CONTAINER} ({service})"),
                remote: true,
            });
        }
        scope.claim(Claim::Node {
            of: "PostgreSQL".to_owned(),
            address,
            ports: speaks.map(|(port, what)| (port, what.to_owned())).to_vec(),
            fitness: Some(Fitness {
                port: ports.rest,
                paths: TELLING.map(str::to_owned).to_vec(),
                renamed: vec![("/master".to_owned(), "/primary".to_owned())],
            }),
        });
    }
}
