//! What PgBouncer on a host is made of: its configuration, container and unit.

use std::net::SocketAddr;

use super::config::{COMMAND, PgBouncerConfig, paths};
use super::image;
use super::pooler::{PgBouncer, Upstream};
use crate::component::unit::Unit;
use crate::component::{BaseOs, ServiceImage, Supervise, error_chain, hetzner_lb};
use crate::diag::Finding;
use crate::effect::Owner;
use crate::ident::Urn;
use crate::model::{FirewallRule as Rule, Protocol};
use crate::primitive::{Container, Directory, File, FirewallRule, Supervision};
use crate::program::{Component, DeclareExt as _, ImageBase, Result, Scope, Settings};
use crate::resource::{Claim, Endpoint};

/// The user inside the image.
const USER: &str = "postgres";

/// The cure for an image that is missing or not pinned.
const PINNED: &str = "pin it in versions.yaml and give it: .image(pins.image(\"pgbouncer\")?)";

impl PgBouncer {
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
        if let Some(search) = self.leader_search() {
            scope.claim(Claim::FindsLeader(search));
        }
        for login in &self.users {
            scope.claim(Claim::WorksAs {
                role: login.user.clone(),
                who: format!("a client of pgbouncer@{}", self.host),
            });
        }
    }

    fn container(&self, image: &ServiceImage, settings: &Settings) -> Container {
        Container::on(self.host(), "pgbouncer", image.reference())
            .command(COMMAND)
            .reads(paths::CONFIG_DIR, paths::CONFIG_DIR)
            .nofile(settings.open_files)
            .cap_drop("ALL")
            .stop_grace(20)
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
        let group = hetzner_lb::group_of(&self.host, scope);
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
        let rule = FirewallRule::on(&self.host, rule).after(BaseOs::checked(scope, &self.host));
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
        let container = self
            .container(&image, scope.settings())
            .supervised_by(Supervision::systemd(unit.name()))
            .after(files.clone())
            .after([image_urn]);
        let container = match &group {
            Some(group) => scope.add(container.member_of(group, &self.host)),
            None => scope.add(container),
        };
        Supervise::new(&self.host, unit, container.urn())
            .reload_on(files)
            .after(after)
            .after([rule])
            .in_group(group)
            .declare(scope)
    }
}
