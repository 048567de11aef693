//! The real components on modelled hosts: made, rolled, without their leader, taken away. Every
//! plan that an operator makes here has the proof of its order (`Rig::try_plan`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kbz_infra::effect::Action;
use kbz_infra::ident::HostName;
use kbz_infra::plan::{Plan, Request, Step, StepId};
use kbz_infra::prelude::*;
use kbz_infra::primitive::FirewallRule;
use kbz_infra::program::{ImagePin, Settings};
use kbz_infra::resource::{Impact, Op};
use kbz_infra::sim::World;

use crate::rig::{Rig, stack};
use crate::system::System;

/// Bytes of a data disk.
const DISK: u64 = 40 << 30;

/// The whole system, with a version of Patroni; its credentials are in `folder`.
fn program(patroni: &str, folder: &Path) -> Program {
    with_versions(patroni, "3.0.11", folder)
}

/// The same, with a version of HAProxy too.
fn with_versions(patroni: &str, haproxy: &str, folder: &Path) -> Program {
    let settings = Settings {
        credentials: Some(folder.join("postgres.env")),
        ..Settings::new("../stacks")
    };
    let mut stack = Stack::new(stack(), settings);
    declare(&mut stack, patroni, haproxy).unwrap();
    stack.finish().unwrap()
}

fn declare(stack: &mut Stack, patroni: &str, haproxy: &str) -> Result<()> {
    let system = System::read(stack)?;
    let all = [system.db.clone(), system.lb.clone()].concat();
    stack.add_each(&all, |host| {
        BaseOs::on(host)
            .ssh_from(system.network)
            .reboot_when_required()
    });
    let image = PatroniImage::new(system.pins.postgres()?).patroni(patroni);
    let image = stack.add(image.with(PgVector));
    let cluster = system.bare_cluster(stack);
    stack.add_each(&system.db, |host| {
        PatroniNode::on(host).cluster(&cluster).image(&image)
    });
    let pin = ImagePin {
        tag: haproxy.to_owned(),
        ..system.pins.image("haproxy")?
    };
    let haproxy = stack.add_each(&system.lb, |host| {
        Haproxy::on(host).image(pin.clone()).clients(system.network)
    });
    let write = HaproxyFrontend::new("pg_write", 5432).on(&haproxy);
    let write = stack.add(write.to_primary_of(&cluster));
    system.pooler(stack, &write)?;
    let entry = System::entry(stack, &haproxy, &write);
    let tenant = PgTenant::new(system.secrets.database(), &system.secrets.app());
    stack.add(tenant.through(&entry, &write, &system.secrets.superuser()));
    Ok(())
}

/// An operator before empty hosts, each with its data disk.
pub(crate) fn rig(program: &Program) -> Rig {
    let used: Vec<&Host> = program
        .hosts
        .iter()
        .filter(|host| host.role != Role::Install)
        .collect();
    let addresses = used.iter().map(|host| (host.name.clone(), host.address));
    let world = World::empty(stack(), addresses).with(|universe| {
        for host in &used {
            for path in ["/opt/keybuzz/postgres/data", "/opt/keybuzz/haproxy/data"] {
                universe.mount(&host.name, path, "xfs", DISK);
            }
        }
    });
    let mut rig = Rig::new(world, used.iter().map(|host| host.name.clone()));
    rig.vault = program.vault.clone().into();
    rig
}

fn leader(rig: &Rig) -> HostName {
    let leader = rig
        .world
        .change(|world| world.leader("keybuzz-pg").cloned());
    leader.expect("somebody leads")
}

fn disturbed(plan: &Plan) -> usize {
    let steps = plan.steps.iter();
    steps
        .filter(|step| step.disturbs.is_some() && step.impact >= Impact::Restart)
        .count()
}

/// A port is opened beside what makes its host ready.
fn rules_wait_for_nothing(plan: &Plan) {
    let rules = plan.steps.iter();
    let rules = rules.filter(|step| step.urn.kind().as_str() == FirewallRule::KIND);
    let rules: Vec<_> = rules.map(|step| (&step.urn, step.after.len())).collect();
    assert!(rules.len() > 5, "{rules:?}");
    assert!(rules.iter().all(|(_, waits)| *waits == 0), "{rules:?}");
}

#[test]
fn every_plan_of_the_real_system_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let first = program("4.1.5", folder.path());
    let mut rig = rig(&first);
    // The first creation disturbs nobody: there is nobody yet.
    let made = rig.up(&first);
    assert_eq!(disturbed(&made), 0);
    rules_wait_for_nothing(&made);
    // Another image is a roll of all three, the leader last.
    let second = program("4.1.6", folder.path());
    let plan = rig.up(&second);
    assert!(disturbed(&plan) >= 3, "{}", crate::rig::shown(&plan));
    assert_eq!(plan.count(Op::Switchover), 1);
    // Without its leader: what is left can still be planned.
    let lost = leader(&rig);
    rig.world.change(|world| world.power_off(&lost));
    let plan = rig.plan(&first);
    assert!(
        plan.stuck
            .iter()
            .any(|stuck| stuck.urn.host() == Some(&lost))
    );
    rig.world.change(|world| world.power_on(&lost));
    // All goes at once.
    let plan = rig.try_plan(&second, Request::Destroy).unwrap();
    assert!(plan.count(Op::Delete) > 0);
}

