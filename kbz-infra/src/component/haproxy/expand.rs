//! What HAProxy on a host is made of: one configuration from all frontends that name the host.

use std::net::{IpAddr, SocketAddr};

use super::config::{Companion, Entry, HaproxyConfig, HaproxyConfigError, SAVE_STATE, paths};
use super::frontend::HaproxyFrontend;
use super::host::{DRAIN_PORT, HEALTH_PORT, Haproxy};
use super::image;
use crate::component::pgbouncer::PgBouncer;
use crate::component::unit::Unit;
use crate::component::{BaseOs, ServiceImage, Supervise, data_directory, error_chain, hetzner_lb};
use crate::diag::{Finding, SourceLocation};
use crate::effect::Owner;
use crate::ident::Urn;
use crate::model::{FirewallRule as Rule, Protocol};
use crate::primitive::{Container, Directory, File, FirewallRule, InService, Supervision};
use crate::program::{Component, DeclareExt as _, Handle, ImageBase, Result, Scope, Settings};
use crate::resource::Claim;

/// Where HAProxy keeps the states of its servers between reloads.
const DATA: &str = "/opt/keybuzz/haproxy/data";
/// The user inside the image.
const USER: &str = "haproxy";
/// The port on loopback that a reload asks for the states of the servers.
const CONTROL_PORT: u16 = 8405;

/// What is wrong with a configuration.
const CODE: &str = "kbz::haproxy::config";
/// The cure for an image that is missing or not pinned.
const PINNED: &str = "pin it in versions.yaml and give it: .image(pins.image(\"haproxy\")?)";

impl Haproxy {
    fn source(&self, settings: &Settings) -> Result<ServiceImage, String> {
        let pin = self
            .image
            .as_ref()
            .ok_or_else(|| format!("HAProxy on {} has no image", self.host))?;
        match &settings.images {
            ImageBase::Official => Ok(ServiceImage::Pulled(pin.to_string())),
            ImageBase::Debian { reference } => image::debian(reference)
                .map(|context| ServiceImage::Built(context.versioned(&pin.tag)))
                .map_err(|error| error.to_string()),
        }
    }

    fn frontends(&self, scope: &Scope<'_>) -> Vec<Handle<HaproxyFrontend>> {
        let all = scope.all::<HaproxyFrontend>().into_iter();
        all.filter(|frontend| frontend.is_on(&self.urn())).collect()
    }

    /// The PgBouncer of the same host, on whose health the load balancer asks too.
    fn companions(&self, scope: &Scope<'_>) -> Vec<Companion> {
        let poolers = scope.all::<PgBouncer>().into_iter();
        poolers
            .filter(|pooler| *pooler.host() == self.host)
            .map(|pooler| Companion {
                name: "pgbouncer".to_owned(),
                address: SocketAddr::from(([127, 0, 0, 1], pooler.listen_port())),
            })
            .collect()
    }

    fn config(&self, scope: &Scope<'_>) -> Result<HaproxyConfig> {
        let mut entries: Vec<Entry> = Vec::new();
        for frontend in self.frontends(scope) {
            entries.push(frontend.entry(scope.place_of(&frontend), scope)?);
        }
        let mut config = HaproxyConfig::new(self.host.clone(), entries);
        config.companions = self.companions(scope);
        config.health.bind.set_port(HEALTH_PORT);
        config.control_port = CONTROL_PORT;
        config.drain_port = DRAIN_PORT;
        Ok(config)
    }

    /// A configuration that is refused, at the declaration that makes it so.
    fn refused(error: &HaproxyConfigError, scope: &Scope<'_>) -> Finding {
        let frontends = scope.all::<HaproxyFrontend>();
        let named = |name: &str| frontends.iter().rev().find(|other| other.name() == name);
        let place = error.entry().and_then(named);
        let place = place.map_or(scope.place(), |frontend| scope.place_of(frontend));
        Finding::error(CODE, error_chain(error))
            .label(SourceLocation::from(place), "declared here")
            .help(match error {
                HaproxyConfigError::NoEntries(_) => {
                    "declare a way in: HaproxyFrontend::new(..).on(&haproxy)"
                }
                _ => "change the frontend",
            })
    }

    /// The first of several in a program declares what they share.
    fn is_first(&self, scope: &Scope<'_>) -> bool {
        scope
            .all::<Haproxy>()
            .first()
            .is_some_and(|first| *first.urn() == self.urn())
    }

    fn claims(&self, config: &HaproxyConfig, scope: &mut Scope<'_>) {
        let listens = |port: u16, bind: IpAddr, service: String, remote: bool| Claim::Listens {
            host: self.host.clone(),
            bind,
            address: self.address,
            port,
            protocol: Protocol::Tcp,
            service,
            remote,
        };
        let health = config.health.bind;
        scope.claim(listens(
            health.port(),
            health.ip(),
            "haproxy (health)".to_owned(),
            true,
        ));
        let loopback = IpAddr::from([127, 0, 0, 1]);
        for (port, what) in [(CONTROL_PORT, "control"), (DRAIN_PORT, "drain")] {
            scope.claim(listens(port, loopback, format!("haproxy ({what})"), false));
        }
    }

