//! Random programs made of primitives, small enough to collide with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use kbz_infra::ident::{HostName, Urn};
use kbz_infra::model::load_balancer::{Algorithm, LoadBalancerSpec, NetworkSpec, Service};
use kbz_infra::model::{BuildContext, ContextFile};
use kbz_infra::prelude::*;
use kbz_infra::primitive::{
    Container, Firewall, FirewallRule, HetznerLb, Image, ImageBuild, KernelModule, PgDatabase,
    PgExtension, PgRole, Resolver, Supervision, SwapOff, Sysctl,
};
use kbz_infra::program::{Program, Settings};

use crate::cluster::{NODES, OTHERS, Postgres, postgres};
use crate::names::{host, stack};

/// One thing that a program declares, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is, below [`KINDS`], or [`CLUSTER`].
    pub kind: u8,
    /// Which of the two free hosts it is on, where it is on one.
    pub host: usize,
    /// Which of the three of its kind there it is.
    pub slot: usize,
    /// Which of the three forms it has.
    pub variant: usize,
    /// Further dependencies, on what stands before it in the program.
    pub waits: Vec<usize>,
    /// Whether it must not be taken away.
    pub protect: bool,
}

/// How many kinds of small things there are.
pub const KINDS: u8 = 17;

/// The kind of an item that is a whole cluster, with a group.
pub const CLUSTER: u8 = KINDS;

impl Item {
    /// What stays the same while its form, its place and its dependencies change.
    pub fn identity(&self) -> (u8, usize, usize) {
        match self.kind {
            13..=15 => (self.kind, 0, self.slot),
            16.. => (self.kind, 0, 0),
            _ => (self.kind, self.host, self.slot),
        }
    }

    /// The name of its host.
    pub fn on(&self) -> HostName {
        host(OTHERS[self.host].0)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (slot, host) = (self.slot, OTHERS[self.host].0);
        match self.kind {
            0 => write!(f, "file /etc/kbz-{slot}.conf on {host}"),
            1 => write!(f, "directory /srv/d{slot} on {host}"),
            2 => write!(f, "directory with a file /srv/d{slot} on {host}"),
            3 => write!(f, "nested directories with a file /srv/d{slot} on {host}"),
            4 => write!(f, "unit-{slot}.service with its files on {host}"),
            5 => write!(f, "kernel parameter {} on {host}", PARAMETERS[slot]),
            6 => write!(f, "rule for port {} on {host}", 5000 + slot),
            7 => write!(f, "firewall on {host}"),
            8 => write!(f, "container app-{slot} on {host}"),
            9 => write!(f, "container service-{slot} under systemd on {host}"),
            10 => write!(f, "no swap on {host}"),
            11 => write!(f, "kernel module module_{slot} on {host}"),
            12 => write!(f, "resolver on {host}"),
            13 => write!(f, "role role{slot}"),
            14 => write!(f, "database data{slot}"),
            15 => write!(f, "database data{slot} with an extension"),
            16 => write!(f, "load balancer entry"),
            _ => write!(f, "cluster pg of three nodes"),
        }?;
        write!(f, ", form {}", self.variant)?;
        if self.protect {
            f.write_str(", protected")?;
        }
        if !self.waits.is_empty() {
            write!(f, ", waits for some before it {:?}", self.waits)?;
        }
        Ok(())
    }
}

pub(crate) const PARAMETERS: [&str; 3] = ["vm.swappiness", "net.core.somaxconn", "vm.dirty_ratio"];

/// The program of these items.
///
/// # Panics
/// When what they declare is no program: a defect of this file.
pub fn program(items: &[Item]) -> Program {
    let mut writer = Writer {
        stack: Stack::new(stack(), Settings::new(".")),
        declared: Vec::new(),
        balancer: None,
        protect: false,
    };
    for item in items {
        writer.protect = item.protect;
        writer.declare(item);
    }
    writer.stack.finish().unwrap()
}

struct Writer {
    stack: Stack,
    declared: Vec<Urn>,
    balancer: Option<Urn>,
    protect: bool,
}

impl Writer {
    /// Declares a resource, unless it is declared already; it comes after `needs`.
    fn add<R>(&mut self, resource: R, needs: impl IntoIterator<Item = Urn>) -> Urn
    where
        R: Resource + Clone,
    {
        let urn = resource.urn();
        if !self.declared.contains(&urn) {
            let protect = self.protect;
            self.stack.add(resource.with(|options| {
                options.depends_on.extend(needs);
                options.protect = protect;
            }));
            self.declared.push(urn.clone());
        }
        urn
    }

