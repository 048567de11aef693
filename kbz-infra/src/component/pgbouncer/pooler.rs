//! PgBouncer on a host: many clients on few server connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::config::{COMMAND, PgBouncerConfig, paths};
use super::image;
use crate::component::haproxy::HaproxyFrontend;
use crate::component::unit::Unit;
use crate::component::{BaseOs, ServiceImage, Supervise, error_chain};
use crate::diag::Finding;
use crate::effect::Owner;
use crate::ident::{HostName, Urn};
use crate::model::{ContainerSpec, FirewallRule as Rule, Mount, Protocol, Ulimit};
use crate::primitive::{Container, Directory, File, FirewallRule, Supervision};
use crate::program::{
    Component, DeclareExt as _, Handle, Host, ImageBase, ImagePin, Result, Scope, Settings,
};
use crate::resource::{Claim, Endpoint};
use crate::secret::Login;

/// The user inside the image.
const USER: &str = "postgres";

/// PgBouncer on a host, in front of the HAProxy of the same host.
#[derive(Debug, Clone)]
pub struct PgBouncer {
    host: HostName,
    address: IpAddr,
    port: u16,
    image: Option<ImagePin>,
    upstream: Option<Upstream>,
    databases: BTreeSet<String>,
    users: Vec<Login>,
    stats: Option<Login>,
    clients: Option<IpNet>,
}

/// The cure for an image that is missing or not pinned.
const PINNED: &str = "pin it in versions.yaml and give it: .image(pins.image(\"pgbouncer\")?)";

/// Where PgBouncer connects to.
#[derive(Debug, Clone)]
enum Upstream {
    Frontend(Handle<HaproxyFrontend>),
    Address(SocketAddr),
}

/// What PgBouncer can connect to.
pub trait PoolUpstream {
    #[doc(hidden)]
    fn frontend(&self) -> Option<Handle<HaproxyFrontend>> {
        None
    }
    #[doc(hidden)]
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}

impl PoolUpstream for Handle<HaproxyFrontend> {
    fn frontend(&self) -> Option<Handle<HaproxyFrontend>> {
        Some(self.clone())
    }
}

/// An address outside the program.
impl PoolUpstream for SocketAddr {
    fn address(&self) -> Option<SocketAddr> {
        Some(*self)
    }
}

impl PgBouncer {
    /// The component's name in addresses.
    pub const KIND: &'static str = "pgbouncer";

