//! Plans made wrong on purpose: the proof shares no code with the planner, and refuses each.
//!
//! The right plans are those of the real planner for a running cluster of three: a roll of all
//! members, a larger parameter and a smaller one. Each mutation is one mistake that a planner
//! could make, and has a finding of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kbz_infra::effect::{Action, Condition, Gate};
use kbz_infra::ident::HostName;
use kbz_infra::plan::{Plan, Step, StepId};
use kbz_infra::probe::Site;
use kbz_infra::program::Program;
use kbz_infra::resource::{GroupName, Impact, Op};

use crate::cluster::{NODES, Postgres};
use crate::groups::{lead, rig};
use crate::parameters;
use crate::rig::{Rig, host, shown};

/// The member that leads before the plan; db-3 and db-2 are disturbed before it, in this order.
const LEADER: &str = "db-1";

/// What the right plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Every member starts anew.
    Roll,
    /// A parameter becomes larger: each member restarts, the leader last.
    More,
    /// A parameter becomes smaller: the leader restarts first, where it stands.
    Less,
}

/// A mistake: what it is called, in which plan, how it is made, and what is found.
type Mutation = (&'static str, Change, fn(&mut Plan), &'static str);

const MUTATIONS: &[Mutation] = &[
    (
        "two members in parallel",
        Change::Roll,
        |plan| waits_for_gate(plan, "db-2", 0),
        "kbz::plan::overlap db-3 and db-2 of pg can be disturbed at the same time",
    ),
    (
        "the way from a gate to the next member dropped",
        Change::Roll,
        |plan| {
            let gate = gate(plan, 1);
            for step in turn(plan, "db-2") {
                plan.steps[step].after.remove(&gate);
            }
        },
        "kbz::plan::overlap db-3 and db-2 of pg can be disturbed at the same time",
    ),
    (
        "one part of a member beside another member",
        Change::Roll,
        |plan| {
            let first = gate(plan, 0);
            let step = turn(plan, "db-2")[0];
            plan.steps[step].after = [first].into();
        },
        "kbz::plan::overlap db-3 and db-2 of pg can be disturbed at the same time",
    ),
    (
        "gate after a member dropped",
        Change::Roll,
        |plan| drop_gate(plan, 1),
        "kbz::plan::no-gate db-2 of pg can be disturbed before db-3 is back",
    ),
    (
        "gate of the wrong member",
        Change::Roll,
        |plan| {
            let (before, gate) = (gate(plan, 0), gate(plan, 1));
            let restarted = ids(plan, &turn(plan, "db-3"));
            step_mut(plan, gate).after = [before].into();
            for step in turn(plan, "db-2") {
                plan.steps[step].after.extend(&restarted);
            }
        },
        "kbz::plan::no-gate db-2 of pg can be disturbed before db-3 is back",
    ),
    (
        "gate that asks less",
        Change::Roll,
        |plan| {
            let gate = gate_mut(plan, 1);
            gate.condition = Condition::ClusterHealthy {
                voters: 2,
                synchronous: 0,
                max_lag: u64::MAX,
            };
        },
        "kbz::plan::no-gate db-2 of pg can be disturbed before db-3 is back",
    ),
    (
        "gate of another group",
        Change::Roll,
        |plan| {
            let site = &mut gate_mut(plan, 1).probe.site;
            if let Site::Patroni(access) = site {
                "other".clone_into(&mut access.scope);
            }
        },
        "kbz::plan::no-gate db-2 of pg can be disturbed before db-3 is back",
    ),
    (
        "gate before the first dropped",
        Change::Roll,
        |plan| drop_gate(plan, 0),
        "kbz::plan::no-gate db-3 of pg can be disturbed before the group is known to be whole",
    ),
    (
        "gate after the last dropped",
        Change::Roll,
        |plan| drop_gate(plan, 4),
        "kbz::plan::no-gate nothing tells that db-1 of pg is back after it is disturbed",
    ),
    (
        "leader first",
        Change::Roll,
        |plan| {
            waits_for_gate(plan, LEADER, 0);
            let restarted = ids(plan, &turn(plan, LEADER));
            for step in turn(plan, "db-3") {
                plan.steps[step].after.extend(&restarted);
            }
        },
        "kbz::plan::leader db-1 leads pg and can be disturbed before it hands over",
    ),
    (
        "a replica after the leader",
        Change::Roll,
        |plan| {
            let last = gate(plan, 4);
            let [first, second] = [gate(plan, 1), gate(plan, 2)];
            step_mut(plan, second).after = [first].into();
            for step in turn(plan, "db-2") {
                plan.steps[step].after = [last].into();
            }
        },
        "kbz::plan::leader db-2 of pg can be disturbed after the leader's turn",
    ),
    (
        "switchover missing",
        Change::Roll,
        |plan| drop_switchover(plan),
        "kbz::plan::leader db-1 leads pg and is disturbed without a switchover before",
    ),
    (
        "switchover of another cluster",
        Change::Roll,
        |plan| {
            let id = switchover(plan);
            if let Site::Patroni(access) = &mut step_mut(plan, id).effects[0].site {
                "other".clone_into(&mut access.scope);
            }
        },
        "kbz::plan::leader db-1 leads pg and is disturbed without a switchover before",
    ),
    (
        "switchover to a member that is just restarted",
        Change::Roll,
        |plan| {
            let (id, earlier) = (switchover(plan), gate(plan, 1));
            step_mut(plan, id).after = [earlier].into();
        },
        "kbz::plan::leader db-2 of pg can be disturbed after the leader's turn",
    ),
    (
        "switchover before the member restarted last is back",
        Change::Roll,
        |plan| drop_gate(plan, 2),
        "kbz::plan::leader no gate keeps the switchover of pg apart from db-2",
    ),
    (
        "the former leader before the group is whole again",
        Change::Roll,
        |plan| drop_gate(plan, 3),
        "kbz::plan::leader no gate keeps the switchover of pg apart from db-1",
    ),
    (
        "switchover from a member that does not lead",
        Change::Roll,
        |plan| moved_mut(plan, |leader, _| "db-2".clone_into(leader)),
        "kbz::plan::leader db-2 hands over pg, which it does not lead",
    ),
    (
        "switchover to the leader itself",
        Change::Roll,
        |plan| moved_mut(plan, |leader, to| *to = Some(leader.clone())),
        "kbz::plan::leader db-1 hands over to db-1, no other member of pg",
    ),
    (
        "switchover to a stranger",
        Change::Roll,
        |plan| moved_mut(plan, |_, to| *to = Some("db-9".to_owned())),
        "kbz::plan::leader db-1 hands over to db-9, no other member of pg",
    ),
    (
        "two switchovers",
        Change::Roll,
        |plan| {
            let mut again = plan.steps[index(plan, switchover(plan))].clone();
            again.id = StepId(9_999);
            plan.steps.push(again);
        },
        "kbz::plan::leader the leader of pg moves twice",
    ),
    (
        "a restart that is said to disturb nobody",
        Change::Roll,
        |plan| {
            let last = *turn(plan, "db-3").last().unwrap();
            plan.steps[last].impact = Impact::None;
        },
        "kbz::plan::impact `unit@db-3:patroni-docker.service` ends a service and says that its \
         impact is none",
    ),
    (
        "a restart that is said to be a reload",
        Change::Roll,
        |plan| {
            let last = *turn(plan, "db-2").last().unwrap();
            plan.steps[last].impact = Impact::Reload;
        },
        "kbz::plan::impact `unit@db-2:patroni-docker.service` ends a service and says that its \
         impact is reload",
    ),
    (
        "a restart outside the roll",
        Change::Roll,
        |plan| {
            let last = *turn(plan, "db-2").last().unwrap();
            plan.steps[last].disturbs = None;
        },
        "kbz::plan::unclaimed `unit@db-2:patroni-docker.service` disturbs a member of pg and is \
         not rolled with it",
    ),
    (
        "a restart in the roll of no group",
        Change::Roll,
        |plan| {
            let last = *turn(plan, "db-2").last().unwrap();
            plan.steps[last].disturbs = Some((GroupName("other".to_owned()), host("db-2")));
        },
        "kbz::plan::member `unit@db-2:patroni-docker.service` is rolled with other, which is no \
         group",
    ),
    (
        "a restart in the name of another member",
        Change::Roll,
        |plan| {
            let last = *turn(plan, "db-2").last().unwrap();
            plan.steps[last].disturbs = Some((GroupName("pg".to_owned()), host("db-3")));
        },
        "kbz::plan::member `unit@db-2:patroni-docker.service` disturbs db-2 and names db-3",
    ),
    (
        "a restart in the name of a stranger",
        Change::Roll,
        |plan| {
            let last = *turn(plan, "db-2").last().unwrap();
            plan.steps[last].disturbs = Some((GroupName("pg".to_owned()), host("db-9")));
        },
        "kbz::plan::member `unit@db-2:patroni-docker.service` disturbs db-9, no member of pg",
    ),
    (
        "two members in one step",
        Change::Roll,
        |plan| {
            let [one, other] = ["db-3", "db-2"].map(|member| *turn(plan, member).last().unwrap());
            let effects = plan.steps[other].effects.clone();
            plan.steps[one].effects.extend(effects);
        },
        "kbz::plan::member `unit@db-3:patroni-docker.service` disturbs db-2 and names db-3",
    ),
    (
        "a wait for what comes later",
        Change::Roll,
        |plan| {
            let (first, last) = (gate(plan, 0), gate(plan, 4));
            step_mut(plan, first).after.insert(last);
        },
        "kbz::plan::order `gate:pg before` waits for a step that does not come before it",
    ),
    (
        "a restarted parameter that is said to disturb nobody",
        Change::More,
        |plan| {
            let step = turn(plan, "db-3")[0];
            plan.steps[step].impact = Impact::None;
        },
        "kbz::plan::impact `member-restart:db-3` ends a service and says that its impact is none",
    ),
    (
        "a restarted parameter outside the roll",
        Change::More,
        |plan| {
            let step = turn(plan, "db-3")[0];
            plan.steps[step].disturbs = None;
        },
        "kbz::plan::unclaimed `member-restart:db-3` disturbs a member of pg and is not rolled \
         with it",
    ),
    (
        "the leader where it stands, for no reason",
        Change::More,
        |plan| {
            drop_gate(plan, 3);
            drop_switchover(plan);
        },
        "kbz::plan::leader db-1 leads pg and is disturbed without a switchover before",
    ),
    (
        "less on a replica first",
        Change::Less,
        |plan| {
            let [first, second] = [gate(plan, 1), gate(plan, 2)];
            waits_for_gate(plan, "db-3", 0);
            step_mut(plan, first).after = ids(plan, &turn(plan, "db-3"));
            waits_for_gate(plan, LEADER, 1);
            step_mut(plan, second).after = ids(plan, &turn(plan, LEADER));
        },
        "kbz::plan::leader db-3 of pg can be disturbed before db-1, which leads and must be first",
    ),
    (
        "less on the leader last, after a switchover",
        Change::Less,
        |plan| {
            let (before, leader) = (gate(plan, 0), turn(plan, LEADER));
            let mut moved = plan.steps[leader[0]].clone();
            moved.id = StepId(9_999);
            moved.disturbs = None;
            moved.op = Op::Switchover;
            moved.impact = Impact::Switchover;
            moved.after = [before].into();
            moved.effects[0].action = Action::Switchover {
                leader: LEADER.to_owned(),
                candidate: None,
            };
            plan.steps.push(moved);
        },
        "kbz::plan::leader a change that must hold on the leader of pg first waits for its \
         switchover",
    ),
];