/// The hosts whose HAProxy says no to health checks.
fn drained(rig: &Rig) -> Vec<HostName> {
    let proxies = ["haproxy-01", "haproxy-02"].map(|name| HostName::new(name).unwrap());
    let is_drained = |host: &HostName| rig.world.change(|world| world.is_drained(host));
    proxies.into_iter().filter(is_drained).collect()
}

/// A proxy is drained before it starts anew, one at a time, and is in service again after the next
/// `up`, wherever a run broke off.
#[test]
fn the_proxies_are_drained_in_turn_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = program("4.1.5", folder.path());
    let second = with_versions("4.1.5", "3.0.12", folder.path());
    let mut rig = rig(&first);
    rig.up(&first);
    let whole = rig.plan(&second);
    assert!(disturbed(&whole) >= 2, "{}", crate::rig::shown(&whole));
    let mut seen = BTreeSet::new();
    for done in 0..=whole.steps.len() {
        let mut other = rig.copy();
        other.vault = Arc::clone(&rig.vault);
        let mut plan = whole.clone();
        plan.steps.truncate(done);
        assert!(other.apply(&plan).is_empty());
        let left = drained(&other);
        assert!(left.len() <= 1, "{left:?} after {done} steps");
        seen.extend(left);
        other.up(&second);
        assert_eq!(drained(&other), [], "after {done} steps");
    }
    assert_eq!(seen.len(), 2, "each is drained once");
}

/// One node of three is no cluster yet, though nothing of it is missing: what is to be configured
/// in the cluster waits until it is whole, in the same run.
#[test]
fn an_operator_killed_before_the_cluster_is_whole_comes_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let program = program("4.1.5", folder.path());
    let mut rig = rig(&program);
    let mut plan = rig.plan(&program);
    let waits = |step: &Step| {
        let mut effects = step.effects.iter();
        effects.any(|effect| matches!(effect.action, Action::Gate(_)))
    };
    let mut left: BTreeSet<StepId> = BTreeSet::new();
    for step in &plan.steps {
        if waits(step) || !step.after.is_disjoint(&left) {
            left.insert(step.id);
        }
    }
    plan.steps.retain(|step| !left.contains(&step.id));
    assert!(rig.apply(&plan).is_empty());
    for name in ["db-slave-01", "db-slave-02"] {
        let host = HostName::new(name).unwrap();
        rig.world
            .change(|world| world.stop_unit(&host, "patroni-docker.service"));
    }
    rig.up(&program);
}

/// Hosts whose packages ask for it reboot one after the other, the leader's last, and once.
#[test]
fn hosts_reboot_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let program = program("4.1.5", folder.path());
    let mut rig = rig(&program);
    rig.up(&program);
    let lead = leader(&rig);
    let hosts = [
        "db-master-01",
        "db-slave-01",
        "db-slave-02",
        "haproxy-01",
        "haproxy-02",
    ];
    let hosts = hosts.map(|name| HostName::new(name).unwrap());
    for host in &hosts {
        rig.world
            .change(|world| world.want_reboot(host, "linux-image-amd64"));
    }
    let plan = rig.up(&program);
    assert_eq!(
        plan.count(Op::Switchover),
        1,
        "{}",
        crate::rig::shown(&plan)
    );
    let rebooted = plan.steps.iter().filter_map(|step| {
        let mut effects = step.effects.iter();
        let reboots = effects.any(|effect| matches!(effect.action, Action::Reboot { .. }));
        reboots.then_some(step.disturbs.as_ref()?.1.clone())
    });
    let rebooted: Vec<HostName> = rebooted.collect();
    assert_eq!(rebooted.len(), hosts.len());
    let of_the_cluster = rebooted
        .iter()
        .rfind(|host| host.as_str().starts_with("db-"));
    assert_eq!(of_the_cluster, Some(&lead));
    for host in &hosts {
        assert_eq!(rig.world.change(|world| world.boots(host)), 1, "{host}");
    }
}

/// Who was drained by hand and forgotten is put back into service.
#[test]
fn a_hand_that_drains_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let program = program("4.1.5", folder.path());
    let mut rig = rig(&program);
    rig.up(&program);
    let proxy = HostName::new("haproxy-02").unwrap();
    rig.world.change(|world| world.drain(&proxy));
    assert_eq!(drained(&rig), [proxy]);
    rig.up(&program);
    assert_eq!(drained(&rig), []);
}

/// Proxies and load balancer may be there before any node has started. What is in the cluster is
/// absent then, not unknown: the next `up` does all the rest.
#[test]
fn an_operator_killed_before_the_first_node_starts_comes_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let program = program("4.1.5", folder.path());
    let mut rig = rig(&program);
    let mut plan = rig.plan(&program);
    let starts = |step: &Step| step.urn.name() == "patroni-docker.service";
    let mut left: BTreeSet<StepId> = BTreeSet::new();
    for step in &plan.steps {
        let waits = step.after.iter().any(|earlier| left.contains(earlier));
        // A balancer that has targets waits for nothing but them.
        if starts(step) && step.urn.kind().as_str() == "unit" || waits {
            left.insert(step.id);
        }
    }
    plan.steps.retain(|step| !left.contains(&step.id));
    assert!(rig.apply(&plan).is_empty());
    rig.up(&program);
}
