//! One node of a PostgreSQL cluster: a host that runs Patroni in a container.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::cluster::{CONTAINER, PatroniCluster, base_os};
use super::memory::{HostFacts, MemoryBudget};
use super::node_config::{self, Locale, NodeConfig, Tags, data_dir, paths};
use super::patroni_image::PatroniImage;
use crate::component::error_chain;
use crate::component::unit::Unit;
use crate::diag::{Finding, SourceLocation};
use crate::effect::{ContainerSpec, FirewallRule as Rule, Mount, Owner, Protocol, Ulimit};
use crate::ident::{HostName, Urn};
use crate::primitive::{Container, Directory, File, FirewallRule, Supervision, SystemdUnit};
use crate::probe::{Facts, Probe, Site};
use crate::program::{Component, DeclareExt as _, Handle, Host, Result, Scope, Settings};
use crate::resource::{Claim, Content, PlanError};

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

/// One node of a PostgreSQL cluster.
///
/// ```compile_fail
/// use kbz_infra::component::patroni::PatroniNode;
///
/// // There is no node without a host.
/// let node = PatroniNode::new();
/// ```
#[derive(Debug, Clone)]
pub struct PatroniNode {
    host: HostName,
    address: IpAddr,
    cluster: Option<Handle<PatroniCluster>>,
    image: Option<Handle<PatroniImage>>,
}

impl PatroniNode {
    /// The component's name in addresses.
    pub const KIND: &'static str = "patroni-node";

    /// A node on a host.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            cluster: None,
            image: None,
        }
    }

    /// The cluster that the node is a member of.
    pub fn cluster(mut self, cluster: &Handle<PatroniCluster>) -> Self {
        self.cluster = Some(cluster.clone());
        self
    }

    /// The image that the node runs.
    pub fn image(mut self, image: &Handle<PatroniImage>) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// The node's host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The node's address in the private network.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// PostgreSQL's major version.
    pub(super) fn major(&self) -> u16 {
        self.image.as_ref().map_or(0, |image| image.major())
    }

    pub(super) fn belongs_to(&self, cluster: &Urn) -> bool {
        self.cluster
            .as_ref()
            .is_some_and(|mine| mine.urn() == cluster)
    }

    pub(super) fn uses_image(&self, image: &Urn) -> bool {
        self.image.as_ref().is_some_and(|mine| mine.urn() == image)
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
        let cluster = self
            .cluster
            .clone()
            .ok_or_else(|| self.missing("cluster", scope))?;
        let image = self
            .image
            .clone()
            .ok_or_else(|| self.missing("image", scope))?;
        Expansion::new(self, &cluster, &image, scope)?.declare(scope)
    }
}

