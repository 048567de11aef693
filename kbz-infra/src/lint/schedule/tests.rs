use super::testkit::{GOOD, group, members, parsed, site};
use super::*;
use crate::plan::StepId;
use crate::probe::{self, Probe};

fn shown(report: &Report) -> Vec<String> {
    let findings = report.findings().iter();
    findings
        .map(|finding| {
            let code = finding.code.trim_start_matches("kbz::plan::");
            format!("{code} {}", finding.message)
        })
        .collect()
}

fn check(lines: &str, wanted: &[&str]) {
    assert_eq!(shown(&plan(&parsed(lines), &[group()])), wanted, "{lines}");
}

#[test]
fn a_good_roll_is_proved() {
    check(GOOD, &[]);
}

#[test]
fn what_disturbs_nobody_may_run_at_any_time() {
    check("file db-1\nfile db-2\nfile db-3", &[]);
}

#[test]
fn several_steps_of_one_member_may_run_together() {
    check(
        "gate\nrestart db-3 after 0\nrestart db-3 after 0\ngate after 1,2\nrestart db-2 after 3\ngate after 4",
        &[],
    );
}

#[test]
fn two_members_at_once() {
    check(
        "gate\nrestart db-3 after 0\nrestart db-2 after 0\ngate after 1,2",
        &["overlap db-3 and db-2 of pg can be disturbed at the same time"],
    );
}

#[test]
fn one_step_of_a_member_beside_another_member() {
    // The unit is rolled, the container of the next member is not.
    check(
        "gate\nrestart db-3 after 0\ngate after 1\nrestart db-2 after 2\nrestart db-2 after 0\ngate after 3,4",
        &["overlap db-3 and db-2 of pg can be disturbed at the same time"],
    );
}

#[test]
fn no_gate_between() {
    check(
        "gate\nrestart db-3 after 0\nrestart db-2 after 1\ngate after 2",
        &["no-gate db-2 of pg can be disturbed before db-3 is back"],
    );
}

#[test]
fn a_gate_that_waits_for_only_one_of_two_steps() {
    check(
        "gate\nrestart db-3 after 0\nrestart db-3 after 0\ngate after 1\nrestart db-2 after 2,3\ngate after 4",
        &["no-gate db-2 of pg can be disturbed before db-3 is back"],
    );
}

#[test]
fn a_gate_beside_the_way() {
    check(
        "gate\nrestart db-3 after 0\ngate after 1\nrestart db-2 after 1\ngate after 3",
        &["no-gate db-2 of pg can be disturbed before db-3 is back"],
    );
}

#[test]
fn a_weaker_gate_is_no_gate() {
    check(
        "gate\nrestart db-3 after 0\nweak-gate after 1\nrestart db-2 after 2\ngate after 3",
        &["no-gate db-2 of pg can be disturbed before db-3 is back"],
    );
}

#[test]
fn no_gate_before_the_first() {
    check(
        "restart db-3\ngate after 0\nrestart db-2 after 1\ngate after 2",
        &["no-gate db-3 of pg can be disturbed before the group is known to be whole"],
    );
}

#[test]
fn the_leader_before_its_switchover() {
    check(
        "gate\nrestart db-1 after 0\ngate after 1\nswitchover db-1 after 2",
        &["leader db-1 leads pg and can be disturbed before it hands over"],
    );
}

#[test]
fn a_replica_after_the_leader() {
    check(
        "gate\nswitchover db-1 after 0\ngate after 1\nrestart db-1 after 2\ngate after 3\nrestart db-2 after 4\ngate after 5",
        &["leader db-2 of pg can be disturbed after the leader's turn"],
    );
}

#[test]
fn no_gate_after_the_switchover() {
    check(
        "gate\nrestart db-2 after 0\ngate after 1\nswitchover db-1 after 2\nrestart db-1 after 3\ngate after 4",
        &["leader no gate keeps the switchover of pg apart from db-1"],
    );
}

#[test]
fn no_gate_before_the_switchover() {
    check(
        "gate\nrestart db-2 after 0\nswitchover db-1 after 1\ngate after 2\nrestart db-1 after 3\ngate after 4",
        &["leader no gate keeps the switchover of pg apart from db-2"],
    );
}