/// The place of a step in its plan.
fn index(plan: &Plan, id: StepId) -> usize {
    plan.steps.iter().position(|step| step.id == id).unwrap()
}

fn step_mut(plan: &mut Plan, id: StepId) -> &mut Step {
    let index = index(plan, id);
    &mut plan.steps[index]
}

fn ids(plan: &Plan, places: &[usize]) -> BTreeSet<StepId> {
    places.iter().map(|place| plan.steps[*place].id).collect()
}

/// The number of a gate: 0 before the first member, then one after each, one of them after the
/// switchover.
fn gate(plan: &Plan, number: usize) -> StepId {
    let is_gate = |step: &&Step| step.urn.kind().as_str() == "gate";
    plan.steps.iter().filter(is_gate).nth(number).unwrap().id
}

fn gate_mut(plan: &mut Plan, number: usize) -> &mut Gate {
    let id = gate(plan, number);
    match &mut step_mut(plan, id).effects[0].action {
        Action::Gate(gate) => gate,
        other => panic!("no gate: {other:?}"),
    }
}

fn switchover(plan: &Plan) -> StepId {
    let mut steps = plan.steps.iter();
    steps.find(|step| step.op == Op::Switchover).unwrap().id
}

/// Changes who hands over, and to whom.
fn moved_mut(plan: &mut Plan, change: fn(&mut String, &mut Option<String>)) {
    let id = switchover(plan);
    match &mut step_mut(plan, id).effects[0].action {
        Action::Switchover { leader, candidate } => change(leader, candidate),
        other => panic!("no switchover: {other:?}"),
    }
}

