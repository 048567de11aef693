//! One node: a Redis and a Sentinel on a host.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use kbz_infra::component::unit::Unit;
use kbz_infra::component::{ServiceImage, Supervise, data_directory, error_chain};
use kbz_infra::effect::Owner;
use kbz_infra::model::Protocol;
use kbz_infra::prelude::*;
use kbz_infra::primitive::{FirewallRule, Supervision};
use kbz_infra::program::ImagePin;
use kbz_infra::resource::Claim;

use super::RedisCluster;
use super::config::{NodeConfig, paths};
use super::image::{self, USER};

/// The declared files, on the host.
const CONFIG: &str = "/opt/keybuzz/redis/config";
/// The data, on the host.
const DATA: &str = "/opt/keybuzz/redis/data";
/// What Sentinel remembers, on the host.
const SENTINEL: &str = "/opt/keybuzz/redis/sentinel";
/// Redis writes what is not on disk yet before it stops.
const STOP_GRACE: u32 = 60;

/// One node of a Redis cluster.
#[derive(Debug, Clone)]
pub struct RedisNode {
    host: HostName,
    address: IpAddr,
    cluster: Handle<RedisCluster>,
    image: ImagePin,
}

impl RedisNode {
    /// The component's name in addresses.
    pub const KIND: &'static str = "redis-node";

    /// A node on a host. There is none without a cluster and an image.
    pub fn new(host: &Host, cluster: &Handle<RedisCluster>, image: &ImagePin) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            cluster: cluster.clone(),
            image: image.clone(),
        }
    }

    /// Its host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Its host's address in the private network.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Where its Redis listens, by the host's name: a server of a frontend.
    pub fn server(&self) -> (HostName, SocketAddr) {
        let port = self.cluster.ports().redis;
        (self.host.clone(), SocketAddr::new(self.address, port))
    }

    pub(super) fn is_of(&self, cluster: &Urn) -> bool {
        self.cluster.urn() == cluster
    }

    fn config(&self, scope: &Scope<'_>) -> NodeConfig {
        let (timing, max_memory) = self.cluster.settings();
        NodeConfig {
            host: self.host.clone(),
            address: self.address,
            name: self.cluster.name().to_owned(),
            nodes: self.cluster.addresses(scope),
            ports: self.cluster.ports(),
            passwords: self.cluster.passwords().clone(),
            timing,
            max_memory,
            data_dir: paths::DATA_DIR.to_owned(),
            sentinel_dir: paths::SENTINEL_DIR.to_owned(),
        }
    }

    fn is_first(&self, scope: &Scope<'_>) -> bool {
        let all = scope.all::<Self>();
        all.first().is_some_and(|first| *first.urn() == self.urn())
    }

    fn claims(&self, scope: &mut Scope<'_>) {
        let ports = self.cluster.ports();
        let speaks = [(ports.redis, "redis"), (ports.sentinel, "sentinel")];
        for (port, service) in speaks {
            scope.claim(Claim::Listens {
                host: self.host.clone(),
                bind: self.address,
                address: self.address,
                port,
                protocol: Protocol::Tcp,
                service: service.to_owned(),
                remote: true,
            });
        }
        scope.claim(Claim::Node {
            of: "Redis".to_owned(),
            address: self.address,
            ports: speaks.map(|(port, what)| (port, what.to_owned())).to_vec(),
            // Which of them leads is found out by a dialogue, not over HTTP.
            fitness: None,
        });
    }

    /// Clients reach Redis; only the other nodes reach the Sentinel.
    fn firewall(&self, config: &NodeConfig, scope: &mut Scope<'_>) -> Vec<Urn> {
        let checked = BaseOs::checked(scope, &self.host);
        let others = config.nodes.iter().filter(|node| **node != self.address);
        let others: BTreeSet<IpNet> = others.map(|node| IpNet::from(*node)).collect();
        let mut clients = others.clone();
        clients.insert(self.cluster.client_network());
        let mut declared = Vec::new();
        for (port, sources) in [
            (config.ports.redis, clients),
            (config.ports.sentinel, others),
        ] {
            for network in sources {
                let rule = FirewallRule::tcp(&self.host, port).from(network);
                let rule = scope.add(rule.after(checked.clone()));
                declared.push(rule.urn().clone());
            }
        }
        declared
    }

    fn folders(&self, owner: &Owner, after: &[Urn], scope: &mut Scope<'_>) -> Vec<Urn> {
        let data = data_directory(&self.host, DATA, scope.settings()).for_data();
        let folder = |path: &str| Directory::on(&self.host, path);
        [folder(CONFIG), data, folder(SENTINEL)]
            .map(|folder| folder.mode(0o700).owner(owner.clone()))
            .map(|folder| scope.add(folder.after(after.iter().cloned())))
            .map(|folder| folder.urn().clone())
            .into()
    }

    /// `redis.conf` and `sentinel.conf`.
    fn files(
        &self,
        config: &NodeConfig,
        owner: &Owner,
        folders: &[Urn],
        scope: &mut Scope<'_>,
    ) -> Result<[Urn; 2]> {
        let refused = |error| scope.finding("example::redis::config", error_chain(&error));
        let texts = [
            ("redis.conf", config.redis().map_err(refused)?),
            ("sentinel.conf", config.sentinel().map_err(refused)?),
        ];
        Ok(texts.map(|(name, text)| {
            let file = File::on(&self.host, format!("{CONFIG}/{name}"))
                .content(text)
                .owner(owner.clone());
            scope.add(file.after(folders.iter().cloned())).urn().clone()
        }))
    }

    /// A container with its unit; a changed file means a restart.
    fn service(&self, service: Service, file: &Urn, scope: &mut Scope<'_>) -> Result<()> {
        let unit = Unit {
            container: service.name.to_owned(),
            description: service.description.to_owned(),
            mounts: vec![service.folder.0.to_owned()],
            stop_seconds: STOP_GRACE,
            reload: Vec::new(),
        };
        let container = Container::on(&self.host, service.name, service.image)
            .supervised_by(Supervision::systemd(unit.name()))
            .command(service.command)
            .reads(CONFIG, paths::CONFIG_DIR)
            .writes(service.folder.0, service.folder.1)
            .nofile(scope.settings().open_files)
            .cap_drop("ALL")
            .stop_grace(STOP_GRACE);
        let container = scope.add(
            container
                .after(service.after.iter().cloned())
                .after([file.clone()])
                .member_of(&self.cluster.group(), &self.host),
        );
        Supervise::new(&self.host, unit, container.urn())
            .restart_on([file.clone()])
            .after(service.after)
            .member_of(&self.cluster.group())
            .declare(scope)
    }
}

