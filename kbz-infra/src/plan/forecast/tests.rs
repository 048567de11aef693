//! The arithmetic, number by number.

use super::*;
use crate::lint::testkit::{GOOD, group as members, parsed};
use crate::probe::{Cluster, ClusterMember, ClusterReading, Dcs, Probe};
use crate::resource::Leadership;

/// The settings of a cluster: seconds of `ttl` and `loop_wait`.
fn group(ttl: u64, loop_wait: u64, synchronous: bool) -> Group {
    let mut group = members();
    let Leadership { probe, site, .. } = group.leadership.take().unwrap();
    let timing = LeaderTiming {
        ttl: ttl * 1000,
        loop_wait: loop_wait * 1000,
        start_timeout: 25_000,
        synchronous,
        settings: Probe::at(&site, Dcs {}),
    };
    group.leadership = Some(Leadership {
        probe,
        site,
        timing: Some(timing),
    });
    group
}

/// A way in, with `inter`, `fastinter` in milliseconds.
fn search(inter: u64, fastinter: u64, rise: u64) -> LeaderSearch {
    LeaderSearch {
        group: members().name,
        downinter: inter,
        fastinter,
        rise,
        retry: 0,
    }
}

fn lost(group: &Group, search: LeaderSearch) -> String {
    let span = loss(group, &[search], &Observation::default()).unwrap();
    span.to_string()
}

/// What the members say when db-1 leads and db-2 confirms commits.
fn observed() -> Observation {
    let member = |name: &str, role| ClusterMember {
        name: name.to_owned(),
        role,
        state: "running".to_owned(),
        timeline: Some(1),
        lag: Some(0),
        pending_restart: false,
    };
    let seen_by = members().members.into_iter();
    let reading = ClusterReading {
        members: vec![
            member("db-1", MemberRole::Leader),
            member("db-2", MemberRole::SyncStandby),
            member("db-3", MemberRole::Replica),
        ],
        seen_by: seen_by
            .map(|m| (m, Some("db-1".to_owned()), None))
            .collect(),
        paused: false,
    };
    let probe = members().leadership.unwrap().probe;
    assert_eq!(probe.query, Cluster {}.into());
    let seen = Seen::Read(Reading::Cluster(reading));
    [(probe, seen)].into_iter().collect()
}

fn forecast(plan: &str, group: Group, search: LeaderSearch) -> Forecast {
    Forecast::of(&parsed(plan), &[group], &[search], &observed())
}

/// The two rows of the failover arithmetic: 23, 35 and 48 s; 15.5, 22 and 28.5 s.
#[test]
fn the_loss_of_a_leader() {
    let patient = lost(&group(30, 10, true), search(3000, 1000, 4));
    assert_eq!(patient, "about 35.5 s (23.0 to 48.0)");
    let quick = lost(&group(20, 5, true), search(1000, 500, 2));
    assert_eq!(quick, "about 22.0 s (15.5 to 28.5)");
}

#[test]
fn a_group_without_timing_has_no_forecast() {
    assert_eq!(loss(&members(), &[], &Observation::default()), None);
    let forecast = forecast(GOOD, members(), search(1000, 500, 2));
    assert_eq!((forecast.switchovers, forecast.pauses.len()), (1, 0));
}

/// Stop 0.2 to 1, promotion 0.1 to 2, found 0.5 to 1.5 s.
#[test]
fn a_switchover_is_stop_promotion_and_search() {
    let forecast = forecast(GOOD, group(20, 5, false), search(1000, 500, 2));
    assert_eq!(forecast.switchovers, 1);
    assert!(forecast.rolls);
    assert_eq!(forecast.writes_stop.to_string(), "about 1.8 s (0.8 to 4.5)");
    let causes: Vec<(StepId, Cause)> = forecast
        .pauses
        .iter()
        .map(|pause| (pause.step, pause.cause))
        .collect();
    assert_eq!(causes, [(StepId(5), Cause::Switchover)]);
    assert!(forecast.commits_wait.is_none());
}

/// The slowest way in counts, with the pooler behind it: 1 s more at most.
#[test]
fn a_pooler_connects_again_after_its_own_time() {
    let direct = search(1000, 500, 2);
    let pooled = LeaderSearch {
        retry: 1000,
        ..direct.clone()
    };
    let plan = parsed(GOOD);
    let group = group(20, 5, false);
    let forecast = Forecast::of(&plan, &[group], &[direct, pooled], &observed());
    assert_eq!(forecast.writes_stop.to_string(), "about 2.3 s (0.8 to 5.5)");
}

/// db-3 confirms nothing and goes first; db-2 and the former leader may be what commits wait for.
#[test]
fn commits_wait_for_a_synchronous_standby_that_restarts() {
    let forecast = forecast(GOOD, group(20, 5, true), search(1000, 500, 2));
    let waits: Vec<(StepId, Span)> = forecast
        .pauses
        .iter()
        .filter(|pause| pause.cause == Cause::StandbyRestarts)
        .map(|pause| (pause.step, pause.span))
        .collect();
    let any = Span::new(0, 2_500, 5_000);
    assert_eq!(
        waits,
        [
            (StepId(1), Span::new(0, 0, 5_000)),
            (StepId(3), any),
            (StepId(7), any)
        ]
    );
    assert_eq!(forecast.commits_wait, Span::new(0, 5_000, 15_000));
    assert_eq!(forecast.pause(StepId(0)), None);
}

/// A smaller parameter: the leader restarts where it stands, at most as long as it may take.
#[test]
fn a_leader_that_restarts_where_it_stands() {
    let lower = "gate\nlower db-1 after 0\ngate after 1\nlower db-3 after 2\ngate after 3";
    let forecast = forecast(lower, group(20, 5, false), search(1000, 500, 2));
    assert_eq!(forecast.switchovers, 0);
    assert_eq!(forecast.pauses[0].cause, Cause::LeaderRestarts);
    assert_eq!(
        forecast.writes_stop.to_string(),
        "about 3.4 s (1.2 to 27.5)"
    );
}

#[test]
fn a_plan_that_disturbs_nobody_stops_nothing() {
    let forecast = forecast("file db-1", group(20, 5, true), search(1000, 500, 2));
    assert_eq!(forecast, Forecast::default());
}
