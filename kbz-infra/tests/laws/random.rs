//! Laws that hold for every program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kbz_infra::ident::{StackName, Urn};
use kbz_infra::plan::Request;
use kbz_infra::program::Program;
use kbz_infra::resource::Op;
use proptest::prelude::*;

use crate::cluster::{NODES, OTHERS, Postgres, world};
use crate::programs::{Item, items, program};
use crate::rig::{Rig, host, shown};

/// An operator with two free hosts and the server of another stack.
pub(crate) fn rig() -> Rig {
    let mut others = Rig::new(world(), NODES.map(|(name, _)| host(name)));
    let program = Postgres::new().program_of(StackName::new("other").unwrap());
    let plan = others.plan(&program);
    assert_eq!(others.apply(&plan), BTreeMap::new());
    let world = kbz_infra::sim::World::of(others.world.snapshot());
    Rig::new(world, OTHERS.map(|(name, _)| host(name)))
}

/// The resources that a program declares.
pub(crate) fn declared(program: &Program) -> BTreeSet<Urn> {
    let resources = program.declarations.resources.iter();
    resources.map(|(urn, _)| urn.clone()).collect()
}

/// What the world holds after a program alone.
fn traces_of(items: &[Item]) -> BTreeSet<String> {
    let mut rig = rig();
    rig.up(&program(items));
    rig.traces()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn after_up_there_is_nothing_to_do(items in items()) {
        let mut rig = rig();
        rig.up(&program(&items));
    }

    #[test]
    fn a_plan_depends_on_nothing_but_its_inputs(items in items()) {
        let rig = rig();
        let program = program(&items);
        let bytes = |plan| serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(bytes(rig.plan(&program)), bytes(rig.plan(&program)));
    }

    #[test]
    fn one_program_after_another_leaves_nothing_of_the_first(before in items(), after in items()) {
        let mut rig = rig();
        rig.up(&program(&before));
        let wanted = program(&after);
        rig.up(&wanted);
        prop_assert_eq!(rig.traces(), traces_of(&after));
        let remembered: BTreeSet<Urn> = rig.remembered.keys().cloned().collect();
        prop_assert_eq!(remembered, declared(&wanted));
    }

    #[test]
    fn destroy_leaves_what_was_there_before(items in items()) {
        let mut rig = rig();
        let before = rig.traces();
        let program = program(&items);
        rig.up(&program);
        rig.destroy(&program);
        prop_assert_eq!(rig.traces(), before);
        prop_assert!(rig.remembered.is_empty());
        prop_assert!(rig.try_plan(&program, Request::Destroy).unwrap().is_empty());
    }

    #[test]
    fn a_lost_memory_changes_nothing(items in items(), after in items()) {
        let mut rig = rig();
        let before = program(&items);
        rig.up(&before);
        rig.remembered.clear();
        let plan = rig.plan(&before);
        prop_assert!(plan.is_empty(), "{}", shown(&plan));
        // What hosts hold is found by its marks, also when the program has changed meanwhile.
        let after = program(&after);
        rig.up(&after);
        let orphans = rig.traces().into_iter().filter(|trace| trace.starts_with("app-"));
        let marks = orphans.filter_map(|trace| trace.split_once(": mark ").map(|(_, urn)| urn.to_owned()));
        let marks: BTreeSet<String> = marks.collect();
        let wanted = declared(&after).into_iter().filter(|urn| urn.host().is_some());
        prop_assert_eq!(marks, wanted.map(|urn| urn.to_string()).collect::<BTreeSet<_>>());
    }

    #[test]
    fn protection_is_never_broken(items in items(), chosen in any::<prop::sample::Index>()) {
        let mut before = program(&items);
        prop_assume!(!before.declarations.resources.is_empty());
        let chosen = chosen.index(before.declarations.resources.len());
        let (_, node) = &mut before.declarations.resources[chosen];
        Arc::make_mut(&mut node.options).protect = true;
        let mut rig = rig();
        rig.up(&before);
        let traces = rig.traces();
        let problems = rig.try_plan(&before, Request::Destroy).unwrap_err();
        prop_assert!(problems[0].to_string().contains("it is protected"), "{}", problems[0]);
        prop_assert!(rig.try_plan(&program(&[]), Request::Up).is_err());
        prop_assert_eq!(rig.traces(), traces);
    }

    #[test]
    fn a_silent_host_is_left_alone(before in items(), after in items(), first in any::<bool>()) {
        let mut rig = rig();
        rig.up(&program(&before));
        let silent = host(OTHERS[usize::from(first)].0);
        rig.world.change(|world| world.cut(&silent));
        let traces = rig.traces();
        let wanted = program(&after);
        let plan = rig.plan(&wanted);
        let stuck: BTreeSet<&Urn> = plan.stuck.iter().map(|stuck| &stuck.urn).collect();
        for step in &plan.steps {
            let touched = step.effects.iter().filter_map(|effect| effect.site.host());
            prop_assert!(touched.into_iter().all(|host| *host != silent), "{}", shown(&plan));
            prop_assert!(!stuck.contains(&step.urn));
        }
        for (urn, node) in &wanted.declarations.resources {
            let waits_for_stuck = node.options.depends_on.iter().any(|used| stuck.contains(used));
            prop_assert!(!waits_for_stuck || stuck.contains(urn), "{urn} is not stuck");
            prop_assert!(urn.host() != Some(&silent) || stuck.contains(urn), "{urn} is not stuck");
        }
        // A record of something silent is neither deleted nor forgotten.
        let gone = plan.steps.iter().filter(|step| step.op == Op::Delete).map(|step| &step.urn);
        prop_assert!(gone.chain(&plan.forgotten).all(|urn| urn.host() != Some(&silent)));
        prop_assert_eq!(rig.apply(&plan), BTreeMap::new());
        let of_silent = |traces: BTreeSet<String>| -> BTreeSet<String> {
            traces.into_iter().filter(|trace| trace.starts_with(silent.as_str())).collect()
        };
        prop_assert_eq!(of_silent(rig.traces()), of_silent(traces));
        // It comes back, and everything is as if it had never been away.
        rig.world.change(|world| world.mend(&silent));
        rig.up(&wanted);
        prop_assert_eq!(rig.traces(), traces_of(&after));
    }
}