/// What the parts of one node share while they are declared.
struct Expansion<'a> {
    node: &'a PatroniNode,
    cluster: &'a Handle<PatroniCluster>,
    image: crate::component::ServiceImage,
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
            after: base_os(scope, &node.host).into_iter().collect(),
        })
    }

    fn declare(&self, scope: &mut Scope<'_>) -> Result<()> {
        let host = &self.node.host;
        self.claims(scope);
        let rules = self.firewall(scope);
        let image = self.image.declare_on(scope, host, Some(USER));
        let folders = self.folders(scope, &image);
        let settings = self.settings(scope, &folders[0])?;
        let unit = Unit::patroni(DATA);
        let container = scope.add(
            Container::with_spec(host, self.container(scope.settings()))
                .supervised_by(Supervision::systemd(unit.name()))
                .after(folders)
                .after([settings.clone(), image])
                .member_of(&self.cluster.group_name(), host),
        );
        let text = unit
            .render()
            .map_err(|error| Finding::error("kbz::patroni::unit", error.to_string()))?;
        let file = File::on(host, format!("/etc/systemd/system/{}", unit.name()))
            .content(text)
            .mode(0o644);
        let file = scope.add(file.after(self.after.clone()));
        let native = scope.add(SystemdUnit::on(host, "postgresql.service").stopped());
        scope.add(
            SystemdUnit::on(host, unit.name())
                .reload_on([settings.clone()])
                .restart_on([container.urn().clone(), file.urn().clone()])
                .after([settings, container.urn().clone(), file.urn().clone()])
                .after([native.urn().clone()])
                .after(rules)
                .member_of(&self.cluster.group_name(), host),
        );
        Ok(())
    }

    /// Opens exactly the ports that the members and the clients need.
    fn firewall(&self, scope: &mut Scope<'_>) -> Vec<Urn> {
        let ports = self.cluster.ports();
        let peers = self
            .members
            .iter()
            .filter(|(name, _)| *name != self.node.host);
        let peers: BTreeSet<IpNet> = peers.map(|(_, address)| IpNet::from(*address)).collect();
        let mut everybody = peers.clone();
        everybody.extend(self.cluster.client_networks());
        let rules = [
            (ports.raft, &peers),
            (ports.rest, &everybody),
            (ports.postgres, &everybody),
        ];
        let mut declared = Vec::new();
        for (port, sources) in rules {
            for from in sources {
                let rule = Rule {
                    port,
                    protocol: Protocol::Tcp,
                    from: Some(*from),
                };
                let rule = FirewallRule::on(&self.node.host, rule).after(self.after.clone());
                declared.push(scope.add(rule).urn().clone());
            }
        }
        declared
    }

    fn folders(&self, scope: &mut Scope<'_>, image: &Urn) -> Vec<Urn> {
        let host = &self.node.host;
        let directory = |path: &str| Directory::on(host, path).mode(0o700).owner(self.owner());
        let mut data = directory(DATA).requires_filesystem("xfs");
        if scope.settings().tolerate_other_filesystems {
            data = data.tolerate_other_filesystem();
        }
        let after = || self.after.iter().cloned().chain([image.clone()]);
        [directory(paths::CONFIG_DIR), data, directory(RAFT)]
            .into_iter()
            .map(|directory| scope.add(directory.after(after())).urn().clone())
            .collect()
    }

    fn owner(&self) -> Owner {
        Owner::InImage {
            reference: self.image.reference(),
            user: USER.to_owned(),
        }
    }

    /// `patroni.yml`, whose memory settings are a function of the host's facts.
    fn settings(&self, scope: &mut Scope<'_>, folder: &Urn) -> Result<Urn> {
        let host = &self.node.host;
        let config = self.node_config(scope)?;
        // What is wrong whatever the facts are is told now, with the declaration.
        config.render().map_err(|error| {
            Finding::error("kbz::patroni::config", error_chain(&error))
                .label(SourceLocation::from(scope.place()), "declared here")
        })?;
        let site = Site::Host(host.clone());
        let content = Content::from_facts([Probe::host(host, Facts {})], move |context| {
            let facts = context.ask(&site, &Facts {})?;
            let mut config = config.clone();
            config.facts = HostFacts {
                ram_bytes: facts.memory,
                cpus: facts.cpus,
            };
            config.render().map_err(|error| PlanError::Refused {
                what: error_chain(&error),
                help: "change the cluster's declaration, or the host".to_owned(),
            })
        });
        let file = File::on(host, paths::CONFIG_FILE)
            .content(content)
            .owner(self.owner());
        Ok(scope.add(file.after([folder.clone()])).urn().clone())
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

    fn container(&self, settings: &Settings) -> ContainerSpec {
        let mount = |source: &str, read_only| Mount {
            source: source.to_owned(),
            read_only,
        };
        let mut spec = ContainerSpec::new(CONTAINER, self.image.reference());
        spec.mounts = BTreeMap::from([
            (
                node_config::paths::CONFIG_DIR.to_owned(),
                mount(paths::CONFIG_DIR, true),
            ),
            (paths::DATA_MOUNT.to_owned(), mount(DATA, false)),
            (paths::RAFT_DIR.to_owned(), mount(RAFT, false)),
        ]);
        spec.shm_size = SHM;
        spec.ulimits = BTreeMap::from([(
            "nofile".to_owned(),
            Ulimit {
                soft: settings.open_files,
                hard: settings.open_files,
            },
        )]);
        spec.cap_drop = vec!["ALL".to_owned()];
        spec.stop_grace = STOP_GRACE;
        spec
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
        });
    }
}