/// One of the two programs of a node.
struct Service {
    name: &'static str,
    description: &'static str,
    image: String,
    command: Vec<String>,
    /// What it writes to: on the host, and inside.
    folder: (&'static str, &'static str),
    after: Vec<Urn>,
}

impl Component for RedisNode {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, self.host.as_str())
    }

    fn summary(&self) -> String {
        format!("Redis {}", self.image.tag)
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let source: ServiceImage = image::source(&scope.settings().images, &self.image);
        if self.is_first(scope) {
            let all = scope.all::<Self>();
            source.declare_build(scope, all.iter().map(|node| node.host()));
        }
        self.claims(scope);
        let config = self.config(scope);
        let ready: Vec<Urn> = BaseOs::of(scope, &self.host).into_iter().collect();
        let rules = self.firewall(&config, scope);
        let image = source.declare_on(scope, &self.host, Some(USER));
        let owner = Owner::InImage {
            reference: source.reference(),
            user: USER.to_owned(),
        };
        let after: Vec<Urn> = ready.into_iter().chain([image]).collect();
        let folders = self.folders(&owner, &after, scope);
        let [redis, sentinel] = self.files(&config, &owner, &folders, scope)?;
        let after: Vec<Urn> = folders.into_iter().chain(rules).chain(after).collect();
        let services = [
            (
                Service {
                    name: "redis",
                    description: "Redis",
                    image: source.reference(),
                    command: config.redis_command(),
                    folder: (DATA, paths::DATA_DIR),
                    after: after.clone(),
                },
                redis,
            ),
            (
                Service {
                    name: "sentinel",
                    description: "Sentinel of Redis",
                    image: source.reference(),
                    command: config.sentinel_command(),
                    folder: (SENTINEL, paths::SENTINEL_DIR),
                    after,
                },
                sentinel,
            ),
        ];
        services
            .into_iter()
            .try_for_each(|(service, file)| self.service(service, &file, scope))
    }
}
