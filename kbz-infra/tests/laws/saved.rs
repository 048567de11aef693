//! A saved plan is carried out as it was previewed, or refused where the world has moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kbz_infra::effect::Interpreter;
use kbz_infra::graph::Graph;
use kbz_infra::ident::Urn;
use kbz_infra::observe::observe;
use kbz_infra::plan::{Plan, Step, StepId};
use kbz_infra::probe::Probe;
use kbz_infra::program::Program;
use kbz_infra::resource::Op;
use kbz_infra::state::{SavedPlan, Since};
use proptest::prelude::*;

use crate::cluster::{NODES, Postgres};
use crate::drift::{HANDS, everything};
use crate::groups;
use crate::programs::{items, program};
use crate::random::rig;
use crate::rig::{Rig, host, shown, stack};

const ENVIRONMENT: &str = "sim";

/// What `preview --out` keeps of a plan for `program`, read back from its file.
fn saved(rig: &Rig, program: &Program) -> SavedPlan {
    let graph = Graph::new(program.declarations.clone()).unwrap();
    let observation = rig.observe(&graph);
    let plan = rig.plan(program);
    let probes = |step: &Step| -> Vec<Probe> {
        let declared = graph.node(&step.urn).map(|node| node.resource.probes());
        let recorded = rig.remembered.get(&step.urn);
        declared
            .or_else(|| recorded.map(|record| record.removal.probes.clone()))
            .unwrap_or_default()
    };
    let groups = graph.groups();
    let saved = SavedPlan::new(ENVIRONMENT, plan, groups, &probes, &observation, &rig.vault);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan");
    saved.write(&file, &rig.vault).unwrap();
    let read = SavedPlan::read(&file, &stack(), ENVIRONMENT, &rig.vault).unwrap();
    assert_eq!(read, saved);
    read
}

/// What has become of it in the world as it is now.
fn since(rig: &Rig, saved: &SavedPlan) -> Since {
    let interpreter: Arc<dyn Interpreter> = rig.world.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let wanted = saved.probes(&rig.vault);
    let seen = runtime.block_on(observe(&interpreter, wanted, &|_| {}));
    saved.since(&seen, &rig.vault)
}

/// What of it is still done.
fn left(rig: &Rig, saved: &SavedPlan) -> Plan {
    let since = since(rig, saved);
    saved.plan.clone().reduced(&since.done, &since.refused)
}

/// The first steps of a plan.
fn first(plan: &Plan, count: usize) -> Plan {
    let mut plan = plan.clone();
    plan.steps.truncate(count);
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn in_a_world_that_stands_still_it_is_the_plan(before in items(), after in items()) {
        let mut rig = rig();
        rig.up(&program(&before));
        let wanted = program(&after);
        let saved = saved(&rig, &wanted);
        prop_assert_eq!(since(&rig, &saved), Since::default());
        prop_assert_eq!(&left(&rig, &saved), &saved.plan);
        prop_assert_eq!(rig.apply(&saved.plan), BTreeMap::new());
        prop_assert!(rig.plan(&wanted).is_empty());
        // A second time there is nothing left of it to do but what leaves no mark.
        let again = since(&rig, &saved);
        for step in saved.plan.steps.iter().filter(|step| step.urn.host().is_some()) {
            let known = again.done.contains(&step.id) || again.refused.contains_key(&step.id);
            prop_assert!(known, "{} is done again", step.urn);
        }
    }

    #[test]
    fn a_run_that_broke_off_goes_on_and_repeats_nothing(
        before in items(),
        after in items(),
        done in any::<prop::sample::Index>(),
    ) {
        let mut rig = rig();
        rig.up(&program(&before));
        let wanted = program(&after);
        let saved = saved(&rig, &wanted);
        prop_assume!(!saved.plan.steps.is_empty());
        let done = done.index(saved.plan.steps.len());
        prop_assert_eq!(rig.apply(&first(&saved.plan, done)), BTreeMap::new());
        let rest = left(&rig, &saved);
        let made: BTreeSet<&Urn> = saved.plan.steps[..done].iter().map(|step| &step.urn).collect();
        for step in rest.steps.iter().filter(|step| step.urn.host().is_some()) {
            prop_assert!(!made.contains(&step.urn), "{} is done again", step.urn);
        }
        prop_assert_eq!(rig.apply(&rest), BTreeMap::new(), "{}", shown(&rest));
        rig.up(&wanted);
        let mut whole = crate::random::rig();
        whole.up(&wanted);
        prop_assert_eq!(rig.traces(), whole.traces());
    }
}

#[test]
fn whatever_a_hand_has_changed_since_is_refused() {
    for (place, (first, first_hand)) in HANDS.into_iter().enumerate() {
        let mut drifted = rig();
        let program = everything();
        drifted.up(&program);
        let whole = drifted.traces();
        drifted.world.change(first_hand);
        let saved = saved(&drifted, &program);
        // Six others for each, spread over all.
        for turn in 0..6 {
            let (second, second_hand) = HANDS[(place * 7 + turn * 5) % HANDS.len()];
            let mut rig = drifted.copy();
            rig.world.change(second_hand);
            let rest = left(&rig, &saved);
            let now = rig.plan(&program);
            for step in &rest.steps {
                let still = now.steps.iter().any(|other| other.urn == step.urn);
                assert!(still, "{first}, then {second}: {}", step.urn);
            }
            assert_eq!(rig.apply(&rest), BTreeMap::new(), "{first}, then {second}");
            rig.up(&program);
            assert_eq!(rig.traces(), whole, "{first}, then {second}");
        }
    }
}

#[test]
fn a_leader_that_has_moved_since_is_not_disturbed_where_it_stands() {
    let rig = groups::rig(&host("db-1"));
    let mut wanted = Postgres::new();
    for (name, _) in NODES {
        wanted = wanted.configured(&host(name), 1);
    }
    let program = wanted.program();
    let saved = saved(&rig, &program);
    assert_eq!(saved.plan.count(Op::Switchover), 1);
    rig.world.change(|world| world.power_off(&host("db-1")));
    rig.world.change(|world| world.power_on(&host("db-1")));
    let leader = rig.world.change(|world| world.leader("pg").cloned());
    assert_ne!(leader, Some(host("db-1")));
    let rest = left(&rig, &saved);
    assert!(!rig.is_proved(&rest, &program), "{}", shown(&rest));
}

#[test]
fn a_roll_that_broke_off_goes_on_member_by_member() {
    let mut rig = groups::rig(&host("db-1"));
    let mut wanted = Postgres::new();
    for (name, _) in NODES {
        wanted = wanted.configured(&host(name), 1);
    }
    let program = wanted.program();
    let saved = saved(&rig, &program);
    let switchover = saved
        .plan
        .steps
        .iter()
        .find(|step| step.op == Op::Switchover);
    let StepId(before) = switchover.unwrap().id;
    let begun = first(&saved.plan, usize::try_from(before).unwrap());
    assert_eq!(rig.apply(&begun), BTreeMap::new());
    let rest = left(&rig, &saved);
    assert!(rest.stuck.is_empty(), "{}", shown(&rest));
    assert!(rig.is_proved(&rest, &program), "{}", shown(&rest));
    let fewest = groups::fewest_running(&mut rig, &rest);
    assert!(fewest >= 2, "{fewest} nodes ran during\n{}", shown(&rest));
    assert!(rig.plan(&program).is_empty());
}
