//! Whatever a hand changes is seen and put right, kind by kind.

use kbz_infra::ident::HostName;
use kbz_infra::model::load_balancer::{Algorithm, LoadBalancerSpec, NetworkSpec, Service};
use kbz_infra::model::{FirewallRule as Rule, Protocol};
use kbz_infra::prelude::*;
use kbz_infra::primitive::{
    Container, Firewall, FirewallRule, HetznerLb, Image, KernelModule, PgDatabase, PgExtension,
    PgRole, Resolver, Supervision, SwapOff, Sysctl,
};
use kbz_infra::program::{Program, Settings};
use kbz_infra::sim::Universe;

use crate::cluster::postgres;
use crate::random::rig;
use crate::rig::{Rig, host, shown, stack};

const UNIT_TEXT: &str = "[Service]\nExecStart=/usr/bin/docker start --attach service\n";

fn app() -> HostName {
    host("app-1")
}

/// A program with every kind in it.
pub(crate) fn everything() -> Program {
    let on = &app();
    let mut stack = Stack::new(stack(), Settings::new("."));
    let directory = stack.add(Directory::on(on, "/srv/data").mode(0o700));
    let file = File::on(on, "/srv/data/file")
        .content("declared\n")
        .mode(0o640);
    stack.add(file.depends_on(&directory));
    stack.add(Sysctl::on(on, "vm.swappiness", 1));
    stack.add(SwapOff::on(on));
    stack.add(KernelModule::on(on, "tcp_bbr"));
    stack.add(Resolver::on(on, [[1, 1, 1, 1].into()]));
    let ssh = FirewallRule::tcp(on, 22);
    let declared = stack.add(ssh.clone());
    let open = stack.add(FirewallRule::tcp(on, 5432));
    let firewall = Firewall::on(on, &ssh).letting_in([&FirewallRule::tcp(on, 5432)]);
    stack.add(firewall.exactly().depends_on(&declared).depends_on(&open));
    let image = stack.add(Image::on(on, "kbz/app:1").knowing_user("app"));
    let plain = Container::on(on, "plain", "kbz/app:1").env("A", "1");
    stack.add(plain.depends_on(&image));
    let service = Container::on(on, "service", "kbz/app:1");
    let service = service.supervised_by(Supervision::systemd("service.service"));
    let service = stack.add(service.depends_on(&image));
    let unit_file = File::on(on, "/etc/systemd/system/service.service").content(UNIT_TEXT);
    let unit_file = stack.add(unit_file);
    let used = [service.urn().clone(), unit_file.urn().clone()];
    stack.add(
        SystemdUnit::on(on, "service.service")
            .restart_on(used.clone())
            .after(used),
    );
    let role = PgRole::at(&postgres(), "kb_app").password(&SecretRef::new("APP"));
    let role = stack.add(role);
    let database = PgDatabase::at(&postgres(), "keybuzz", "kb_app");
    let database = stack.add(database.depends_on(&role));
    let extension = PgExtension::at(&postgres(), "keybuzz", "vector");
    stack.add(extension.depends_on(&database));
    stack.add(HetznerLb::of(LoadBalancerSpec {
        name: "entry".to_owned(),
        load_balancer_type: "lb11".to_owned(),
        location: "fsn1".to_owned(),
        network: NetworkSpec {
            name: "private".to_owned(),
            ip: [10, 0, 0, 10].into(),
        },
        public_interface: false,
        algorithm: Algorithm::RoundRobin,
        labels: std::collections::BTreeMap::new(),
        delete_protection: false,
        services: vec![Service::tcp(5432, 5432)],
        targets: [[10, 0, 0, 11].into(), [10, 0, 0, 12].into()].into(),
    }));
    stack.finish().unwrap()
}

fn rule(port: u16) -> Rule {
    Rule {
        port,
        protocol: Protocol::Tcp,
        from: None,
    }
}

/// A hand in the world.
pub(crate) type Hand = fn(&mut Universe);

