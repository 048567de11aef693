//! The hosts behind a load balancer, with HAProxy and PgBouncer on each: one at a time, and the
//! balancer finds the one healthy before the next is disturbed.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use kbz_infra::effect::Action;
use kbz_infra::model::{FirewallRule as Rule, Protocol};
use kbz_infra::plan::{Plan, Step};
use kbz_infra::prelude::*;
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::Impact;

use crate::groups::{check_order, disturbs};
use crate::keybuzz::rig;
use crate::rig::{Rig, host, shown, stack};
use crate::system::System;

const PAIR: [&str; 2] = ["haproxy-01", "haproxy-02"];

/// What is other than in the program of every day.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    /// Another version of HAProxy.
    haproxy: Option<&'static str>,
    /// Another version of PgBouncer.
    pgbouncer: Option<&'static str>,
    /// Another setting of a frontend, which HAProxy reads again.
    rise: Option<u8>,
}

/// The whole system; what a test writes is in `folder`.
fn program(folder: &Path, wanted: Wanted) -> Program {
    let versions = std::fs::read_to_string("../stacks/versions.yaml").unwrap();
    let lines = versions.lines().map(|line| {
        let own = |name, version: Option<&str>| match (line.split_once(':'), version) {
            (Some((key, _)), Some(version)) if key == name => Some(format!("{name}: {version}\n")),
            _ => None,
        };
        let changed = own("haproxy", wanted.haproxy).or(own("pgbouncer", wanted.pgbouncer));
        changed.unwrap_or_else(|| format!("{line}\n"))
    });
    std::fs::write(folder.join("versions.yaml"), lines.collect::<String>()).unwrap();
    let settings = Settings {
        credentials: Some(folder.join("postgres.env")),
        versions: Some(folder.join("versions.yaml")),
        ..Settings::new("../stacks")
    };
    let mut stack = Stack::new(stack(), settings);
    declare(&mut stack, wanted).unwrap();
    stack.finish().unwrap()
}

fn declare(stack: &mut Stack, wanted: Wanted) -> Result<()> {
    let system = System::of(stack)?;
    let cluster = system.cluster(stack)?;
    let haproxy = system.haproxy(stack)?;
    let write = HaproxyFrontend::new("pg_write", 5432).on(&haproxy);
    let write = write.up_after(wanted.rise.unwrap_or(2));
    let write = stack.add(write.to_primary_of(&cluster));
    let pooler = system.pooler(stack, &write)?;
    stack.add(
        HetznerLb::new("lb-haproxy")
            .private_ip([10, 0, 0, 10].into())
            .service(&write)
            .service(&pooler)
            .targets(&haproxy),
    );
    Ok(())
}

/// A running system, and where its inputs are.
fn running() -> (tempfile::TempDir, Rig) {
    let folder = tempfile::tempdir().unwrap();
    let first = program(folder.path(), Wanted::default());
    let mut rig = rig(&first);
    let plan = rig.up(&first);
    // Where nobody is served yet, nobody waits.
    assert_eq!(turns(&plan), [""; 0], "{}", shown(&plan));
    (folder, rig)
}

/// Who is disturbed when, and where the group is waited for.
fn turns(plan: &Plan) -> Vec<String> {
    let mut turns: Vec<String> = Vec::new();
    for step in &plan.steps {
        let turn = match &step.disturbs {
            Some((group, member)) if disturbs(step) && group.0.ends_with("lb-haproxy") => {
                member.to_string()
            }
            _ if is_turn(step) => "gate".to_owned(),
            _ => continue,
        };
        if turns.last() != Some(&turn) {
            turns.push(turn);
        }
    }
    turns
}

/// Whether a step waits for the group, between two turns.
fn is_turn(step: &Step) -> bool {
    step.urn.to_string().starts_with("gate:the targets of")
}

/// Applies a plan and says how few hosts ever had both services running.
fn fewest_whole(rig: &mut Rig, plan: &Plan) -> usize {
    let fewest = Arc::new(Mutex::new(PAIR.len()));
    let start = rig.world.effects();
    let effects: usize = plan.steps.iter().map(|step| step.effects.len()).sum();
    for number in start + 1..=start + u64::try_from(effects).unwrap() {
        let fewest = Arc::clone(&fewest);
        rig.world.before_effect(number, move |world| {
            let whole = PAIR.iter().filter(|name| {
                let runs = |container| world.is_running(&host(name), container);
                runs("haproxy") && runs("pgbouncer")
            });
            let mut fewest = fewest.lock().unwrap();
            *fewest = (*fewest).min(whole.count());
        });
    }
    assert_eq!(rig.apply(plan), BTreeMap::new(), "\n{}", shown(plan));
    let fewest = fewest.lock().unwrap();
    *fewest
}

const ROLL: [&str; 5] = ["gate", "haproxy-02", "gate", "haproxy-01", "gate"];

#[test]
fn a_new_image_goes_to_one_host_at_a_time() {
    let nobody = host("db-master-01");
    for wanted in [
        Wanted {
            haproxy: Some("2.8.6"),
            ..Wanted::default()
        },
        Wanted {
            pgbouncer: Some("1.24.2"),
            ..Wanted::default()
        },
        Wanted {
            haproxy: Some("2.8.6"),
            pgbouncer: Some("1.24.2"),
            ..Wanted::default()
        },
    ] {
        let (folder, mut rig) = running();
        let program = program(folder.path(), wanted);
        let plan = rig.plan(&program);
        assert_eq!(turns(&plan), ROLL, "{wanted:?}\n{}", shown(&plan));
        assert_eq!(check_order(&plan, &nobody), Ok(()), "{}", shown(&plan));
        assert_eq!(fewest_whole(&mut rig, &plan), 1, "{wanted:?}");
        assert!(rig.plan(&program).is_empty(), "{wanted:?}");
    }
}

