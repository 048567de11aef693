//! Who votes in a cluster: a member that it counts is taken away by no plan, and a cluster that
//! counts others than are declared is not whole.

use std::path::Path;

use kbz_infra::effect::{Condition, Gate};
use kbz_infra::graph::Graph;
use kbz_infra::ident::HostName;
use kbz_infra::plan::Request;
use kbz_infra::prelude::*;
use kbz_infra::probe::{Reading, Seen};
use kbz_infra::program::Settings;
use kbz_infra::resource::Op;

use crate::keybuzz;
use crate::rig::{Rig, host, shown, stack};
use crate::system::System;

const THREE: [&str; 3] = ["db-master-01", "db-slave-01", "db-slave-02"];
const FIVE: [&str; 5] = [THREE[0], THREE[1], THREE[2], "haproxy-01", "haproxy-02"];
const MOVED: [&str; 3] = [THREE[0], THREE[1], "haproxy-01"];
const UNIT: &str = "patroni-docker.service";

/// A cluster with a node on each of these hosts, or none; its credentials are in `folder`.
fn program(nodes: &[&str], folder: &Path) -> Program {
    let settings = Settings {
        credentials: Some(folder.join("postgres.env")),
        ..Settings::new("../stacks")
    };
    let mut stack = Stack::new(stack(), settings);
    declare(&mut stack, nodes).unwrap();
    stack.finish().unwrap()
}

fn declare(stack: &mut Stack, nodes: &[&str]) -> Result<()> {
    let system = System::of(stack)?;
    if nodes.is_empty() {
        return Ok(());
    }
    let image = system.image(stack)?;
    let cluster = system.bare_cluster(stack);
    let hosts = [system.db.clone(), system.lb.clone()].concat();
    let chosen = |host: &&Host| nodes.contains(&host.name.as_str());
    let hosts: Vec<Host> = hosts.iter().filter(chosen).cloned().collect();
    stack.add_each(&hosts, |host| {
        PatroniNode::on(host).cluster(&cluster).image(&image)
    });
    Ok(())
}

/// An operator with a running cluster of these nodes.
fn rig(nodes: &[&str], folder: &Path) -> Rig {
    let program = program(nodes, folder);
    let mut rig = keybuzz::rig(&program);
    rig.up(&program);
    rig
}

/// What stands against a plan: the host of each problem, with its words.
fn objections(rig: &Rig, program: &Program) -> Vec<(HostName, String)> {
    let problems = rig.try_plan(program, Request::Up).unwrap_err();
    let said = |problem: &kbz_infra::plan::Problem| {
        let host = problem.urn.host().expect("it is on a host");
        (host.clone(), problem.error.to_string())
    };
    problems.iter().map(said).collect()
}

/// What the cluster of `program` waits for to be whole.
fn waiting(rig: &Rig, program: &Program) -> Option<String> {
    let graph = Graph::new(program.declarations.clone()).unwrap();
    let [group] = graph.groups() else {
        panic!("one cluster")
    };
    let gate: &Gate = group.gate.as_ref().unwrap();
    assert!(matches!(gate.condition, Condition::ClusterHealthy { .. }));
    let Some(Seen::Read(Reading::Cluster(cluster))) = rig.observe(&graph).get(&gate.probe).cloned()
    else {
        panic!("the cluster does not answer")
    };
    let waiting = gate.check(&Reading::Cluster(cluster)).err();
    waiting.map(|waiting| waiting.0)
}

/// A hand stops a member for good; RAFT is not told.
fn stop(rig: &Rig, name: &str) {
    let node = host(name);
    rig.world.change(|world| world.stop_unit(&node, UNIT));
}

/// A hand lets RAFT forget a member.
fn forget(rig: &Rig, program: &Program, name: &str) {
    let mut hosts = program.hosts.iter();
    let found = hosts.find(|host| host.name.as_str() == name).unwrap();
    rig.world
        .change(|world| world.forget_voter("keybuzz-pg", found.address));
}

#[test]
fn two_of_five_are_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let rig = rig(&FIVE, folder.path());
    let three = program(&THREE, folder.path());
    let said = objections(&rig, &three);
    let hosts: Vec<&str> = said.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["haproxy-01", "haproxy-02"], "{said:?}");
    for (host, what) in &said {
        let member = format!("{host} is a member of keybuzz-pg, and is no longer declared");
        assert!(what.starts_with(&member), "{what}");
    }
    assert_eq!(
        waiting(&rig, &three).unwrap().split(" (").next(),
        Some("raft: db-master-01 counts 5 voters, 3 are declared")
    );
}

