//! Random programs made of primitives, small enough to collide with each other.

use std::collections::{BTreeMap, BTreeSet};
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
use proptest::prelude::*;

use crate::cluster::{OTHERS, postgres};
use crate::rig::{host, stack};

/// One thing that a program declares, with what it needs.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    kind: u8,
    host: usize,
    slot: usize,
    variant: usize,
    /// Further dependencies, on what stands before it in the program.
    waits: Vec<usize>,
}

/// How many kinds of item there are.
const KINDS: u8 = 17;

pub(crate) fn items() -> impl Strategy<Value = Vec<Item>> {
    let waits = prop::collection::vec(0_usize..30, 0..3);
    let item = (0..KINDS, 0_usize..2, 0_usize..3, 0_usize..3, waits);
    let item = item.prop_map(|(kind, host, slot, variant, waits)| Item {
        kind,
        host,
        slot,
        variant,
        waits,
    });
    prop::collection::vec(item, 0..24)
}

/// The program of these items.
pub(crate) fn program(items: &[Item]) -> Program {
    let mut writer = Writer {
        stack: Stack::new(stack(), Settings::new(".")),
        declared: Vec::new(),
        balancer: None,
    };
    for item in items {
        writer.declare(item);
    }
    writer.stack.finish().unwrap()
}

struct Writer {
    stack: Stack,
    declared: Vec<Urn>,
    balancer: Option<Urn>,
}

impl Writer {
    /// Declares a resource, unless it is declared already; it comes after `needs`.
    fn add<R>(&mut self, resource: R, needs: impl IntoIterator<Item = Urn>) -> Urn
    where
        R: Resource + Clone,
    {
        let urn = resource.urn();
        if !self.declared.contains(&urn) {
            self.stack.add(resource.after(needs));
            self.declared.push(urn.clone());
        }
        urn
    }

    fn declare(&mut self, item: &Item) {
        let on = host(OTHERS[item.host].0);
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
                let key = ["vm.swappiness", "net.core.somaxconn", "vm.dirty_ratio"][slot];
                self.add(Sysctl::on(&on, key, variant + 1), waits);
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
            _ => self.balancer(variant, waits),
        }
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

fn rule(on: &HostName, slot: usize, variant: usize) -> FirewallRule {
    let port = 5000 + u16::try_from(slot).unwrap();
    let rule = FirewallRule::tcp(on, port);
    match variant {
        0 => rule,
        1 => rule.from("10.0.0.0/24".parse().unwrap()),
        _ => FirewallRule::udp(on, port),
    }
}