    fn firewall(&self, config: &HaproxyConfig, scope: &mut Scope<'_>) -> Vec<Urn> {
        let checked = BaseOs::checked(scope, &self.host);
        let ports = config.entries.iter().map(|entry| entry.bind.port());
        let ports = ports.chain([config.health.bind.port()]);
        ports
            .map(|port| {
                let rule = Rule {
                    port,
                    protocol: Protocol::Tcp,
                    from: self.clients,
                };
                let rule = FirewallRule::on(&self.host, rule).after(checked.clone());
                scope.add(rule).urn().clone()
            })
            .collect()
    }

    fn container(&self, image: &ServiceImage, settings: &Settings) -> Container {
        Container::on(&self.host, "haproxy", image.reference())
            .command(super::config::COMMAND)
            .reads(paths::CONFIG_DIR, paths::CONFIG_DIR)
            .writes(DATA, paths::STATE_DIR)
            // Twice the connections of all entries, with room for the checks.
            .nofile(settings.open_files)
            .cap_drop("ALL")
            .stop_grace(20)
    }

    /// The folders, the configuration and the script beside it; the last two are what a reload
    /// reads.
    fn files(
        &self,
        config: &HaproxyConfig,
        image: &ServiceImage,
        image_urn: &Urn,
        scope: &mut Scope<'_>,
    ) -> Result<(Vec<Urn>, Urn)> {
        let owner = Owner::InImage {
            reference: image.reference(),
            user: USER.to_owned(),
        };
        let after = BaseOs::of(scope, &self.host);
        let text = config
            .render_for_lint()
            .map_err(|error| Self::refused(&error, scope))?;
        let folder = Directory::on(&self.host, paths::CONFIG_DIR).mode(0o755);
        let folder = scope.add(folder.after(after.clone())).urn().clone();
        let state = data_directory(&self.host, DATA, scope.settings())
            .mode(0o755)
            .owner(owner);
        let state = scope
            .add(state.after(after).after([image_urn.clone()]))
            .urn()
            .clone();
        let script = File::on(&self.host, paths::SAVE_STATE)
            .content(SAVE_STATE)
            .mode(0o755);
        let script = scope.add(script.after([folder.clone()])).urn().clone();
        let file = File::on(&self.host, paths::CONFIG_FILE)
            .content(text)
            .mode(0o644)
            .validate(validation(&image.reference()));
        let file = scope
            .add(file.after([folder, script.clone(), state.clone(), image_urn.clone()]))
            .urn()
            .clone();
        Ok((vec![script, state], file))
    }
}

/// `haproxy -c` of the very image that will run, on the new file.
fn validation(image: &str) -> Vec<String> {
    let words = [
        "docker",
        "run",
        "--rm",
        "--network=none",
        "--user=0",
        "--entrypoint=haproxy",
        "--volume={}:/new.cfg:ro",
        image,
        "-c",
        "-q",
        "-f",
        "/new.cfg",
    ];
    words.map(str::to_owned).to_vec()
}

impl Component for Haproxy {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, self.host.as_str())
    }

    fn summary(&self) -> String {
        self.image
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let image = self
            .source(scope.settings())
            .map_err(|why| scope.finding(CODE, why).help(PINNED))?;
        if self.is_first(scope) {
            let all = scope.all::<Haproxy>();
            image.declare_build(scope, all.iter().map(|haproxy| haproxy.host()));
        }
        let config = self.config(scope)?;
        self.claims(&config, scope);
        let after: Vec<Urn> = BaseOs::of(scope, &self.host).into_iter().collect();
        let rules = self.firewall(&config, scope);
        let image_urn = image.declare_on(scope, &self.host, Some(USER));
        let (used, file) = self.files(&config, &image, &image_urn, scope)?;
        let unit = Unit::haproxy(DATA, CONTROL_PORT);
        let group = hetzner_lb::group_of(&self.host, scope);
        let container = self
            .container(&image, scope.settings())
            .supervised_by(Supervision::systemd(unit.name()))
            .after(used)
            .after([file.clone(), image_urn]);
        BaseOs::declare_reboot(scope, &self.host, group.as_ref());
        let in_service = InService::on(&self.host, DRAIN_PORT);
        let container = match &group {
            Some(group) => {
                scope.add(in_service.member_of(group, &self.host));
                scope.add(container.member_of(group, &self.host))
            }
            None => scope.add(container),
        };
        Supervise::new(&self.host, unit, container.urn())
            .reload_on([file])
            .after(after)
            .after(rules)
            .in_group(group)
            .declare(scope)
    }
}