pub(crate) const HANDS: [(&str, Hand); 30] = [
    ("file edited", |w| {
        w.edit_file(&app(), "/srv/data/file", "edited\n");
    }),
    ("file removed", |w| w.remove_path(&app(), "/srv/data/file")),
    ("file's mode", |w| {
        w.change_mode(&app(), "/srv/data/file", 0o666);
    }),
    ("directory removed", |w| w.remove_path(&app(), "/srv/data")),
    ("directory's mode", |w| {
        w.change_mode(&app(), "/srv/data", 0o777);
    }),
    ("sysctl set", |w| {
        w.set_sysctl(&app(), "vm.swappiness", "60");
    }),
    ("sysctl's file", |w| {
        w.remove_path(&app(), "/etc/sysctl.d/60-kbz-vm.swappiness.conf");
    }),
    ("swap on", |w| w.add_swap(&app(), "/swap.img")),
    ("resolver edited", |w| {
        w.edit_file(&app(), "/etc/resolv.conf", "nameserver 9.9.9.9\n");
    }),
    ("resolver a link", |w| {
        w.put_link(&app(), "/etc/resolv.conf");
    }),
    ("rule revoked", |w| w.revoke_traffic(&app(), &rule(5432))),
    ("rule added", |w| w.allow_traffic(&app(), &rule(3306))),
    ("firewall off", |w| w.disable_firewall(&app())),
    ("image retagged", |w| w.retag_image(&app(), "kbz/app:1")),
    ("container removed", |w| w.remove_container(&app(), "plain")),
    ("container stopped", |w| w.stop_container(&app(), "plain")),
    ("container bent", |w| {
        w.bend_container(&app(), "plain", |spec| spec.stop_grace = 1);
    }),
    ("service's container removed", |w| {
        w.remove_container(&app(), "service");
    }),
    ("service's container stopped", |w| {
        w.stop_container(&app(), "service");
    }),
    ("unit stopped", |w| w.stop_unit(&app(), "service.service")),
    ("unit disabled", |w| {
        w.disable_unit(&app(), "service.service");
    }),
    ("unit's file edited", |w| {
        let edited = format!("{UNIT_TEXT}# by hand\n");
        w.edit_file(&app(), "/etc/systemd/system/service.service", &edited);
    }),
    ("registry lost", |w| w.lose_registry(&app())),
    ("role bent", |w| w.toggle_login("pg", "kb_app")),
    ("database and role dropped", |w| {
        w.drop_database("pg", "keybuzz");
        w.drop_role("pg", "kb_app");
    }),
    ("database dropped", |w| w.drop_database("pg", "keybuzz")),
    ("extension dropped", |w| {
        w.drop_extension("pg", "keybuzz", "vector");
    }),
    ("target removed", |w| {
        w.remove_target("entry", [10, 0, 0, 12].into());
    }),
    ("service removed", |w| w.remove_service("entry", 5432)),
    ("power failed", |w| {
        w.power_off(&app());
        w.power_on(&app());
        w.stop_container(&app(), "plain");
    }),
];

/// Who has made everything, after a hand on it; with the program.
pub(crate) fn after(hand: Hand) -> (Rig, Program) {
    let (mut rig, program) = (rig(), everything());
    rig.up(&program);
    rig.world.change(hand);
    (rig, program)
}

#[test]
fn every_hand_is_seen_and_put_right() {
    for (what, hand) in HANDS {
        let mut rig = rig();
        let program = everything();
        rig.up(&program);
        let before = rig.traces();
        rig.world.change(hand);
        let plan = rig.plan(&program);
        assert!(!plan.steps.is_empty(), "not seen: {what}");
        rig.up(&program);
        assert_eq!(rig.traces(), before, "{what}:\n{}", shown(&plan));
    }
}

#[test]
fn the_steps_that_put_things_right() {
    let mut lines = String::new();
    for (what, hand) in HANDS {
        let (rig, program) = after(hand);
        lines.extend([what, "\n", &shown(&rig.plan(&program))]);
    }
    insta::assert_snapshot!(lines);
}
