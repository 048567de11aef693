//! Drift is told from what the program wants otherwise, and may stay as it is found.

use std::collections::{BTreeMap, BTreeSet};

use kbz_infra::effect::{Action, Record};
use kbz_infra::graph::Graph;
use kbz_infra::ident::Urn;
use kbz_infra::plan::{Outcome, Plan, Planner, Request, remembered};
use kbz_infra::prelude::*;
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::found;

use crate::drift::{HANDS, everything};
use crate::random::rig;
use crate::rig::{Rig, host, shown, stack};

const PATH: &str = "/etc/notes";

type Adopted = BTreeMap<Urn, BTreeMap<String, String>>;

/// The plan of a program in which fields are adopted, and all that is remembered.
fn planned(rig: &Rig, program: &Program, adopted: &Adopted) -> (Plan, BTreeMap<Urn, Record>) {
    let graph = Graph::new(program.declarations.clone()).unwrap();
    let graph = graph.adopting(adopted.clone());
    let observation = rig.observe(&graph);
    let known = remembered(&rig.remembered, &observation);
    let planner = Planner::new(&graph, &observation, &rig.vault, &rig.remembered);
    (planner.plan(Request::Up).unwrap(), known)
}

/// What a plan's changes could leave as it is found.
fn adoptable(plan: &Plan) -> Adopted {
    let steps = plan.steps.iter();
    let found = steps.map(|step| (step.urn.clone(), found(&step.reasons, &step.details)));
    found.filter(|(_, fields)| !fields.is_empty()).collect()
}

#[test]
fn what_a_hand_has_changed_is_drift_and_nothing_that_the_program_wants() {
    for (what, hand) in HANDS {
        let mut rig = rig();
        let program = everything();
        rig.up(&program);
        rig.world.change(hand);
        let (plan, known) = planned(&rig, &program, &Adopted::new());
        let objects = plan.steps.iter();
        let objects = objects.filter(|step| step.outcome != Outcome::Nothing);
        let objects: BTreeSet<Urn> = objects.map(|step| step.urn.clone()).collect();
        assert_eq!(plan.drifted(&known), objects, "{what}\n{}", shown(&plan));
        assert_eq!(plan.pending(&known), BTreeSet::new(), "{what}");
    }
}

/// Two files; `content` is that of the first.
fn two(content: &str) -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    stack.add(File::on(&host("app-1"), PATH).content(content));
    stack.add(File::on(&host("app-1"), "/etc/other").content("other\n"));
    stack.finish().unwrap()
}

fn notes() -> Urn {
    Urn::on(File::KIND, &host("app-1"), PATH)
}

#[test]
fn what_the_program_wants_otherwise_is_no_drift() {
    let mut rig = rig();
    rig.up(&two("one\n"));
    rig.world
        .change(|world| world.remove_path(&host("app-1"), "/etc/other"));
    let (plan, known) = planned(&rig, &two("two\n"), &Adopted::new());
    let other = Urn::on(File::KIND, &host("app-1"), "/etc/other");
    assert_eq!(plan.drifted(&known), [other].into());
    assert_eq!(plan.pending(&known), [notes()].into());
    let nothing = Stack::new(stack(), Settings::new(".")).finish().unwrap();
    let (plan, known) = planned(&rig, &nothing, &Adopted::new());
    assert_eq!(plan.drifted(&known), BTreeSet::new());
    assert!(plan.pending(&known).contains(&notes()));
}

/// The hands of which everything may stay as it is found.
const MAY_STAY: [&str; 8] = [
    "file edited",
    "file's mode",
    "directory's mode",
    "sysctl set",
    "resolver edited",
    "rule added",
    "container bent",
    "role bent",
];

#[test]
fn what_is_adopted_stays_as_it_is_found() {
    let mut stays = Vec::new();
    for (what, hand) in HANDS {
        let mut rig = rig();
        let program = everything();
        rig.up(&program);
        rig.world.change(hand);
        let (plan, _) = planned(&rig, &program, &Adopted::new());
        let (left, _) = planned(&rig, &program, &adoptable(&plan));
        if left.is_empty() {
            stays.push(what);
        }
    }
    assert_eq!(stays, MAY_STAY);
}

#[test]
fn what_is_adopted_is_drift_again_once_it_is_found_otherwise() {
    let mut rig = rig();
    rig.up(&two("one\n"));
    let mode = |mode| {
        move |world: &mut kbz_infra::sim::Universe| world.change_mode(&host("app-1"), PATH, mode)
    };
    rig.world.change(mode(0o640));
    let adopted = Adopted::from([(
        notes(),
        BTreeMap::from([("mode".to_owned(), "0640".to_owned())]),
    )]);
    assert!(planned(&rig, &two("one\n"), &adopted).0.is_empty());
    rig.world.change(mode(0o666));
    let (plan, known) = planned(&rig, &two("one\n"), &adopted);
    assert_eq!(plan.drifted(&known), [notes()].into());
    let reasons: Vec<String> = plan.steps[0]
        .reasons
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(reasons, ["mode  0666 → 0600"]);
}

#[test]
fn what_is_adopted_is_left_alone_when_the_rest_is_put_right() {
    let mut rig = rig();
    rig.up(&two("one\n"));
    rig.world.change(|world| {
        world.edit_file(&host("app-1"), PATH, "by hand\n");
        world.change_mode(&host("app-1"), PATH, 0o666);
    });
    let (plan, _) = planned(&rig, &two("one\n"), &Adopted::new());
    let mut adopted = adoptable(&plan);
    let fields = adopted.get_mut(&notes()).unwrap();
    assert_eq!(fields.remove("mode").as_deref(), Some("0666"));
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["content"]);
    let (plan, _) = planned(&rig, &two("one\n"), &adopted);
    let effects: Vec<&Action> = plan.steps[0].effects.iter().map(|e| &e.action).collect();
    assert!(
        matches!(effects[0], Action::SetFileAttributes { mode: 0o600, .. }),
        "{effects:?}"
    );
    assert_eq!(rig.apply(&plan), BTreeMap::new());
    assert!(planned(&rig, &two("one\n"), &adopted).0.is_empty());
    // The program still says otherwise, and the file holds what the hand wrote.
    let (plan, _) = planned(&rig, &two("one\n"), &Adopted::new());
    let reasons: Vec<String> = plan.steps[0]
        .reasons
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(reasons, ["its content differs"]);
}
