//! The Hetzner load balancer in front of the HAProxys: the one address that clients know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::haproxy::{DRAIN_PORT, HEALTH_PORT, Haproxy, HaproxyFrontend};
use super::pgbouncer::PgBouncer;
use crate::diag::Finding;
use crate::effect::{Condition, Gate};
use crate::ident::{HostName, Urn};
use crate::model::load_balancer::{Algorithm, HealthCheck, LoadBalancerSpec, NetworkSpec, Service};
use crate::primitive;
use crate::probe::{LoadBalancer, PgAccess, Probe, Site};
use crate::program::{Component, DeclareExt as _, Handle, Result, Scope};
use crate::resource::{Claim, Drain, Endpoint, Group, GroupName};
use crate::secret::Text;
use crate::secret::{Form, Login};

/// How long the targets may take to be found healthy: a few rounds of checks, and the
/// cluster's own start before them.
const HEALTH_DEADLINE: u64 = 300;

/// A service that a load balancer can offer: frontends and poolers.
///
/// A node of a database is none: what a load balancer serves goes through HAProxy.
#[diagnostic::on_unimplemented(
    message = "a load balancer cannot offer `{Self}`",
    label = "neither a frontend nor poolers",
    note = "a balancer cannot tell the leader from the others: HAProxy stands between"
)]
pub trait Balanced {
    /// The port, the same on the balancer and on its targets.
    fn service_port(&self) -> u16;
    /// The path of the health check on the targets.
    fn health_path(&self) -> String;
    /// What has to be there before connections through it can succeed.
    fn service_parents(&self) -> Vec<Urn>;
}

impl Balanced for Handle<HaproxyFrontend> {
    fn service_port(&self) -> u16 {
        self.listen_port()
    }

    fn health_path(&self) -> String {
        "/healthz".to_owned()
    }

    fn service_parents(&self) -> Vec<Urn> {
        self.parents()
    }
}

impl Balanced for Vec<Handle<PgBouncer>> {
    fn service_port(&self) -> u16 {
        self.first().map_or(0, |pooler| pooler.listen_port())
    }

    fn health_path(&self) -> String {
        "/healthz/pgbouncer".to_owned()
    }

    fn service_parents(&self) -> Vec<Urn> {
        let own = self.iter().map(|pooler| pooler.urn().clone());
        own.chain(self.iter().flat_map(|pooler| pooler.parents()))
            .collect()
    }
}

/// A Hetzner load balancer. Its targets are HAProxy hosts and nothing else: a node of a database
/// has another type.
#[derive(Debug, Clone)]
pub struct HetznerLb {
    name: String,
    load_balancer_type: String,
    location: String,
    network: String,
    private_ip: Option<IpAddr>,
    public: bool,
    services: Vec<Service>,
    targets: Vec<(HostName, IpAddr)>,
    parents: BTreeSet<Urn>,
}

impl HetznerLb {
    /// The component's name in addresses.
    pub const KIND: &'static str = "load-balancer";

