//! What is found and bears no mark of the stack, or another's.

use std::sync::Arc;

use kbz_infra::effect::{Action, Effect, Interpreter as _, Line, Record, Removal};
use kbz_infra::ident::{HostName, StackName, Urn};
use kbz_infra::plan::{Pattern, Request};
use kbz_infra::prelude::*;
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::{Op, PlanError};

use crate::random::rig;
use crate::rig::{Rig, host, stack};

const DATA: &str = "/srv/data";

fn app() -> HostName {
    host("app-1")
}

fn program() -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    stack.add(Directory::on(&app(), DATA).for_data());
    stack.finish().unwrap()
}

fn data() -> Urn {
    Urn::on(Directory::KIND, &app(), DATA)
}

/// A world in which somebody has left a cluster's data.
fn leftover() -> Rig {
    let rig = rig();
    rig.world.change(|world| {
        world.make_directory(&app(), DATA);
        world.edit_file(&app(), &format!("{DATA}/PG_VERSION"), "17\n");
    });
    rig
}

/// Why there is no plan.
#[track_caller]
fn refused(rig: &Rig) -> String {
    let problems = rig.try_plan(&program(), Request::Up).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].declared.is_some());
    match &problems[0].error {
        PlanError::Refused { what, help } => format!("{what} / {help}"),
        other => panic!("{other}"),
    }
}

#[test]
fn data_of_somebody_else_is_refused_until_it_is_adopted() {
    let mut rig = leftover();
    let why = refused(&rig);
    assert!(
        why.contains("holds data that nobody remembers to be this stack's: PG_VERSION"),
        "{why}"
    );
    assert!(why.contains(&format!("--adopt {}", data())), "{why}");

    rig.adopted.push(Pattern::of(&data()));
    let plan = rig.up(&program());
    assert_eq!(plan.steps[0].op, Op::Adopt);
    rig.adopted.clear();
    rig.remembered.clear();
    assert!(rig.plan(&program()).is_empty(), "its mark says whose it is");
    let kept = rig
        .world
        .change(|world| world.has_path(&app(), &format!("{DATA}/PG_VERSION")));
    assert!(kept);
}

#[test]
fn a_run_that_was_killed_before_the_mark_goes_on() {
    let mut rig = rig();
    rig.world.change(|world| world.make_directory(&app(), DATA));
    rig.up(&program());
}

/// Another stack notes the directory as its own.
fn taken_over(rig: &mut Rig) {
    let theirs = Record {
        urn: data(),
        goal: rig.vault.keyed(&kbz_infra::ident::Digest::of("theirs")),
        removal: Removal::default().into(),
        depends_on: std::collections::BTreeSet::new(),
        protect: false,
        retain: false,
        line: Line::default(),
    };
    let mut other = rig.context();
    other.stack = StackName::new("other").unwrap();
    let mark = Effect::on(&app(), Action::Mark(Box::new(theirs)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(Arc::clone(&rig.world).run(&mark, &other))
        .unwrap();
}

#[test]
fn what_another_stack_has_noted_is_refused_and_has_one_owner() {
    let mut rig = rig();
    taken_over(&mut rig);

    let why = refused(&rig);
    assert!(why.contains("it is stack other's"), "{why}");

    rig.adopted.push(Pattern::of(&data()));
    rig.up(&program());
    let traces = rig.traces();
    let mark = format!("{}: mark {}", app(), data());
    let marks = traces.iter().filter(|trace| **trace == mark);
    assert_eq!(marks.count(), 1, "{traces:?}");
    rig.adopted.clear();
    assert!(rig.plan(&program()).is_empty());
}

#[test]
fn what_another_stack_has_taken_over_is_forgotten_and_stays() {
    let nothing = Stack::new(stack(), Settings::new(".")).finish().unwrap();
    for request in [Request::Destroy, Request::Up] {
        let mut rig = rig();
        rig.up(&program());
        taken_over(&mut rig);
        let left = if request == Request::Destroy {
            rig.try_plan(&program(), request).unwrap()
        } else {
            rig.try_plan(&nothing, request).unwrap()
        };
        assert!(left.steps.is_empty(), "{}", crate::rig::shown(&left));
        assert!(left.forgotten.contains(&data()));
    }
}
