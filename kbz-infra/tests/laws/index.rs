//! What is remembered changes, and nothing that is there.

use std::collections::{BTreeMap, BTreeSet};

use kbz_infra::effect::Action;
use kbz_infra::ident::Urn;
use kbz_infra::plan::{Plan, Request, Selection};
use kbz_infra::prelude::*;
use kbz_infra::primitive::PgRole;
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::Op;

use crate::cluster::postgres;
use crate::random::rig;
use crate::rig::{Rig, host, shown, stack};

fn file(name: &str) -> File {
    File::on(&host("app-1"), format!("/etc/{name}")).content("x\n")
}

fn urn(name: &str) -> Urn {
    Urn::on(File::KIND, &host("app-1"), format!("/etc/{name}"))
}

fn reader() -> Urn {
    Urn::global(PgRole::KIND, "reader")
}

/// A file, a file that depends on it, and a role.
fn program() -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    let used = stack.add(file("used"));
    stack.add(file("user").depends_on(&used));
    stack.add(PgRole::at(&postgres(), "reader"));
    stack.finish().unwrap()
}

fn made() -> Rig {
    let mut rig = rig();
    rig.up(&program());
    rig
}

/// Carries out a plan that may touch marks alone.
fn note(rig: &mut Rig, plan: &Plan) {
    for effect in plan.steps.iter().flat_map(|step| &step.effects) {
        assert!(
            matches!(effect.action, Action::Mark(_) | Action::Unmark(_)),
            "{effect:?}"
        );
    }
    assert_eq!(rig.apply(plan), BTreeMap::new());
}

fn marks(rig: &Rig) -> BTreeSet<String> {
    let traces = rig.traces().into_iter();
    traces
        .filter(|trace| trace.contains("app-1: mark "))
        .collect()
}

#[test]
fn what_is_forgotten_stays_and_is_nobodys() {
    let mut rig = made();
    let plan = Plan::forgetting(&stack(), rig.remembered.clone().values());
    note(&mut rig, &plan);
    assert_eq!(rig.remembered, BTreeMap::new());
    assert_eq!(marks(&rig), BTreeSet::new());
    let there = rig
        .world
        .change(|world| world.has_path(&host("app-1"), "/etc/used"));
    assert!(there);
    let nothing = Stack::new(stack(), Settings::new(".")).finish().unwrap();
    assert!(rig.plan(&nothing).is_empty());
}

#[test]
fn what_has_another_address_is_the_same_object_and_its_users_know() {
    let mut rig = made();
    let before = rig.remembered.clone();
    let plan = Plan::renaming(&stack(), &before, &urn("used"), &urn("renamed"));
    note(&mut rig, &plan);
    assert!(!rig.remembered.contains_key(&urn("used")));
    let user = &rig.remembered[&urn("user")];
    assert!(user.depends_on.contains(&urn("renamed")), "{user:?}");
    // And back: nothing is left to do.
    let there = rig.remembered.clone();
    let plan = Plan::renaming(&stack(), &there, &urn("renamed"), &urn("used"));
    note(&mut rig, &plan);
    assert_eq!(rig.remembered, before);
    assert!(rig.plan(&program()).is_empty());
}

#[test]
fn a_rename_that_broke_off_is_known_by_one_of_the_two() {
    let wanted =
        |rig: &Rig| Plan::renaming(&stack(), &rig.remembered, &urn("used"), &urn("renamed"));
    for number in 1..=2 {
        let mut rig = made();
        let plan = wanted(&rig);
        let fault = kbz_infra::sim::Fault::FailBefore;
        rig.world.fault(rig.world.effects() + number, fault);
        assert_ne!(rig.apply(&plan), BTreeMap::new());
        rig.remembered.clear();
        let plan = rig.plan(&program());
        assert_eq!(plan.count(Op::Create), 0, "{}", shown(&plan));
    }
}

#[test]
fn what_is_remembered_under_a_wrong_address_is_forgotten_and_stays() {
    let raeder = Urn::global(PgRole::KIND, "raeder");
    let mut rig = made();
    for (right, wrong) in [(urn("used"), urn("usde")), (reader(), raeder.clone())] {
        let plan = Plan::renaming(&stack(), &rig.remembered, &right, &wrong);
        note(&mut rig, &plan);
        assert!(rig.remembered.contains_key(&wrong));
    }
    let plan = rig.plan(&program());
    assert_eq!(plan.count(Op::Delete), 0, "{}", shown(&plan));
    assert_eq!(plan.count(Op::Forget), 1, "{}", shown(&plan));
    assert!(plan.forgotten.contains(&raeder), "{}", shown(&plan));
    note(&mut rig, &plan);
    let there = rig
        .world
        .change(|world| world.has_path(&host("app-1"), "/etc/used"));
    assert!(there);
    assert!(rig.plan(&program()).is_empty());
    assert!(rig.remembered.contains_key(&urn("used")));
    assert!(!rig.remembered.contains_key(&raeder));
}

#[test]
fn what_nothing_declares_any_more_goes_under_whatever_address() {
    let mut rig = made();
    let plan = Plan::renaming(&stack(), &rig.remembered, &urn("used"), &urn("usde"));
    note(&mut rig, &plan);
    let nothing = Stack::new(stack(), Settings::new(".")).finish().unwrap();
    let plan = rig.plan(&nothing);
    assert_eq!(plan.count(Op::Delete), 3, "{}", shown(&plan));
    let destroyed = rig.try_plan(&program(), Request::Destroy).unwrap();
    assert_eq!(destroyed.count(Op::Delete), 3, "{}", shown(&destroyed));
}

fn imported(rig: &Rig, which: &[Urn]) -> Result<Plan, Vec<Urn>> {
    let patterns = || which.iter().map(kbz_infra::plan::Pattern::of).collect();
    let selection = Selection {
        targets: patterns(),
        adopted: patterns(),
        excludes: Vec::new(),
    };
    let plan = rig.plan_for(&program(), Request::Up, &selection).unwrap();
    plan.importing(&|urn| which.contains(urn))
}

#[test]
fn what_is_imported_is_marked_and_stays_as_it_is() {
    let mut rig = made();
    let plan = Plan::forgetting(&stack(), rig.remembered.clone().values());
    note(&mut rig, &plan);
    rig.world
        .change(|world| world.edit_file(&host("app-1"), "/etc/used", "by hand\n"));
    let plan = imported(&rig, &[urn("used"), reader()]).unwrap();
    note(&mut rig, &plan);
    let remembered: Vec<&Urn> = rig.remembered.keys().collect();
    assert_eq!(remembered, [&urn("used"), &reader()]);
    let plan = rig.plan(&program());
    let ops: Vec<(Op, &Urn)> = plan.steps.iter().map(|step| (step.op, &step.urn)).collect();
    assert_eq!(
        ops,
        [(Op::Update, &urn("used")), (Op::Adopt, &urn("user"))],
        "{}",
        shown(&plan)
    );
}

#[test]
fn what_is_not_there_cannot_be_imported() {
    let mut rig = made();
    let plan = Plan::forgetting(&stack(), rig.remembered.clone().values());
    note(&mut rig, &plan);
    rig.world
        .change(|world| world.remove_path(&host("app-1"), "/etc/used"));
    assert_eq!(imported(&rig, &[urn("used")]).unwrap_err(), [urn("used")]);
}