/// The places of the steps that disturb a member.
fn turn(plan: &Plan, member: &str) -> Vec<usize> {
    let disturbs = |step: &Step| {
        let member = HostName::new(member).unwrap();
        let of = step.disturbs.as_ref().map(|(_, member)| member);
        step.impact >= Impact::Restart && of == Some(&member)
    };
    let steps = plan.steps.iter().enumerate();
    let found: Vec<usize> = steps
        .filter_map(|(place, step)| disturbs(step).then_some(place))
        .collect();
    assert!(!found.is_empty(), "{member} is disturbed");
    found
}

/// Lets a member's turn wait for a gate, and for no other one.
fn waits_for_gate(plan: &mut Plan, member: &str, number: usize) {
    let gates: BTreeSet<StepId> = (0..4).map(|number| gate(plan, number)).collect();
    let wanted = gate(plan, number);
    for step in turn(plan, member) {
        let after = &mut plan.steps[step].after;
        after.retain(|id| !gates.contains(id));
        after.insert(wanted);
    }
}

/// Takes a step out; what waits for it waits for what it waits for.
fn drop_step(plan: &mut Plan, id: StepId) {
    let place = index(plan, id);
    let gone = plan.steps.remove(place);
    for step in &mut plan.steps {
        if step.after.remove(&id) {
            step.after.extend(&gone.after);
        }
    }
}