    fn declare(&mut self, item: &Item) {
        let on = item.on();
        let earlier = self.declared.len();
        let waits: BTreeSet<Urn> = item
            .waits
            .iter()
            .filter(|_| earlier > 0)
            .map(|wait| self.declared[wait % earlier].clone())
            .collect();
        let (slot, variant) = (item.slot, item.variant);
        match item.kind {
            0 => {
                let path = format!("/etc/kbz-{slot}.conf");
                let mode = [0o600, 0o644, 0o640][variant];
                let file = File::on(&on, path).content(format!("variant {variant}\n"));
                self.add(file.mode(mode), waits);
            }
            1 => drop(self.directory(&on, slot, variant, waits)),
            2 => {
                let directory = self.directory(&on, slot, variant, []);
                let path = format!("/srv/d{slot}/file");
                let file = File::on(&on, path).content(format!("in {variant}"));
                self.add(file, waits.into_iter().chain([directory]));
            }
            3 => self.nested(&on, slot, waits),
            4 => self.unit(&on, slot, variant, waits),
            5 => {
                self.add(Sysctl::on(&on, PARAMETERS[slot], variant + 1), waits);
            }
            6 => drop(self.add(rule(&on, slot, variant), waits)),
            7 => {
                let ssh = FirewallRule::tcp(&on, 22);
                let urn = self.add(ssh.clone(), []);
                self.add(Firewall::on(&on, &ssh), waits.into_iter().chain([urn]));
            }
            8 => self.container(&on, slot, variant, waits),
            9 => self.supervised(&on, slot, variant, waits),
            10 => drop(self.add(SwapOff::on(&on), waits)),
            11 => drop(self.add(KernelModule::on(&on, format!("module_{slot}")), waits)),
            12 => {
                let servers: [IpAddr; 2] = [[1, 1, 1, 1].into(), [8, 8, 8, 8].into()];
                let servers = servers.into_iter().take(1 + variant % 2);
                self.add(Resolver::on(&on, servers), waits);
            }
            13 => drop(self.role(slot, variant, waits)),
            14 => drop(self.database(slot, variant, waits)),
            15 => {
                let database = self.database(slot, variant, []);
                let name = ["vector", "pg_trgm", "pgcrypto"][variant];
                let extension = PgExtension::at(&postgres(), format!("data{slot}"), name);
                self.add(extension, waits.into_iter().chain([database]));
            }
            16 => self.balancer(variant, waits),
            _ => self.cluster(variant, slot),
        }
    }

    /// A cluster whose nodes have the edition `slot` of their configuration, one of them another.
    fn cluster(&mut self, variant: usize, slot: usize) {
        let urn = Urn::global("postgres", "pg");
        if self.declared.contains(&urn) {
            return;
        }
        let edition = |number: usize| u32::try_from(number).expect("forms are few");
        let mut cluster = Postgres::new().image(edition(variant));
        for (name, _) in &NODES[..=slot] {
            cluster = cluster.configured(&host(name), edition(variant));
        }
        self.stack.add(cluster);
        self.declared.push(urn);
    }

    fn directory(
        &mut self,
        on: &HostName,
        slot: usize,
        variant: usize,
        waits: impl IntoIterator<Item = Urn>,
    ) -> Urn {
        let mode = [0o755, 0o700, 0o750][variant];
        self.add(Directory::on(on, format!("/srv/d{slot}")).mode(mode), waits)
    }

    fn nested(&mut self, on: &HostName, slot: usize, waits: BTreeSet<Urn>) {
        let outer = self.directory(on, slot, 0, []);
        let inner = Directory::on(on, format!("/srv/d{slot}/inner"));
        let inner = self.add(inner, [outer]);
        let file = File::on(on, format!("/srv/d{slot}/inner/file")).content("deep");
        self.add(file, waits.into_iter().chain([inner]));
    }

    fn unit(&mut self, on: &HostName, slot: usize, variant: usize, waits: BTreeSet<Urn>) {
        let name = format!("unit-{slot}.service");
        let text = format!("[Service]\nExecStart=/usr/bin/sleep {variant}\nExecReload=/bin/true\n");
        let file = File::on(on, format!("/etc/systemd/system/{name}")).content(text);
        let file = self.add(file, []);
        let config = File::on(on, format!("/etc/unit-{slot}.conf")).content(format!("{variant}"));
        let config = self.add(config, []);
        let unit = SystemdUnit::on(on, name).restart_on([file.clone()]);
        let unit = unit.reload_on([config.clone()]);
        self.add(unit, waits.into_iter().chain([file, config]));
    }

