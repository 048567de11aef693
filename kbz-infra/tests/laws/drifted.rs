//! Drift is told from what the program wants otherwise, and may stay as it is found.

use std::collections::{BTreeMap, BTreeSet};

use kbz_infra::effect::{Action, Condition, Gate, Record};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, Urn};
use kbz_infra::plan::{NeededBy, Outcome, Plan, Planner, Request, remembered};
use kbz_infra::prelude::*;
use kbz_infra::primitive::{ClusterGate, Container, FirewallRule, HetznerLb, Sysctl};
use kbz_infra::probe::{self, Probe};
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::{Group, GroupName, Reason, found};

use crate::cluster::{Postgres, members};
use crate::drift::{HANDS, after, everything};
use crate::groups;
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
        let (rig, program) = after(hand);
        let (plan, known) = planned(&rig, &program, &Adopted::new());
        let objects = plan.steps.iter();
        let objects = objects.filter(|step| step.outcome != Outcome::Nothing);
        let objects: BTreeSet<Urn> = objects.map(|step| step.urn.clone()).collect();
        assert_eq!(plan.drifted(&known), objects, "{what}\n{}", shown(&plan));
        assert_eq!(plan.pending(&known), BTreeSet::new(), "{what}");
    }
}

/// What follows from each hand besides the drift itself, where something does.
const FOLLOWERS: [(&str, &str); 2] = [
    ("image retagged", "unit@app-1:service.service"),
    ("registry lost", "unit@app-1:service.service"),
];

#[test]
fn a_restart_that_only_follows_is_no_drift_of_its_own() {
    let mut followers = Vec::new();
    for (what, hand) in HANDS {
        let (rig, program) = after(hand);
        let (plan, known) = planned(&rig, &program, &Adopted::new());
        let drifted = plan.drifted(&known);
        let itself = plan.drifted_itself(&drifted, &BTreeSet::new());
        assert!(!itself.is_empty() && itself.is_subset(&drifted), "{what}");
        // Alone, a follower is what has drifted.
        for urn in drifted.difference(&itself) {
            let alone = BTreeSet::from([urn.clone()]);
            let itself = plan.drifted_itself(&alone, &BTreeSet::new());
            assert_eq!(itself, alone, "{what}");
            followers.push((what, urn.to_string()));
        }
    }
    let followers: Vec<_> = followers
        .iter()
        .map(|(what, urn)| (*what, urn.as_str()))
        .collect();
    assert_eq!(followers, FOLLOWERS);
}

/// A service that reads two files; `content` is that of the second.
fn service(content: &str) -> (Program, [Urn; 3]) {
    let on = &host("app-1");
    let mut stack = Stack::new(stack(), Settings::new("."));
    let first = stack.add(File::on(on, "/etc/first").content("first\n"));
    let second = stack.add(File::on(on, "/etc/second").content(content));
    let text = "[Service]\nExecStart=/usr/bin/service\nExecReload=/bin/true\n";
    let own = stack.add(File::on(on, "/etc/systemd/system/two.service").content(text));
    let files = [first.urn().clone(), second.urn().clone()];
    let unit = SystemdUnit::on(on, "two.service").reload_on(files.clone());
    let unit = stack.add(unit.after(files.clone()).after([own.urn().clone()]));
    let urns = [first.urn(), second.urn(), unit.urn()].map(Urn::clone);
    (stack.finish().unwrap(), urns)
}

