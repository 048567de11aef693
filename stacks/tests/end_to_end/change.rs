//! Changes of parameters under a load of writes: one that only reloads, and one that restarts
//! every member in its turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trials::{DATABASES, Load, Operator};

use crate::told;

/// The running value of a parameter on every member.
fn values(operator: &Operator, name: &str) -> BTreeMap<&'static str, String> {
    let query = format!("SELECT setting FROM pg_settings WHERE name = '{name}'");
    let value = |host| (host, operator.superuser(host, &query));
    DATABASES.into_iter().map(value).collect()
}

/// When PostgreSQL was started on every member.
fn starts(operator: &Operator) -> BTreeMap<&'static str, String> {
    let query = "SELECT pg_postmaster_start_time()";
    let start = |host| (host, operator.superuser(host, query));
    DATABASES.into_iter().map(start).collect()
}

/// Members read a new configuration in their next round.
fn comes_to_hold(operator: &Operator, name: &str, wanted: &str) {
    let begun = Instant::now();
    loop {
        let values = values(operator, name);
        if values.values().all(|value| value == wanted) {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{name}: {values:?}"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// `work_mem` is read again by the running server: no restart, no failed write.
pub(crate) fn that_reloads(operator: &Operator) {
    let before = starts(operator);
    operator.set_parameters(&[("work_mem", "7MB")]);
    let load = Load::begin(operator, 20);
    let said = operator.pending();
    for seen in ["work_mem", "impact: 4 reloads"] {
        assert!(said.contains(seen), "`{seen}` is not in:\n{said}");
    }
    operator.must(&["up"]);
    comes_to_hold(operator, "work_mem", "7168");
    let written = told("reload of work_mem", load.end(operator));
    assert_eq!(written.failed, 0, "no write may fail");
    assert_eq!(starts(operator), before, "nothing may restart");
    operator.unchanged();
}

/// `max_connections` needs a restart: replicas first, one at a time, the leader after it has
/// handed over.
pub(crate) fn that_rolls(operator: &Operator) {
    let before = starts(operator);
    let leader = operator.leader();
    operator.set_parameters(&[("work_mem", "7MB"), ("max_connections", "220")]);
    let load = Load::begin(operator, 20);
    let said = operator.pending();
    for seen in ["max_connections", "1 switchover"] {
        assert!(said.contains(seen), "`{seen}` is not in:\n{said}");
    }
    let said = operator.must(&["up"]);
    told("roll of max_connections", load.end(operator));
    in_turn(&said, &leader);
    assert!(
        values(operator, "max_connections")
            .values()
            .all(|value| value == "220")
    );
    let after = starts(operator);
    assert!(
        DATABASES.iter().all(|host| before[host] != after[host]),
        "{after:?}"
    );
    assert_ne!(operator.leader(), leader, "the leader hands over");
    operator.settled();
    operator.unchanged();
}

/// Replicas, the switchover, the old leader; a gate after each.
fn in_turn(said: &str, leader: &str) {
    let done = said.lines().filter_map(|line| line.strip_prefix("  ✓ "));
    let mut turns = Vec::new();
    for line in done {
        let restart = line.strip_prefix("member-restart:");
        let member = restart.and_then(|rest| rest.split_whitespace().next());
        if let Some(member) = member {
            turns.push(member.to_owned());
        } else if line.starts_with("switchover:") {
            turns.push("switchover".to_owned());
        } else if line.starts_with("gate:") && turns.last().is_some_and(|last| last != "gate") {
            turns.push("gate".to_owned());
        }
    }
    let replicas = DATABASES.iter().rev().filter(|host| **host != leader);
    let order = replicas.copied().chain(["switchover", leader]);
    let wanted: Vec<&str> = order.flat_map(|turn| [turn, "gate"]).collect();
    assert_eq!(turns, wanted, "{said}");
}