    fn image(&mut self, on: &HostName, slot: usize, variant: usize) -> (Urn, String) {
        let dockerfile = ContextFile {
            content: format!("FROM debian\nLABEL variant={variant}\n"),
            executable: false,
        };
        let build = ImageBuild::of(BuildContext {
            repository: format!("kbz/app-{slot}"),
            version: "1".to_owned(),
            files: BTreeMap::from([("Dockerfile".to_owned(), dockerfile)]),
            args: BTreeMap::new(),
        });
        let reference = build.reference();
        let build = self.add(build.for_hosts([on]), []);
        let image = Image::on(on, &reference).knowing_user("app");
        (self.add(image, [build]), reference)
    }

    fn container(&mut self, on: &HostName, slot: usize, variant: usize, waits: BTreeSet<Urn>) {
        let (image, reference) = self.image(on, slot, variant);
        let container = Container::on(on, format!("app-{slot}"), reference);
        let container = container.env("VARIANT", variant.to_string());
        self.add(container, waits.into_iter().chain([image]));
    }

    fn supervised(&mut self, on: &HostName, slot: usize, variant: usize, waits: BTreeSet<Urn>) {
        let (image, reference) = self.image(on, slot, variant);
        let directory = self.directory(on, slot, 0, []);
        let name = format!("service-{slot}");
        let unit = format!("{name}.service");
        let container = Container::on(on, &name, reference)
            .supervised_by(Supervision::systemd(&unit))
            .reads(format!("/srv/d{slot}"), "/etc/service");
        let container = self.add(container, [image, directory]);
        let text = format!("[Service]\nExecStart=/usr/bin/docker start --attach {name}\n");
        let file = File::on(on, format!("/etc/systemd/system/{unit}")).content(text);
        let file = self.add(file, []);
        let unit = SystemdUnit::on(on, unit).restart_on([container.clone(), file.clone()]);
        self.add(unit, waits.into_iter().chain([container, file]));
    }

    fn role(&mut self, slot: usize, variant: usize, waits: impl IntoIterator<Item = Urn>) -> Urn {
        let role = PgRole::at(&postgres(), format!("role{slot}"));
        let mut needs: Vec<Urn> = waits.into_iter().collect();
        let role = match variant {
            0 => role.password(&SecretRef::new("APP")),
            1 => role.login().create_db(),
            _ if slot > 0 => {
                needs.push(self.role(slot - 1, 1, []));
                role.in_role(format!("role{}", slot - 1))
            }
            _ => role,
        };
        self.add(role, needs)
    }

    fn database(
        &mut self,
        slot: usize,
        variant: usize,
        waits: impl IntoIterator<Item = Urn>,
    ) -> Urn {
        let owner = self.role(variant, 1, []);
        let database = PgDatabase::at(&postgres(), format!("data{slot}"), format!("role{variant}"));
        self.add(database, waits.into_iter().chain([owner]))
    }

    fn balancer(&mut self, variant: usize, waits: BTreeSet<Urn>) {
        if self.balancer.is_some() {
            return;
        }
        let services = [5432, 5433, 6432].into_iter().take(1 + variant);
        let targets = OTHERS.iter().take(1 + variant % 2);
        let spec = LoadBalancerSpec {
            name: "entry".to_owned(),
            load_balancer_type: "lb11".to_owned(),
            location: ["fsn1", "fsn1", "nbg1"][variant].to_owned(),
            network: NetworkSpec {
                name: "private".to_owned(),
                ip: [10, 0, 0, 10].into(),
            },
            public_interface: false,
            algorithm: Algorithm::RoundRobin,
            labels: BTreeMap::new(),
            delete_protection: variant == 1,
            services: services.map(|port| Service::tcp(port, port)).collect(),
            targets: targets
                .map(|(_, address)| address.parse().unwrap())
                .collect(),
        };
        let urn = self.add(HetznerLb::of(spec), waits);
        self.balancer = Some(urn);
    }
}

pub(crate) fn rule(on: &HostName, slot: usize, variant: usize) -> FirewallRule {
    let port = 5000 + u16::try_from(slot).unwrap();
    let rule = FirewallRule::tcp(on, port);
    match variant {
        0 => rule,
        1 => rule.from("10.0.0.0/24".parse().unwrap()),
        _ => FirewallRule::udp(on, port),
    }
}
