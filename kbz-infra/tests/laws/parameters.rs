//! A parameter that needs a restart rolls through a cluster, member by member.

use kbz_infra::ident::HostName;
use kbz_infra::lint;
use kbz_infra::plan::{Plan, Request, Step};
use kbz_infra::prelude::*;
use kbz_infra::primitive::{MemberRestart, PatroniConfig};
use kbz_infra::probe::Site;
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::GroupName;
use serde_json::json;

use crate::cluster::{NODES, Postgres, members, patroni};
use crate::groups::rig;
use crate::rig::{Rig, host, shown, stack};

/// A cluster with parameters, and members that restart for them.
pub(crate) fn program(max_connections: u32) -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    let cluster = stack.add(Postgres::new());
    let Site::Patroni(access) = patroni() else {
        unreachable!("the site of the cluster");
    };
    let goal = json!({"postgresql": {"parameters": {"max_connections": max_connections}}});
    let config = PatroniConfig::of(&access, goal);
    let within = [cluster.urn().clone()];
    let configured = stack.add(config.clone().within(within.clone()));
    for member in members() {
        let restart = MemberRestart::of(&config, &member).within(within.clone());
        let restart = restart.after([configured.urn().clone()]);
        stack.add(restart.member_of(&GroupName("pg".to_owned()), &member));
    }
    stack.finish().unwrap()
}

/// The turns of a plan: who restarts when, and when the leader moves.
fn turns(plan: &Plan, leader: &HostName) -> Vec<&'static str> {
    let turn = |step: &Step| match step.urn.kind().as_str() {
        MemberRestart::KIND if step.urn.name() == leader.as_str() => Some("leader"),
        MemberRestart::KIND => Some("replica"),
        "switchover" => Some("switchover"),
        "gate" => Some("gate"),
        _ => None,
    };
    plan.steps.iter().filter_map(turn).collect()
}

/// Plans the change of a running cluster, proves the plan, and applies it.
fn change(from: u32, to: u32) -> Vec<&'static str> {
    let mut rig = rig(&host(NODES[0].0));
    rig.up(&program(from));
    let leader = rig.world.change(|world| world.leader("pg").cloned());
    let program = program(to);
    let plan = rig.try_plan(&program, Request::Up).unwrap();
    prove(&rig, &program, &plan);
    rig.up(&program);
    turns(&plan, &leader.unwrap())
}

/// The same by an operator who is killed as soon as the configuration is changed, and comes back
/// before any member has noticed.
fn change_after_a_kill(from: u32, to: u32) -> Vec<&'static str> {
    let mut rig = rig(&host(NODES[0].0));
    rig.up(&program(from));
    let leader = rig.world.change(|world| world.leader("pg").cloned());
    let program = program(to);
    let mut plan = rig.plan(&program);
    plan.steps
        .retain(|step| step.urn.kind().as_str() == PatroniConfig::KIND);
    assert!(rig.apply(&plan).is_empty());
    let plan = rig.plan(&program);
    rig.up(&program);
    turns(&plan, &leader.unwrap())
}

fn prove(rig: &Rig, program: &Program, plan: &Plan) {
    let graph = kbz_infra::graph::Graph::new(program.declarations.clone()).unwrap();
    let observation = rig.observe(&graph);
    let report = lint::plan_observed(plan, graph.groups(), &observation);
    assert!(report.is_empty(), "{report:?}\n{}", shown(plan));
}

#[test]
fn more_is_taken_by_the_replicas_first_and_by_the_leader_once_it_has_handed_over() {
    let replicas = ["gate", "replica", "gate", "replica", "gate"];
    let leader = ["switchover", "gate", "leader", "gate"];
    assert_eq!(change(200, 220), [&replicas[..], &leader[..]].concat());
}

#[test]
fn less_is_taken_by_the_leader_first() {
    assert_eq!(
        change(200, 150),
        [
            "gate", "leader", "gate", "replica", "gate", "replica", "gate"
        ]
    );
}

#[test]
fn a_kill_between_the_change_and_the_restarts_loses_neither_them_nor_their_order() {
    for (from, to) in [(200, 220), (200, 150)] {
        assert_eq!(
            change_after_a_kill(from, to),
            change(from, to),
            "{from} → {to}"
        );
    }
}
