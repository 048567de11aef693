//! What a plan for some objects does, and what it leaves alone.

use std::collections::{BTreeMap, BTreeSet};

use kbz_infra::ident::Urn;
use kbz_infra::plan::{Pattern, Plan, Request, Selection};
use kbz_infra::resource::Op;
use proptest::prelude::*;

use crate::cluster::{NODES, Postgres};
use crate::groups;
use crate::programs::{items, program};
use crate::random::{declared, rig};
use crate::rig::{Rig, host, shown};

fn only(urn: &Urn) -> Selection {
    Selection {
        targets: vec![Pattern::of(urn)],
        ..Selection::default()
    }
}

fn without(urn: &Urn) -> Selection {
    Selection {
        excludes: vec![Pattern::of(urn)],
        ..Selection::default()
    }
}

/// What is remembered of what a plan leaves out.
fn memory(rig: &Rig, plan: &Plan) -> BTreeMap<Urn, String> {
    let left = plan.left_out.iter();
    let records = left.filter_map(|urn| Some((urn.clone(), rig.remembered.get(urn)?)));
    records
        .map(|(urn, record)| (urn, serde_json::to_string(record).unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_chosen_is_neither_changed_nor_forgotten(
        before in items(),
        after in items(),
        chosen in any::<prop::sample::Index>(),
        exclude in any::<bool>(),
    ) {
        let mut rig = rig();
        rig.up(&program(&before));
        let wanted = program(&after);
        let all: BTreeSet<Urn> = declared(&wanted).into_iter().chain(rig.remembered.keys().cloned()).collect();
        prop_assume!(!all.is_empty());
        let urn = all.iter().nth(chosen.index(all.len())).unwrap();
        let selection = if exclude { without(urn) } else { only(urn) };
        let plan = rig.plan_for(&wanted, Request::Up, &selection).unwrap();
        prop_assert_eq!(plan.left_out.contains(urn), exclude);
        prop_assert!(plan.stuck.is_empty(), "{}", shown(&plan));
        for step in &plan.steps {
            prop_assert!(!plan.left_out.contains(&step.urn), "{}", shown(&plan));
        }
        for kept in plan.kept.keys().chain(&plan.forgotten) {
            prop_assert!(!plan.left_out.contains(kept), "{kept}");
        }
        let known = memory(&rig, &plan);
        prop_assert_eq!(rig.apply(&plan), BTreeMap::new(), "{}", shown(&plan));
        prop_assert_eq!(memory(&rig, &plan), known);
        let again = rig.plan_for(&wanted, Request::Up, &selection).unwrap();
        // An image is built again while the hosts that need it are not chosen.
        let idle = again.steps.iter().all(|step| step.op == Op::Run);
        prop_assert!(idle, "{}then\n{}", shown(&plan), shown(&again));
        // The rest goes on from there.
        rig.up(&wanted);
        let mut whole = crate::random::rig();
        whole.up(&wanted);
        prop_assert_eq!(rig.traces(), whole.traces());
    }

    #[test]
    fn a_part_that_is_destroyed_is_made_again(items in items(), chosen in any::<prop::sample::Index>()) {
        let mut rig = rig();
        let wanted = program(&items);
        rig.up(&wanted);
        prop_assume!(!rig.remembered.is_empty());
        let traces = rig.traces();
        let urn = rig.remembered.keys().nth(chosen.index(rig.remembered.len())).unwrap().clone();
        let plan = rig.plan_for(&wanted, Request::Destroy, &only(&urn)).unwrap();
        prop_assert_eq!(rig.apply(&plan), BTreeMap::new(), "{}", shown(&plan));
        prop_assert!(!rig.remembered.contains_key(&urn));
        for left in &plan.left_out {
            prop_assert!(rig.remembered.contains_key(left), "{left}");
        }
        rig.up(&wanted);
        prop_assert_eq!(rig.traces(), traces);
    }
}

#[test]
fn one_member_of_a_cluster_is_changed_between_two_gates() {
    for (leader, _) in NODES {
        let mut rig = groups::rig(&host(leader));
        let mut wanted = Postgres::new();
        for (name, _) in NODES {
            wanted = wanted.configured(&host(name), 1);
        }
        let program = wanted.program();
        let unit: Urn = "unit@db-1:patroni-docker.service".parse().unwrap();
        // The proof of the order is asked for by the rig.
        let plan = rig.plan_for(&program, Request::Up, &only(&unit)).unwrap();
        assert_eq!(plan.count(Op::Switchover), usize::from(leader == "db-1"));
        assert!(
            plan.left_out
                .iter()
                .any(|urn| urn.host() == Some(&host("db-2")))
        );
        let fewest = groups::fewest_running(&mut rig, &plan);
        assert!(fewest >= 2, "{fewest} nodes ran during\n{}", shown(&plan));
        rig.up(&program);
    }
}