#[test]
fn what_follows_from_a_hand_and_from_the_program_together_is_no_drift_of_its_own() {
    let mut rig = rig();
    rig.up(&service("one\n").0);
    let (program, [first, second, unit]) = service("two\n");
    rig.world
        .change(|world| world.edit_file(&host("app-1"), "/etc/first", "by hand\n"));
    let (plan, known) = planned(&rig, &program, &Adopted::new());
    let (drifted, pending) = (plan.drifted(&known), plan.pending(&known));
    assert_eq!(pending, [second].into());
    assert_eq!(drifted, [first.clone(), unit].into());
    assert_eq!(plan.drifted_itself(&drifted, &pending), [first].into());
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
const MAY_STAY: [&str; 15] = [
    "file edited",
    "file's mode",
    "directory's mode",
    "sysctl set",
    "resolver edited",
    "rule added",
    "container stopped",
    "container bent",
    "service's container stopped",
    "unit stopped",
    "unit disabled",
    "role bent",
    "target removed",
    "service removed",
    "power failed",
];

#[test]
fn what_is_adopted_stays_as_it_is_found() {
    let mut stays = Vec::new();
    for (what, hand) in HANDS {
        let (rig, program) = after(hand);
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

fn app() -> HostName {
    host("app-1")
}

const UNIT: &str = "service.service";

fn unit() -> Urn {
    Urn::on(SystemdUnit::KIND, &app(), UNIT)
}

fn plain() -> Urn {
    Urn::on(Container::KIND, &app(), "plain")
}

/// Objects with the one field that they keep.
fn adopting(fields: &[(Urn, &str, &str)]) -> Adopted {
    let mut adopted = Adopted::new();
    for (urn, name, value) in fields {
        let fields = adopted.entry(urn.clone()).or_default();
        fields.insert((*name).to_owned(), (*value).to_owned());
    }
    adopted
}

/// The steps of a plan for everything in which fields are adopted, each with its reasons.
fn left(rig: &Rig, adopted: &Adopted) -> Vec<String> {
    let (plan, _) = planned(rig, &everything(), adopted);
    let steps = plan.steps.iter().map(|step| {
        let reasons: Vec<String> = step.reasons.iter().map(ToString::to_string).collect();
        format!("{}: {}", step.urn, reasons.join(", "))
    });
    steps.collect()
}

#[test]
fn a_unit_or_container_that_was_stopped_stays_so_while_the_rest_is_put_right() {
    let mut rig = rig();
    rig.up(&everything());
    rig.world.change(|world| {
        world.stop_unit(&app(), UNIT);
        world.disable_unit(&app(), UNIT);
        world.bend_container(&app(), "service", |spec| spec.stop_grace = 1);
        world.stop_container(&app(), "plain");
        world.bend_container(&app(), "plain", |spec| spec.stop_grace = 1);
    });
    let stopped = adopting(&[(unit(), "state", "inactive"), (plain(), "state", "stopped")]);
    let (plan, _) = planned(&rig, &everything(), &stopped);
    assert_eq!(
        left(&rig, &stopped),
        [
            "container@app-1:plain: stop_grace  1 → 10",
            "container@app-1:service: stop_grace  1 → 10",
            "unit@app-1:service.service: enabled  disabled → enabled",
        ]
    );
    assert_eq!(rig.apply(&plan), BTreeMap::new());
    for container in ["plain", "service"] {
        let runs = rig
            .world
            .change(|world| world.is_running(&app(), container));
        assert!(!runs, "{container}");
    }
    assert_eq!(left(&rig, &stopped), [""; 0]);
    // Another state than the one that was found is put right.
    let failed = adopting(&[(unit(), "state", "failed"), (plain(), "state", "paused")]);
    assert_eq!(
        left(&rig, &failed),
        [
            "container@app-1:plain: does not run (stopped)",
            "unit@app-1:service.service: does not run (inactive)",
        ]
    );
    // And so is everything once nobody says otherwise.
    rig.up(&everything());
}

#[test]
fn one_more_rule_than_those_that_were_adopted_is_drift() {
    let mut rig = rig();
    rig.up(&everything());
    let allow = |port| {
        let rule = FirewallRule::tcp(&app(), port);
        rig.world
            .change(|world| world.allow_traffic(&app(), rule.rule()));
    };
    [3306, 8080].into_iter().for_each(allow);
    let (plan, _) = planned(&rig, &everything(), &Adopted::new());
    let adopted = adoptable(&plan);
    assert_eq!(left(&rig, &adopted), [""; 0]);
    for port in [1111, 22222] {
        allow(port);
        assert_eq!(left(&rig, &adopted).len(), 1, "{port}");
    }
}

#[test]
fn a_balancer_keeps_what_was_adopted_of_it_alone() {
    let mut rig = rig();
    rig.up(&everything());
    let entry = Urn::global(HetznerLb::KIND, "entry");
    rig.world.change(|world| {
        world.remove_target("entry", [10, 0, 0, 11].into());
        world.remove_target("entry", [10, 0, 0, 12].into());
        world.remove_service("entry", 5432);
    });
    let adopted = adopting(&[
        (entry.clone(), "targets.10.0.0.12", "none"),
        (entry.clone(), "services.5432", "none"),
    ]);
    let (plan, _) = planned(&rig, &everything(), &adopted);
    let target = "hetzner-lb:entry: targets.10.0.0.11  none → 10.0.0.11";
    assert_eq!(left(&rig, &adopted), [target]);
    assert_eq!(rig.apply(&plan), BTreeMap::new());
    assert_eq!(left(&rig, &adopted), [""; 0]);
    let otherwise = adopting(&[(entry, "targets.10.0.0.12", "server 7")]);
    assert_eq!(left(&rig, &otherwise).len(), 1);
    rig.up(&everything());
}

/// A unit, a kernel parameter, and a gate that waits for both.
fn served() -> Program {
    let on = &app();
    let mut stack = Stack::new(stack(), Settings::new("."));
    let swappiness = stack.add(Sysctl::on(on, "vm.swappiness", 1));
    let text = "[Service]\nExecStart=/usr/bin/sleep 1\n";
    let file = stack.add(File::on(on, format!("/etc/systemd/system/{UNIT}")).content(text));
    let unit = SystemdUnit::on(on, UNIT).restart_on([file.urn().clone()]);
    let unit = stack.add(unit.depends_on(&file).member_of(&pair(), on));
    let gate = ClusterGate::new("serves", runs()).watching([unit.urn().clone()]);
    stack.add(gate.depends_on(&unit).depends_on(&swappiness));
    stack.finish().unwrap()
}

/// Opens where the unit runs.
fn runs() -> Gate {
    let name = UNIT.to_owned();
    Gate {
        probe: Probe::host(&app(), probe::Unit { name }),
        condition: Condition::Running,
        settle: 0,
        deadline: 5,
    }
}

fn pair() -> GroupName {
    GroupName("pair".to_owned())
}

#[test]
fn what_a_gate_waits_for_cannot_stay_stopped() {
    let mut rig = rig();
    rig.up(&served());
    rig.world.change(|world| {
        world.stop_unit(&app(), UNIT);
        world.set_sysctl(&app(), "vm.swappiness", "60");
    });
    let (plan, _) = planned(&rig, &served(), &Adopted::new());
    let (kept, _) = planned(&rig, &served(), &adoptable(&plan));
    let gate = Urn::global(ClusterGate::KIND, "serves");
    // Nothing takes the unit for running: its gate is closed, and stays so.
    let unmet = |reason: &Reason| matches!(reason, Reason::Unmet { .. });
    assert_eq!(kept.steps.len(), 1, "{}", shown(&kept));
    assert!(kept.steps[0].reasons.iter().all(unmet));
    assert_eq!(
        plan.needed(&kept, &[]),
        [(unit(), NeededBy::Object(gate))].into()
    );
    let group = |gate| Group {
        name: pair(),
        members: vec![app()],
        gate,
        leadership: None,
        drain: None,
    };
    assert_eq!(plan.needed(&kept, &[group(None)]), plan.needed(&kept, &[]));
    assert_eq!(
        plan.needed(&kept, &[group(Some(runs()))]),
        [(unit(), NeededBy::Group(pair()))].into(),
        "whoever else waits"
    );
    assert_eq!(rig.apply(&kept).len(), 1);
    // What brings nobody into service may stay, whatever waits for it.
    rig.up(&served());
    rig.world.change(|world| world.disable_unit(&app(), UNIT));
    let (plan, _) = planned(&rig, &served(), &Adopted::new());
    let (kept, _) = planned(&rig, &served(), &adoptable(&plan));
    assert!(kept.is_empty(), "{}", shown(&kept));
    assert_eq!(plan.needed(&kept, &[]), BTreeMap::new());
}

#[test]
fn a_group_is_not_rolled_while_a_member_is_left_stopped() {
    let nodes = members();
    let mut rig = groups::rig(&nodes[0]);
    let patroni = "patroni-docker.service";
    rig.world
        .change(|world| world.stop_unit(&nodes[2], patroni));
    let unit = Urn::on(SystemdUnit::KIND, &nodes[2], patroni);
    let stopped = adopting(&[(unit, "state", "inactive")]);
    let (plan, _) = planned(&rig, &Postgres::new().program(), &stopped);
    assert!(plan.is_empty(), "{}", shown(&plan));
    let program = Postgres::new().image(2).program();
    let (plan, _) = planned(&rig, &program, &stopped);
    assert!(rig.is_proved(&plan, &program), "{}", shown(&plan));
    let failed = rig.apply(&plan);
    let first = failed.values().find(|why| !why.starts_with("waits for"));
    assert!(
        first.is_some_and(|why| why.starts_with("gate:pg before")),
        "{failed:?}"
    );
    for (node, runs) in nodes.iter().zip([true, true, false]) {
        let found = rig.world.change(|world| world.is_running(node, "patroni"));
        assert_eq!(found, runs, "{node}");
    }
}
