//! The executor and the model together: plans carried out in parallel, with faults.

use std::collections::BTreeSet;
use std::sync::Arc;

use benches::generated::{generated, hosts as generated_hosts};
use kbz_infra::exec::{Because, Cancel, Limits, Run, RunOutcome};
use kbz_infra::ident::Urn;
use kbz_infra::plan::{Plan, StepId};
use kbz_infra::sim::Fault;
use kbz_infra::state::Store;
use proptest::prelude::*;

use crate::programs::{items, program};
use crate::random::rig;
use crate::rig::{Rig, shown, stack};

/// Carries a plan out by the executor, with a state of its own.
fn run(rig: &mut Rig, plan: &Plan) -> RunOutcome {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), stack()).lock().unwrap();
    let context = rig.context();
    let run = Run::new(
        plan.clone(),
        rig.world.clone(),
        store,
        context,
        Limits::default(),
    );
    let (events, _listener) = tokio::sync::mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(run.start(events, Cancel::new())).unwrap()
}

/// All steps that wait for a step, directly or not.
fn descendants(plan: &Plan, of: StepId) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    for step in &plan.steps {
        if step.after.contains(&of) || !step.after.is_disjoint(&found) {
            found.insert(step.id);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn in_parallel_the_same_world_comes_about(items in items()) {
        let program = program(&items);
        let mut one_by_one = rig();
        one_by_one.up(&program);
        let mut rig = rig();
        let plan = rig.plan(&program);
        let outcome = run(&mut rig, &plan);
        prop_assert!(outcome.is_success(), "{:?}\n{}", outcome.failed, shown(&plan));
        rig.remembered = outcome.records.clone();
        prop_assert!(rig.plan(&program).is_empty());
        prop_assert_eq!(rig.traces(), one_by_one.traces());
    }

    #[test]
    fn a_failure_skips_exactly_what_waits_for_it(
        items in items(),
        number in 1_u64..40,
        fault in prop::sample::select(vec![
            Fault::FailBefore, Fault::FailAfter, Fault::LoseRequest, Fault::LoseAnswer,
        ]),
    ) {
        let program = program(&items);
        let mut rig = rig();
        let plan = rig.plan(&program);
        rig.world.fault(rig.world.effects() + number, fault);
        let outcome = run(&mut rig, &plan);
        // A site that fell silent is spared everything else, too.
        let silent = outcome.skipped.iter();
        let silent = silent.filter(|(_, because)| matches!(because, Because::Silent { .. }));
        let silent: BTreeSet<StepId> = silent.map(|(id, _)| *id).collect();
        let lost = matches!(fault, Fault::LoseRequest | Fault::LoseAnswer);
        prop_assert!(lost || silent.is_empty());
        let roots = outcome.failed.keys().chain(&silent);
        let waiting = roots.flat_map(|id| descendants(&plan, *id)).chain(silent.iter().copied());
        let skipped: BTreeSet<StepId> = outcome.skipped.keys().copied().collect();
        prop_assert_eq!(skipped, waiting.collect::<BTreeSet<_>>());
        // The next run goes on from there, without a question and without a leftover.
        rig.remembered = outcome.records.clone();
        rig.up(&program);
        let mut whole = crate::random::rig();
        whole.up(&program);
        prop_assert_eq!(rig.traces(), whole.traces());
    }
}

#[test]
fn a_large_program_is_made_changed_and_destroyed() {
    let hosts = generated_hosts().unwrap();
    let names: Vec<_> = hosts.iter().map(|(name, _)| name.clone()).collect();
    let world =
        kbz_infra::sim::World::empty(kbz_infra::ident::StackName::new("shop").unwrap(), hosts);
    let mut rig = Rig::new(world, names);
    let first = generated(1000, 1).unwrap();
    assert_eq!(first.declarations.resources.len(), 1000);
    assert_eq!(rig.up(&first).steps.len(), 1000);
    let changed = rig.up(&generated(1000, 2).unwrap());
    assert!(changed.steps.len() > 300);
    let smaller = generated(500, 2).unwrap();
    assert_eq!(rig.up(&smaller).steps.len(), 500);
    let remembered: BTreeSet<Urn> = rig.remembered.keys().cloned().collect();
    assert_eq!(remembered, crate::random::declared(&smaller));
    rig.destroy(&smaller);
    assert_eq!(rig.traces(), BTreeSet::new());
}

/// Whether the world can be shared, as the executor shares it.
#[test]
fn a_world_is_shared_between_workers() {
    fn shared<T: Send + Sync>(_: &T) {}
    let rig = rig();
    shared(&Arc::clone(&rig.world));
}
