//! One run at a time changes the hosts of a stack, wherever it was begun.

use std::collections::BTreeMap;
use std::sync::Arc;

use kbz_infra::effect::{Action, Effect, EffectError, Interpreter as _, RunContext};
use kbz_infra::exec::{Cancel, Lease, Limits, Run, RunError, RunOutcome};
use kbz_infra::plan::Plan;
use kbz_infra::prelude::*;
use kbz_infra::primitive::PgRole;
use kbz_infra::program::{Program, Settings};
use kbz_infra::sim::World;
use kbz_infra::state::Store;
use tokio::runtime::Runtime;

use crate::cluster::postgres;
use crate::random::rig;
use crate::rig::{Rig, host, stack};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn program() -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    stack.add(File::on(&host("app-1"), "/etc/notes").content("notes\n"));
    stack.add(PgRole::at(&postgres(), "reader"));
    stack.finish().unwrap()
}

fn lease(holder: &str) -> Lease {
    Lease {
        hosts: [host("app-1")].into(),
        holder: holder.to_owned(),
    }
}

/// A run by somebody, on a state of its own.
fn run(
    world: &Arc<World>,
    plan: &Plan,
    context: RunContext,
    holder: &str,
) -> Result<RunOutcome, RunError> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), stack()).lock().unwrap();
    let run = Run::new(
        plan.clone(),
        Arc::clone(world) as _,
        store,
        context,
        Limits::default(),
    );
    let (events, _listener) = tokio::sync::mpsc::unbounded_channel();
    runtime().block_on(run.holding(lease(holder)).start(events, Cancel::new()))
}

/// What the world says to an effect.
fn says(rig: &Rig, effect: &Effect, context: &RunContext) -> Result<(), EffectError> {
    runtime().block_on(rig.world.run(effect, context))
}

fn take(holder: &str) -> Effect {
    let holder = holder.to_owned();
    Effect::on(&host("app-1"), Action::TakeLease { holder })
}

#[test]
fn while_a_run_goes_on_another_begins_nothing_and_is_told_whose_it_is() {
    let mut rig = rig();
    let plan = rig.plan(&program());
    let (first, second) = (rig.context(), rig.context());
    says(&rig, &take("ann"), &first).unwrap();
    let before = rig.traces();
    let refused = run(&rig.world, &plan, second, "bob").unwrap_err();
    assert!(
        matches!(&refused, RunError::Held(EffectError::Held { by, .. }) if by == "ann"),
        "{refused}"
    );
    assert_eq!(rig.traces(), before);
    // The first one has not become the older one by that.
    let write = &plan.steps[0].effects[0];
    says(&rig, write, &first).unwrap();
}

#[test]
fn a_run_gives_the_lease_back_and_the_next_may_be_anybodys() {
    let mut rig = rig();
    let plan = rig.plan(&program());
    let context = rig.context();
    let outcome = run(&rig.world, &plan, context, "ann").unwrap();
    assert_eq!(outcome.failed, BTreeMap::new());
    let other = rig.context();
    says(&rig, &take("bob"), &other).unwrap();
}

#[test]
fn whoever_was_killed_goes_on_at_once() {
    let mut rig = rig();
    let plan = rig.plan(&program());
    let killed = rig.context();
    says(&rig, &take("ann"), &killed).unwrap();
    let context = rig.context();
    assert!(run(&rig.world, &plan, context, "ann").unwrap().is_success());
}

#[test]
fn a_run_that_a_newer_one_has_overtaken_changes_nothing_any_more_anywhere() {
    let mut rig = rig();
    let plan = rig.plan(&program());
    let (stalled, newer) = (rig.context(), rig.context());
    says(&rig, &take("bob"), &newer).unwrap();
    let holder = "ann".to_owned();
    let renewal = Effect::on(&host("app-1"), Action::RenewLease { holder });
    let effects = plan.steps.iter().flat_map(|step| &step.effects);
    for effect in effects.chain([&renewal]) {
        let refused = says(&rig, effect, &stalled).unwrap_err();
        assert!(
            matches!(refused, EffectError::Moved { .. }),
            "{effect:?}: {refused}"
        );
    }
}