    /// A load balancer by name: type `lb11` at `fsn1`, in the network `keybuzz`, without a
    /// public address.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            load_balancer_type: "lb11".to_owned(),
            location: "fsn1".to_owned(),
            network: "keybuzz".to_owned(),
            private_ip: None,
            public: false,
            services: Vec::new(),
            targets: Vec::new(),
            parents: BTreeSet::new(),
        }
    }

    /// The type of load balancer, as Hetzner names it.
    pub fn load_balancer_type(mut self, name: impl Into<String>) -> Self {
        self.load_balancer_type = name.into();
        self
    }

    /// The location, as Hetzner names it.
    pub fn location(mut self, name: impl Into<String>) -> Self {
        self.location = name.into();
        self
    }

    /// The private network, by name.
    pub fn network(mut self, name: impl Into<String>) -> Self {
        self.network = name.into();
        self
    }

    /// The address in the private network: the one that clients use.
    pub fn private_ip(mut self, address: IpAddr) -> Self {
        self.private_ip = Some(address);
        self
    }

    /// Can be reached from the internet too. A database never should be.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Offers a service on its own port, checked on HAProxy's own health address: a check of
    /// the leader would show every other host as ill.
    pub fn service(mut self, service: &impl Balanced) -> Self {
        let port = service.service_port();
        let check = HealthCheck::http(HEALTH_PORT, service.health_path());
        self.services
            .push(Service::tcp(port, port).checked_by(check));
        self.parents.extend(service.service_parents());
        self
    }

    /// The hosts that connections go to.
    pub fn targets(mut self, haproxy: &[Handle<Haproxy>]) -> Self {
        let hosts = haproxy
            .iter()
            .map(|host| (host.host().clone(), host.address()));
        self.targets.extend(hosts);
        self.parents
            .extend(haproxy.iter().map(|host| host.urn().clone()));
        self
    }

    /// The address that clients use.
    pub fn address(&self) -> Option<IpAddr> {
        self.private_ip
    }

    /// `ADDRESS:PORT` of one of the services, for the URL of any protocol.
    pub fn authority(&self, service: &impl Balanced) -> String {
        // A balancer without an address is refused when it is expanded.
        let address = self.private_ip.map(|ip| ip.to_string()).unwrap_or_default();
        format!("{address}:{}", service.service_port())
    }

    /// A PostgreSQL URL for a role through one of the services; the password is left out.
    pub fn url(&self, service: &impl Balanced, login: &Login, database: &str) -> Text {
        let (user, authority) = (&login.user, self.authority(service));
        Text::plain(format!("postgresql://{user}@{authority}/{database}"))
    }

    /// The same with the password, as a reference.
    pub fn url_with_password(
        &self,
        service: &impl Balanced,
        login: &Login,
        database: &str,
    ) -> Text {
        let (user, authority) = (&login.user, self.authority(service));
        let password = login.password.form(Form::Url).marker();
        Text::from_marked(&format!(
            "postgresql://{user}:{password}@{authority}/{database}"
        ))
        .unwrap_or_default()
    }

    /// How the database behind a service is administered: from a target, through this balancer.
    pub(crate) fn postgres(&self, port: u16, superuser: &Login) -> Option<PgAccess> {
        Some(PgAccess {
            via: self.targets.iter().map(|(host, _)| host.clone()).collect(),
            address: self.private_ip?.to_string(),
            port,
            user: superuser.user.clone(),
            password: superuser.password.clone(),
        })
    }

    /// Everything that must be there before a connection through it can succeed.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Urn> + '_ {
        self.parents.iter().cloned()
    }

    fn spec(&self, scope: &Scope<'_>) -> Result<LoadBalancerSpec> {
        let Some(ip) = self.private_ip else {
            return Err(self
                .finding(scope, "has no address in the private network")
                .help("give it one: .private_ip(\"10.0.0.10\".parse()?)")
                .into());
        };
        Ok(LoadBalancerSpec {
            name: self.name.clone(),
            load_balancer_type: self.load_balancer_type.clone(),
            location: self.location.clone(),
            network: NetworkSpec {
                name: self.network.clone(),
                ip,
            },
            public_interface: self.public,
            algorithm: Algorithm::RoundRobin,
            labels: BTreeMap::new(),
            delete_protection: false,
            services: self.services.clone(),
            targets: self.targets.iter().map(|(_, address)| *address).collect(),
        })
    }

    /// The gate: all targets are found healthy on all ports.
    fn gate(&self, settle: u64) -> Gate {
        self.waiting_for(
            Condition::LoadBalancerHealthy {
                min_targets: self.targets.len(),
            },
            settle,
        )
    }

    fn waiting_for(&self, condition: Condition, settle: u64) -> Gate {
        let name = self.name.clone();
        Gate {
            probe: Probe::at(&Site::Hetzner, LoadBalancer { name }),
            condition,
            settle,
            deadline: HEALTH_DEADLINE,
        }
    }

    /// How a target is drained: it says no to the health checks, until they find it ill.
    fn drain(&self) -> Drain {
        let drained = self.targets.iter().map(|(host, target)| {
            let condition = Condition::TargetDrained { target: *target };
            (host.clone(), self.waiting_for(condition, 0))
        });
        Drain {
            port: DRAIN_PORT,
            drained: drained.collect(),
        }
    }

    /// The group of its targets, if there are several: what ends on one of them is carried by
    /// the others.
    fn group(&self) -> Option<Group> {
        if self.targets.len() < 2 {
            return None;
        }
        // Until its checks have had the time to fail, a balancer finds a dead target healthy.
        let checks = self.services.iter().map(|service| &service.health_check);
        let notices = checks.map(|check| check.interval * check.retries + check.timeout);
        let settle = notices.max().unwrap_or_default();
        Some(Group {
            name: self.group_name(),
            members: self.targets.iter().map(|(host, _)| host.clone()).collect(),
            gate: Some(self.gate(u64::from(settle))),
            leadership: None,
            drain: Some(self.drain()),
        })
    }

    fn group_name(&self) -> GroupName {
        GroupName(format!("the targets of {}", self.name))
    }

    fn finding(&self, scope: &Scope<'_>, what: &str) -> Finding {
        scope.finding(
            "kbz::hetzner::load-balancer",
            format!("`{}` {what}", self.name),
        )
    }

    fn claims(&self, scope: &mut Scope<'_>) {
        let Some(address) = self.private_ip else {
            return;
        };
        for service in &self.services {
            let to = self.targets.iter().map(|(_, target)| Endpoint {
                address: *target,
                port: service.destination_port,
            });
            scope.claim(Claim::Balances {
                balancer: self.name.clone(),
                entry: Endpoint {
                    address,
                    port: service.listen_port,
                },
                to: to.collect(),
                public: self.public,
            });
        }
    }
}

impl Component for HetznerLb {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn summary(&self) -> String {
        let ports: Vec<String> = self
            .services
            .iter()
            .map(|service| service.listen_port.to_string())
            .collect();
        format!("ports {}", ports.join(", "))
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let spec = self.spec(scope)?;
        self.claims(scope);
        let balancer = scope
            .add(primitive::HetznerLb::of_component(spec))
            .urn()
            .clone();
        if let Some(group) = self.group() {
            scope.group(group);
        }
        scope.add(
            primitive::ClusterGate::new(format!("{} is healthy", self.name), self.gate(0))
                .watching(self.parents())
                .within([balancer])
                .after(self.parents()),
        );
        Ok(())
    }
}

/// The group that what runs on a host is a member of, where a balancer leads to the host and to
/// others.
pub(super) fn group_of(host: &HostName, scope: &Scope<'_>) -> Option<GroupName> {
    let balancers = scope.all::<HetznerLb>();
    let groups = balancers.iter().filter_map(|balancer| balancer.group());
    let mut own = groups.filter(|group| group.members.contains(host));
    own.next().map(|group| group.name)
}