fn drop_gate(plan: &mut Plan, number: usize) {
    let gone = gate(plan, number);
    drop_step(plan, gone);
}

fn drop_switchover(plan: &mut Plan) {
    let gone = switchover(plan);
    drop_step(plan, gone);
}

/// Sorts the steps so that each comes after what it waits for, as far as that can be.
fn sorted(plan: &mut Plan) {
    let mut left = std::mem::take(&mut plan.steps);
    let mut done: BTreeSet<StepId> = BTreeSet::new();
    while let Some(next) = left.iter().position(|step| step.after.is_subset(&done)) {
        let step = left.remove(next);
        done.insert(step.id);
        plan.steps.push(step);
    }
    plan.steps.extend(left);
}

/// An operator before a running cluster, what is wanted of it, and the right plan for it.
fn right(change: Change) -> (Rig, Program, Plan) {
    let mut rig = rig(&host(LEADER));
    let program = match change {
        Change::Roll => {
            let new = |all: Postgres, (name, _): &(&str, &str)| all.configured(&host(name), 1);
            NODES.iter().fold(Postgres::new().image(2), new).program()
        }
        Change::More | Change::Less => {
            rig.up(&parameters::program(200));
            lead(&mut rig, &host(LEADER));
            let more = change == Change::More;
            parameters::program(if more { 220 } else { 150 })
        }
    };
    let plan = rig.plan(&program);
    (rig, program, plan)
}

#[test]
fn every_mistake_of_a_planner_is_refused() {
    let mut survivors = String::new();
    for change in [Change::Roll, Change::More, Change::Less] {
        let (rig, program, good) = right(change);
        let against = rig.objections(&good, &program);
        assert!(against.is_empty(), "{against:?}\n{}", shown(&good));
        let mutations = MUTATIONS.iter().filter(|(_, of, ..)| *of == change);
        for (name, _, mutate, wanted) in mutations {
            let mut wrong = good.clone();
            mutate(&mut wrong);
            sorted(&mut wrong);
            let found = rig.objections(&wrong, &program);
            if !found.iter().any(|finding| finding == wanted) {
                let plan = shown(&wrong);
                writeln!(
                    survivors,
                    "{name}: wanted {wanted}\nfound {found:#?}\n{plan}"
                )
                .unwrap();
            }
        }
    }
    assert!(survivors.is_empty(), "{survivors}");
}

/// The order of the steps alone decides: the right plan in any other right order is as good.
#[test]
fn the_right_plan_is_proved_in_another_order_of_its_steps_too() {
    let (rig, program, mut plan) = right(Change::Roll);
    let places: BTreeMap<StepId, usize> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(place, step)| (step.id, place))
        .collect();
    plan.steps.reverse();
    sorted(&mut plan);
    let moved = plan.steps.iter().enumerate();
    let moved = moved.filter(|(place, step)| places[&step.id] != *place);
    assert!(moved.count() > 0, "{}", shown(&plan));
    assert_eq!(rig.objections(&plan, &program), [""; 0]);
}
