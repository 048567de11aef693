//! Members of a group are disturbed one at a time, with gates between, the leader last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use kbz_infra::effect::{Action, Effect, Interpreter};
use kbz_infra::ident::HostName;
use kbz_infra::plan::{Plan, Step, StepId};
use kbz_infra::resource::{Impact, Op};
use proptest::prelude::*;

use crate::cluster::{NODES, Postgres, members, patroni, world};
use crate::rig::{Rig, host, shown};

/// An operator with a running cluster that a given node leads.
pub(crate) fn rig(leader: &HostName) -> Rig {
    let mut rig = Rig::new(world(), members());
    rig.up(&Postgres::new().program());
    lead(&mut rig, leader);
    rig
}

/// Makes a node of the running cluster its leader.
pub(crate) fn lead(rig: &mut Rig, leader: &HostName) {
    let now = rig
        .world
        .change(|world| world.leader("pg").cloned())
        .unwrap();
    if now != *leader {
        let action = Action::Switchover {
            leader: now.to_string(),
            candidate: Some(leader.to_string()),
        };
        let context = rig.context();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let switchover = Effect::new(patroni(), action);
        runtime
            .block_on(rig.world.run(&switchover, &context))
            .unwrap();
    }
}

/// For each step, all that are done before it.
fn before(plan: &Plan) -> BTreeMap<StepId, BTreeSet<StepId>> {
    let mut before: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    for step in &plan.steps {
        let mut all = step.after.clone();
        for earlier in &step.after {
            all.extend(before[earlier].iter().copied());
        }
        before.insert(step.id, all);
    }
    before
}

pub(crate) fn is_gate(step: &Step) -> bool {
    let mut actions = step.effects.iter().map(|effect| &effect.action);
    actions.any(|action| matches!(action, Action::Gate(_)))
}

pub(crate) fn disturbs(step: &Step) -> bool {
    step.impact >= Impact::Restart && step.disturbs.is_some()
}

/// The order that must hold in every schedule of the plan.
pub(crate) fn check_order(plan: &Plan, leader: &HostName) -> Result<(), String> {
    let before = before(plan);
    let disturbing: Vec<(&HostName, &Step)> = plan
        .steps
        .iter()
        .filter(|step| disturbs(step))
        .filter_map(|step| step.disturbs.as_ref().map(|(_, member)| (member, step)))
        .collect();
    let gates: Vec<StepId> = plan
        .steps
        .iter()
        .filter(|step| is_gate(step))
        .map(|s| s.id)
        .collect();
    for (one, first) in &disturbing {
        if !before[&first.id].iter().any(|id| gates.contains(id)) {
            return Err(format!("no gate before {}", first.urn));
        }
        let parted = |earlier: &Step, later: &Step| {
            gates
                .iter()
                .any(|gate| before[gate].contains(&earlier.id) && before[&later.id].contains(gate))
        };
        for (other, second) in disturbing.iter().filter(|(other, _)| other != one) {
            if !parted(first, second) && !parted(second, first) {
                return Err(format!("no gate between {} and {}", first.urn, second.urn));
            }
            if *one == leader && before[&second.id].contains(&first.id) {
                return Err(format!("the leader is not last: {other} comes after it"));
            }
        }
        let moved = plan.steps.iter().filter(|step| step.op == Op::Switchover);
        let moved = moved
            .map(|step| step.id)
            .find(|id| before[&first.id].contains(id));
        if *one == leader && moved.is_none() {
            return Err("the leader is disturbed without a switchover".to_owned());
        }
        if !gates.iter().any(|gate| before[gate].contains(&first.id)) {
            return Err(format!("no gate after {}", first.urn));
        }
    }
    Ok(())
}

/// Applies a plan and says how few nodes ever ran at the same time.
pub(crate) fn fewest_running(rig: &mut Rig, plan: &Plan) -> usize {
    let fewest = Arc::new(Mutex::new(NODES.len()));
    let start = rig.world.effects();
    let effects: usize = plan.steps.iter().map(|step| step.effects.len()).sum();
    for number in start + 1..=start + u64::try_from(effects).unwrap() {
        let fewest = Arc::clone(&fewest);
        rig.world.before_effect(number, move |world| {
            let running = members()
                .into_iter()
                .filter(|node| world.is_running(node, "patroni"));
            let mut fewest = fewest.lock().unwrap();
            *fewest = (*fewest).min(running.count());
        });
    }
    assert_eq!(rig.apply(plan), BTreeMap::new(), "\n{}", shown(plan));
    let fewest = fewest.lock().unwrap();
    *fewest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_roll_keeps_two_of_three(
        editions in prop::array::uniform3(0_u32..2),
        image in 1_u32..3,
        leader in 0_usize..3,
    ) {
        let leader = host(NODES[leader].0);
        let mut rig = rig(&leader);
        let mut wanted = Postgres::new().image(image);
        for ((name, _), edition) in NODES.iter().zip(editions) {
            wanted = wanted.configured(&host(name), edition);
        }
        let program = wanted.program();
        let plan = rig.plan(&program);
        let order = check_order(&plan, &leader);
        prop_assert_eq!(order, Ok(()), "{}", shown(&plan));
        for step in plan.steps.iter().filter(|step| disturbs(step)) {
            let mut wrong = plan.clone();
            wrong.steps[step.id.0 as usize].after.clear();
            let proved = rig.is_proved(&wrong, &program);
            prop_assert!(!proved, "{} waits for nothing in\n{}", step.urn, shown(&wrong));
        }
        let fewest = fewest_running(&mut rig, &plan);
        prop_assert!(fewest >= 2, "{fewest} nodes ran during\n{}", shown(&plan));
        prop_assert!(rig.plan(&program).is_empty());
    }
}

#[test]
fn a_closed_gate_stops_the_roll_and_the_next_run_goes_on() {
    let mut rig = rig(&host("db-1"));
    let mut wanted = Postgres::new();
    for (name, _) in NODES {
        wanted = wanted.configured(&host(name), 1);
    }
    let program = wanted.program();
    let plan = rig.plan(&program);
    let first_gate = plan
        .steps
        .iter()
        .filter(|step| is_gate(step))
        .nth(1)
        .unwrap();
    let done: usize = plan.steps[..first_gate.id.0 as usize]
        .iter()
        .map(|s| s.effects.len())
        .sum();
    let number = rig.world.effects() + u64::try_from(done).unwrap() + 1;
    rig.world
        .before_effect(number, |world| world.pause_cluster("pg", true));
    let failed = rig.apply(&plan);
    assert!(
        failed[&first_gate.id].contains("maintenance mode"),
        "{failed:?}"
    );
    let running = members()
        .into_iter()
        .filter(|node| rig.world.change(|world| world.is_running(node, "patroni")));
    assert_eq!(running.count(), 3);
    rig.world.change(|world| world.pause_cluster("pg", false));
    let rest = rig.plan(&program);
    assert_eq!(
        check_order(&rest, &host("db-1")),
        Ok(()),
        "{}",
        shown(&rest)
    );
    rig.up(&program);
}