    /// A PgBouncer on a host, port 6432.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            port: 6432,
            image: None,
            upstream: None,
            databases: BTreeSet::new(),
            users: Vec::new(),
            stats: None,
            clients: None,
        }
    }

    /// The port. Default: 6432.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The version, pinned.
    pub fn image(mut self, image: ImagePin) -> Self {
        self.image = Some(image);
        self
    }

    /// Where it connects to: the way in of the HAProxy on its own host.
    pub fn upstream(mut self, upstream: &impl PoolUpstream) -> Self {
        self.upstream = upstream
            .frontend()
            .map(Upstream::Frontend)
            .or(upstream.address().map(Upstream::Address));
        self
    }

    /// A database that clients may name.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.databases.insert(name.into());
        self
    }

    /// A role that may log in.
    pub fn user(mut self, login: &Login) -> Self {
        self.users.push(login.clone());
        self
    }

    /// The user that may read statistics (`SHOW POOLS`).
    pub fn stats_user(mut self, login: &Login) -> Self {
        self.stats = Some(login.clone());
        self
    }

    /// The network that may connect. Default: everybody who reaches the host.
    pub fn clients(mut self, network: IpNet) -> Self {
        self.clients = Some(network);
        self
    }

    /// The host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The port that it listens on.
    pub fn listen_port(&self) -> u16 {
        self.port
    }

    /// The host's address in the private network.
    pub fn host_address(&self) -> IpAddr {
        self.address
    }

    /// What has to be there before connections through it can succeed.
    pub(crate) fn parents(&self) -> Vec<Urn> {
        match &self.upstream {
            Some(Upstream::Frontend(frontend)) => frontend.parents(),
            Some(Upstream::Address(_)) | None => Vec::new(),
        }
    }

    fn finding(scope: &Scope<'_>, what: impl Into<String>) -> Finding {
        scope.finding("kbz::pgbouncer::config", what)
    }

    fn source(&self, settings: &Settings) -> Result<ServiceImage, String> {
        let base = match (&settings.images, &self.image) {
            (ImageBase::Debian { reference }, _) => reference.clone(),
            (ImageBase::Official, Some(pin)) => pin.to_string(),
            (ImageBase::Official, None) => {
                return Err(format!("PgBouncer on {} has no image", self.host));
            }
        };
        let version = self.image.as_ref().map_or("debian", |pin| pin.tag.as_str());
        image::debian(&base)
            .map(|context| ServiceImage::Built(context.versioned(version)))
            .map_err(|error| error.to_string())
    }

    /// The address of the upstream as this host reaches it: loopback where HAProxy runs beside.
    fn upstream_address(&self, scope: &Scope<'_>) -> Result<SocketAddr> {
        match &self.upstream {
            Some(Upstream::Address(address)) => Ok(*address),
            Some(Upstream::Frontend(frontend)) => {
                let beside = frontend
                    .hosts()
                    .iter()
                    .any(|haproxy| *haproxy.host() == self.host);
                if beside {
                    return Ok(SocketAddr::from(([127, 0, 0, 1], frontend.listen_port())));
                }
                let what = format!("the frontend `{}` is not on {}", frontend.name(), self.host);
                Err(Self::finding(scope, what)
                    .help("PgBouncer connects to the HAProxy of its own host")
                    .into())
            }
            None => Err(Self::finding(
                scope,
                format!("PgBouncer on {} connects to nothing", self.host),
            )
            .help("say to what: .upstream(&write)")
            .into()),
        }
    }

    fn config(&self, scope: &Scope<'_>) -> Result<PgBouncerConfig> {
        let listen = SocketAddr::from(([0, 0, 0, 0], self.port));
        let mut users = self.users.clone();
        users.extend(self.stats.clone());
        let upstream = self.upstream_address(scope)?;
        let mut config =
            PgBouncerConfig::new(listen, upstream, self.databases.iter().cloned(), users);
        config.stats = self.stats.iter().map(|login| login.user.clone()).collect();
        Ok(config)
    }

    fn claims(&self, config: &PgBouncerConfig, scope: &mut Scope<'_>) {
        scope.claim(Claim::Listens {
            host: self.host.clone(),
            bind: config.listen.ip(),
            address: self.address,
            port: self.port,
            protocol: Protocol::Tcp,
            service: "pgbouncer".to_owned(),
            remote: true,
        });
        // On loopback it is the host itself that is reached.
        let upstream = config.upstream;
        let address = if upstream.ip().is_loopback() {
            self.address
        } else {
            upstream.ip()
        };
        scope.claim(Claim::Forwards {
            service: format!("pgbouncer@{}", self.host),
            from: Endpoint {
                address: self.address,
                port: self.port,
            },
            to: vec![Endpoint {
                address,
                port: upstream.port(),
            }],
            check: None,
        });
        for login in &self.users {
            scope.claim(Claim::WorksAs {
                role: login.user.clone(),
                who: format!("a client of pgbouncer@{}", self.host),
            });
        }
    }

    fn container(image: &ServiceImage, settings: &Settings) -> ContainerSpec {
        let mut spec = ContainerSpec::new("pgbouncer", image.reference());
        spec.command = COMMAND.map(str::to_owned).to_vec();
        let source = paths::CONFIG_DIR.to_owned();
        spec.mounts = BTreeMap::from([(
            source.clone(),
            Mount {
                source,
                read_only: true,
            },
        )]);
        spec.ulimits = BTreeMap::from([(
            "nofile".to_owned(),
            Ulimit {
                soft: settings.open_files,
                hard: settings.open_files,
            },
        )]);
        spec.cap_drop = vec!["ALL".to_owned()];
        spec.stop_grace = 20;
        spec
    }

    fn is_first(&self, scope: &Scope<'_>) -> bool {
        scope
            .all::<PgBouncer>()
            .first()
            .is_some_and(|first| *first.urn() == self.urn())
    }
}

impl Component for PgBouncer {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, self.host.as_str())
    }

    fn summary(&self) -> String {
        format!("transaction pooling, port {}", self.port)
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let image = self
            .source(scope.settings())
            .map_err(|why| Self::finding(scope, why).help(PINNED))?;
        if self.is_first(scope) {
            let all = scope.all::<PgBouncer>();
            image.declare_build(scope, all.iter().map(|pooler| pooler.host()));
        }
        let config = self.config(scope)?;
        self.claims(&config, scope);
        let refused = |error: &dyn std::error::Error| {
            let help = "name a database, a user and another upstream than itself: \
                        .database(..).user(..).upstream(&write)";
            Self::finding(scope, error_chain(error)).help(help)
        };
        let ini = config.render().map_err(|error| refused(&error))?;
        let userlist = config.render_userlist().map_err(|error| refused(&error))?;

        let after: Vec<Urn> = BaseOs::of(scope, &self.host).into_iter().collect();
        let rule = Rule {
            port: self.port,
            protocol: Protocol::Tcp,
            from: self.clients,
        };
        let rule = FirewallRule::on(&self.host, rule).after(after.clone());
        let rule = scope.add(rule).urn().clone();
        let image_urn = image.declare_on(scope, &self.host, Some(USER));
        let owner = Owner::InImage {
            reference: image.reference(),
            user: USER.to_owned(),
        };
        let folder = Directory::on(&self.host, paths::CONFIG_DIR)
            .mode(0o700)
            .owner(owner.clone());
        let folder = scope
            .add(folder.after(after.clone()).after([image_urn.clone()]))
            .urn()
            .clone();
        let mut files = Vec::new();
        for (path, text) in [(paths::CONFIG_FILE, ini), (paths::USERLIST_FILE, userlist)] {
            let file = File::on(&self.host, path)
                .content(text)
                .owner(owner.clone());
            files.push(scope.add(file.after([folder.clone()])).urn().clone());
        }
        let unit = Unit::pgbouncer();
        let container = scope.add(
            Container::with_spec(&self.host, Self::container(&image, scope.settings()))
                .supervised_by(Supervision::systemd(unit.name()))
                .after(files.clone())
                .after([image_urn]),
        );
        Supervise::new(&self.host, unit, container.urn())
            .reload_on(files)
            .after(after)
            .after([rule])
            .declare(scope)
    }
}