#[test]
fn a_reload_waits_for_nobody() {
    let (folder, mut rig) = running();
    let wanted = Wanted {
        rise: Some(3),
        ..Wanted::default()
    };
    let program = program(folder.path(), wanted);
    let plan = rig.up(&program);
    let reloads = plan.steps.iter();
    let reloads = reloads.filter(|step| step.impact == Impact::Reload);
    let hosts: BTreeSet<_> = reloads.filter_map(|step| step.urn.host()).collect();
    assert_eq!(hosts.len(), PAIR.len(), "{}", shown(&plan));
    assert_eq!(turns(&plan), [""; 0], "{}", shown(&plan));
}

/// The balancer tells of a host that died only after its checks have failed: each gate but the
/// first looks no earlier.
#[test]
fn a_gate_looks_once_the_balancer_can_have_noticed() {
    let (folder, rig) = running();
    let wanted = Wanted {
        haproxy: Some("2.8.6"),
        ..Wanted::default()
    };
    let program = program(folder.path(), wanted);
    let plan = rig.plan(&program);
    let gates = plan.steps.iter();
    let gates = gates.filter(|step| is_turn(step));
    let settles: Vec<u64> = gates
        .flat_map(|step| &step.effects)
        .filter_map(|effect| match &effect.action {
            Action::Gate(gate) => Some(gate.settle),
            _ => None,
        })
        .collect();
    // Two checks that are 3 s apart fail, the last after 2 s.
    assert_eq!(settles, [0, 8, 8]);
    let gates: Vec<usize> = (0..plan.steps.len())
        .filter(|place| is_turn(&plan.steps[*place]))
        .collect();
    let mut hasty = plan.clone();
    for effect in &mut hasty.steps[gates[1]].effects {
        if let Action::Gate(gate) = &mut effect.action {
            gate.settle = 1;
        }
    }
    let mut together = plan.clone();
    let (before, after) = (plan.steps[gates[0]].id, plan.steps[gates[1]].id);
    let of_members = together.steps.iter_mut();
    for step in of_members.filter(|step| step.disturbs.is_some()) {
        if step.after.remove(&after) {
            step.after.insert(before);
        }
    }
    let of = "of the targets of lb-haproxy";
    for (wrong, wanted) in [
        (
            hasty,
            format!(
                "kbz::plan::no-gate haproxy-01 {of} can be disturbed before haproxy-02 is back"
            ),
        ),
        (
            together,
            format!(
                "kbz::plan::overlap haproxy-02 and haproxy-01 {of} can be disturbed at the same time"
            ),
        ),
    ] {
        let found = rig.objections(&wrong, &program);
        assert!(found.contains(&wanted), "{found:?}\n{}", shown(&wrong));
    }
}

#[test]
fn a_host_that_does_not_come_back_spares_the_other_and_the_next_run_goes_on() {
    let (folder, mut rig) = running();
    let wanted = Wanted {
        haproxy: Some("2.8.6"),
        ..Wanted::default()
    };
    let program = program(folder.path(), wanted);
    let plan = rig.plan(&program);
    let gate = plan.steps.iter().filter(|step| is_turn(step)).nth(1);
    let gate = gate.unwrap().id;
    let done = plan.steps.iter().take_while(|step| step.id != gate);
    let done: usize = done.map(|step| step.effects.len()).sum();
    let health = Rule {
        port: 8404,
        protocol: Protocol::Tcp,
        from: Some("10.0.0.0/24".parse().unwrap()),
    };
    let number = rig.world.effects() + u64::try_from(done).unwrap() + 1;
    let closed = health.clone();
    rig.world.before_effect(number, move |world| {
        world.revoke_traffic(&host("haproxy-02"), &closed);
    });
    let failed = rig.apply(&plan);
    assert!(
        failed[&gate].contains("1 of 2 targets healthy"),
        "{failed:?}"
    );
    let first = |step: &&Step| {
        step.disturbs
            .as_ref()
            .is_some_and(|(_, m)| *m == host("haproxy-01"))
    };
    let spared = plan
        .steps
        .iter()
        .filter(|step| disturbs(step))
        .filter(first);
    assert!(spared.clone().count() > 0);
    assert!(spared.clone().all(|step| failed.contains_key(&step.id)));
    rig.world
        .change(|world| world.allow_traffic(&host("haproxy-02"), &health));
    let rest = rig.up(&program);
    assert_eq!(turns(&rest), ["gate", "haproxy-01", "gate"]);
}

#[test]
fn behind_a_balancer_that_is_gone_nobody_waits_for_it() {
    let (folder, mut rig) = running();
    rig.world
        .change(|world| world.remove_balancer("lb-haproxy"));
    let wanted = Wanted {
        haproxy: Some("2.8.6"),
        ..Wanted::default()
    };
    let plan = rig.up(&program(folder.path(), wanted));
    assert!(plan.steps.iter().any(disturbs), "{}", shown(&plan));
    assert_eq!(
        turns(&plan).iter().filter(|turn| *turn == "gate").count(),
        0
    );
}