#[test]
fn no_gate_after_the_last() {
    check(
        "gate\nrestart db-3 after 0",
        &["no-gate nothing tells that db-3 of pg is back after it is disturbed"],
    );
}

#[test]
fn a_leader_that_moves_before_the_group_is_whole() {
    check(
        "switchover db-1\ngate after 0\nrestart db-1 after 1\ngate after 2",
        &["leader the leader of pg can move before the group is known to be whole"],
    );
}

#[test]
fn two_switchovers() {
    check(
        "gate\nswitchover db-1 after 0\nswitchover db-2 after 0\ngate after 1,2\nrestart db-1 after 3\ngate after 4",
        &["leader the leader of pg moves twice"],
    );
}

#[test]
fn everybody_and_no_switchover() {
    check(
        "gate\nrestart db-3 after 0\ngate after 1\nrestart db-2 after 2\ngate after 3\nrestart db-1 after 4\ngate after 5",
        &["leader all members of pg are disturbed, and no switchover is planned"],
    );
}

/// What the members say when one of them leads.
fn led_by(leader: &str) -> Observation {
    let member = |host: HostName| (host, Some(leader.to_owned()), None);
    let reading = probe::ClusterReading {
        seen_by: members().into_iter().map(member).collect(),
        ..probe::ClusterReading::default()
    };
    let seen = Seen::Read(Reading::Cluster(reading));
    [(Probe::at(&site(), probe::Cluster {}), seen)]
        .into_iter()
        .collect()
}

#[test]
fn less_than_a_standby_may_have_begins_with_the_leader() {
    let good = "gate\nlower db-1 after 0\ngate after 1\nlower db-3 after 2\ngate after 3";
    let observed = |lines| {
        let mut all = shown(&plan_observed(&parsed(lines), &[group()], &led_by("db-1")));
        // Nothing but the leader is known there.
        all.retain(|finding| !finding.starts_with("closed-gate"));
        all
    };
    assert!(observed(good).is_empty());
    let late = "gate\nlower db-3 after 0\ngate after 1\nlower db-1 after 2\ngate after 3";
    assert_eq!(
        observed(late),
        ["leader db-3 of pg can be disturbed before db-1, which leads and must be first"]
    );
}

#[test]
fn a_member_that_is_none() {
    check(
        "gate\nrestart db-9 after 0\ngate after 1",
        &["member `restart@db-9:1` disturbs db-9, no member of pg"],
    );
}

#[test]
fn a_wait_for_nobody_and_a_wait_for_what_comes_later() {
    check(
        "gate after 7\nfile db-1 after 2\nfile db-2",
        &[
            "order `gate:0` waits for a step that does not come before it",
            "order `file@db-1:1` waits for a step that does not come before it",
        ],
    );
}

#[test]
fn two_steps_of_one_number() {
    let mut wrong = parsed("gate\ngate after 0");
    wrong.steps[1].id = StepId(0);
    assert_eq!(
        shown(&plan(&wrong, &[group()]))[0],
        "order two steps have the number 0"
    );
}

#[test]
fn a_service_of_the_host_that_ends_beside_the_roll() {
    check(
        "docker db-2",
        &[
            "unclaimed `docker@db-2:0` has the impact restart on a member of pg, and is not rolled with it",
        ],
    );
}

#[test]
fn a_group_without_a_gate() {
    let open = Group {
        gate: None,
        leadership: None,
        ..group()
    };
    let rolled = parsed("restart db-3\nrestart db-2 after 0");
    let found = shown(&plan(&rolled, &[open]));
    assert_eq!(
        found,
        [
            "no-gate pg has no gate: nothing tells that a member is back before the next is disturbed"
        ]
    );
}

/// Each wait of the good roll matters: without any one of them the proof fails.
#[test]
fn no_wait_of_a_good_roll_can_be_spared() {
    let good = parsed(GOOD);
    for index in 1..good.steps.len() {
        let mut wrong = good.clone();
        wrong.steps[index].after.clear();
        assert!(
            !plan(&wrong, &[group()]).is_empty(),
            "step {index} waits for nothing"
        );
    }
}