#[test]
fn a_member_is_not_moved_to_another_host() {
    let folder = tempfile::tempdir().unwrap();
    let rig = rig(&THREE, folder.path());
    let moved = program(&MOVED, folder.path());
    let said = objections(&rig, &moved);
    let hosts: Vec<&str> = said.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["db-slave-02"], "{said:?}");
    // Stopped by hand, its vote still counts, though as many count as are declared.
    stop(&rig, "db-slave-02");
    let [(_, what)] = objections(&rig, &moved).try_into().unwrap();
    let counted = "db-slave-02 was a member of keybuzz-pg, whose RAFT still counts 10.0.0.";
    assert!(what.starts_with(counted), "{what}");
}

#[test]
fn what_a_hand_took_out_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = rig(&FIVE, folder.path());
    let three = program(&THREE, folder.path());
    for name in ["haproxy-01", "haproxy-02"] {
        stop(&rig, name);
        assert!(rig.try_plan(&three, Request::Up).is_err());
        forget(&rig, &three, name);
    }
    let plan = rig.up(&three);
    assert!(plan.count(Op::Delete) > 0, "{}", shown(&plan));
    assert_eq!(waiting(&rig, &three), None);
}

#[test]
fn members_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = rig(&THREE, folder.path());
    let five = program(&FIVE, folder.path());
    rig.up(&five);
    assert_eq!(waiting(&rig, &five), None);
}

#[test]
fn a_whole_cluster_goes() {
    let folder = tempfile::tempdir().unwrap();
    let none = program(&[], folder.path());
    let mut undeclared = rig(&FIVE, folder.path());
    let mut destroyed = undeclared.copy();
    destroyed.vault = undeclared.vault.clone();
    let plan = undeclared.up(&none);
    assert!(plan.count(Op::Delete) > 0, "{}", shown(&plan));
    // Also by a program that declares a part of it.
    destroyed.destroy(&program(&THREE, folder.path()));
    for name in FIVE {
        for rig in [&undeclared, &destroyed] {
            let runs =
                |world: &mut kbz_infra::sim::Universe| world.is_running(&host(name), "patroni");
            assert!(!rig.world.change(runs), "{name}");
        }
    }
}

#[test]
fn a_member_whose_host_does_not_answer_is_not_shut_out() {
    let folder = tempfile::tempdir().unwrap();
    let rig = rig(&FIVE, folder.path());
    let three = program(&THREE, folder.path());
    rig.world.change(|world| {
        for name in ["haproxy-01", "haproxy-02"] {
            world.cut(&host(name));
        }
    });
    let said = objections(&rig, &three);
    let hosts: Vec<&str> = said.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["haproxy-01", "haproxy-02"], "{said:?}");
    // Once RAFT has forgotten it, what is on its host is left alone.
    for name in ["haproxy-01", "haproxy-02"] {
        stop(&rig, name);
        forget(&rig, &three, name);
    }
    let plan = rig.plan(&three);
    let left = plan.stuck.iter().filter(|stuck| stuck.urn.name() == UNIT);
    assert_eq!(left.count(), 2, "{}", shown(&plan));
}

#[test]
fn of_a_cluster_that_does_not_answer_nothing_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let rig = rig(&FIVE, folder.path());
    for name in THREE {
        stop(&rig, name);
    }
    let said = objections(&rig, &program(&THREE, folder.path()));
    let hosts: Vec<&str> = said.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["haproxy-01", "haproxy-02"], "{said:?}");
    for (host, what) in &said {
        let unknown = "keybuzz-pg does not answer, so nobody knows whether it counts";
        assert_eq!(what, &format!("{unknown} {host}"));
    }
}

#[test]
fn a_cluster_without_a_quorum_still_counts_whom_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let rig = rig(&FIVE, folder.path());
    for name in &FIVE[1..] {
        stop(&rig, name);
    }
    let said = objections(&rig, &program(&THREE, folder.path()));
    let hosts: Vec<&str> = said.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["haproxy-01", "haproxy-02"], "{said:?}");
    for (host, what) in &said {
        let counted = format!("{host} was a member of keybuzz-pg, whose RAFT still counts 10.0.0.");
        assert!(what.starts_with(&counted), "{what}");
    }
}
