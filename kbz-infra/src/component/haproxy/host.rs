//! HAProxy on a host: one configuration from all frontends that name it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::config::{Companion, Entry, HaproxyConfig, SAVE_STATE, paths};
use super::frontend::HaproxyFrontend;
use super::image;
use crate::component::patroni::base_os;
use crate::component::pgbouncer::PgBouncer;
use crate::component::unit::Unit;
use crate::component::{ServiceImage, error_chain, supervise};
use crate::diag::{Finding, SourceLocation};
use crate::effect::{ContainerSpec, FirewallRule as Rule, Mount, Owner, Protocol, Ulimit};
use crate::ident::{HostName, Urn};
use crate::primitive::{Container, Directory, File, FirewallRule, Supervision};
use crate::program::{
    Component, DeclareExt as _, Handle, Host, ImageBase, ImagePin, Result, Scope, Settings,
};
use crate::resource::Claim;

/// Where HAProxy keeps the states of its servers between reloads.
const DATA: &str = "/opt/keybuzz/haproxy/data";
/// The user inside the image.
const USER: &str = "haproxy";
/// The port of HAProxy's own health, for the load balancer.
pub(crate) const HEALTH_PORT: u16 = 8404;
/// The port on loopback that a reload asks for the states of the servers.
const CONTROL_PORT: u16 = 8405;

/// HAProxy on a host. Its ways in are [`HaproxyFrontend`]s; all that name the host end up in
/// one `haproxy.cfg`.
#[derive(Debug, Clone)]
pub struct Haproxy {
    host: HostName,
    address: IpAddr,
    image: Option<ImagePin>,
    clients: Option<IpNet>,
}

impl Haproxy {
    /// The component's name in addresses.
    pub const KIND: &'static str = "haproxy";

    /// An HAProxy on a host.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            image: None,
            clients: None,
        }
    }

    /// The image, pinned.
    pub fn image(mut self, image: ImagePin) -> Self {
        self.image = Some(image);
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

    /// The host's address in the private network.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    fn source(&self, settings: &Settings) -> Result<ServiceImage, String> {
        let pin = self.image.as_ref().ok_or_else(|| {
            format!(
                "HAProxy on {} has no image: .image(pins.image(\"haproxy\")?)",
                self.host
            )
        })?;
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
            entries.push(frontend.entry(scope)?);
        }
        let mut config = HaproxyConfig::new(self.host.clone(), entries);
        config.companions = self.companions(scope);
        config.health.bind.set_port(HEALTH_PORT);
        config.control_port = CONTROL_PORT;
        Ok(config)
    }

    fn finding(scope: &Scope<'_>, what: impl Into<String>) -> Finding {
        Finding::error("kbz::haproxy::config", what.into())
            .label(SourceLocation::from(scope.place()), "declared here")
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
        for entry in &config.entries {
            let service = format!("haproxy ({})", entry.name);
            scope.claim(listens(entry.bind.port(), entry.bind.ip(), service, true));
        }
        let health = config.health.bind;
        scope.claim(listens(
            health.port(),
            health.ip(),
            "haproxy (health)".to_owned(),
            true,
        ));
        let loopback = IpAddr::from([127, 0, 0, 1]);
        scope.claim(listens(
            CONTROL_PORT,
            loopback,
            "haproxy (control)".to_owned(),
            false,
        ));
    }

    fn firewall(&self, config: &HaproxyConfig, after: &[Urn], scope: &mut Scope<'_>) -> Vec<Urn> {
        let ports = config.entries.iter().map(|entry| entry.bind.port());
        let ports = ports.chain([config.health.bind.port()]);
        ports
            .map(|port| {
                let rule = Rule {
                    port,
                    protocol: Protocol::Tcp,
                    from: self.clients,
                };
                let rule = FirewallRule::on(&self.host, rule).after(after.iter().cloned());
                scope.add(rule).urn().clone()
            })
            .collect()
    }

    fn container(image: &ServiceImage, settings: &Settings) -> ContainerSpec {
        let mount = |source: &str, read_only| Mount {
            source: source.to_owned(),
            read_only,
        };
        let mut spec = ContainerSpec::new("haproxy", image.reference());
        spec.command = super::config::COMMAND.map(str::to_owned).to_vec();
        spec.mounts = BTreeMap::from([
            (paths::CONFIG_DIR.to_owned(), mount(paths::CONFIG_DIR, true)),
            (paths::STATE_DIR.to_owned(), mount(DATA, false)),
        ]);
        // Twice the connections of all entries, with room for the checks.
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
        let after = base_os(scope, &self.host);
        let text = config
            .render()
            .map_err(|error| Self::finding(scope, error_chain(&error)))?;
        let folder = Directory::on(&self.host, paths::CONFIG_DIR).mode(0o755);
        let folder = scope.add(folder.after(after.clone())).urn().clone();
        let mut state = Directory::on(&self.host, DATA)
            .mode(0o755)
            .owner(owner)
            .requires_filesystem("xfs");
        if scope.settings().tolerate_other_filesystems {
            state = state.tolerate_other_filesystem();
        }
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
            .map_err(|why| Self::finding(scope, why))?;
        if self.is_first(scope) {
            let all = scope.all::<Haproxy>();
            image.declare_build(scope, all.iter().map(|haproxy| haproxy.host()));
        }
        let config = self.config(scope)?;
        self.claims(&config, scope);
        let after: Vec<Urn> = base_os(scope, &self.host).into_iter().collect();
        let rules = self.firewall(&config, &after, scope);
        let image_urn = image.declare_on(scope, &self.host, Some(USER));
        let (used, file) = self.files(&config, &image, &image_urn, scope)?;
        let unit = Unit::haproxy(DATA, CONTROL_PORT);
        let container = scope.add(
            Container::with_spec(&self.host, Self::container(&image, scope.settings()))
                .supervised_by(Supervision::systemd(unit.name()))
                .after(used)
                .after([file.clone(), image_urn]),
        );
        supervise(
            scope,
            &self.host,
            &unit,
            container.urn(),
            vec![file],
            after.into_iter().chain(rules),
        )
    }
}
