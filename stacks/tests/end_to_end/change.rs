//! Changes under a load of writes: a parameter that only reloads, one that restarts every member in
//! its turn, and a new image of Patroni.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trials::{DATABASES, Load, Operator, hosts};

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
    let wanted = turns(operator, &leader);
    let load = Load::begin(operator, 20);
    let said = operator.pending();
    for seen in ["max_connections", "1 switchover"] {
        assert!(said.contains(seen), "`{seen}` is not in:\n{said}");
    }
    let said = operator.must(&["up"]);
    told("roll of max_connections", load.end(operator));
    assert_eq!(taken(&said, "member-restart:"), wanted, "{said}");
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

/// Another release of Patroni is another image: the container of every member is made anew, in the
/// same turns.
pub(crate) fn of_the_image(operator: &Operator) {
    let leader = operator.leader();
    operator.set_version("patroni", "4.1.4");
    let wanted = turns(operator, &leader);
    let load = Load::begin(operator, 20);
    let said = operator.pending();
    for seen in ["± container patroni", "1 switchover", "6 restarts"] {
        assert!(said.contains(seen), "`{seen}` is not in:\n{said}");
    }
    let said = operator.must(&["up"]);
    told("roll of another image", load.end(operator));
    assert_eq!(taken(&said, "container@"), wanted, "{said}");
    for host in DATABASES {
        let version = "docker exec patroni /opt/patroni/bin/patroni --version";
        assert_eq!(operator.on(host, version).trim(), "patroni 4.1.4", "{host}");
        let images = operator.on(host, "docker images --format '{{.Tag}}' kbz-patroni");
        let tags: Vec<&str> = images.lines().collect();
        assert!(
            tags.len() == 1 && tags[0].contains("patroni4.1.4"),
            "{tags:?}"
        );
    }
    assert_ne!(operator.leader(), leader, "the leader hands over");
    hosts::have_each_container_once(operator);
    operator.settled();
    operator.unchanged();
}

/// The turns of a roll: the replica that no commit waits for, the one that they wait for, the
/// switchover, the old leader; a gate after each.
fn turns(operator: &Operator, leader: &str) -> Vec<String> {
    let waited_for = "SELECT application_name FROM pg_stat_replication WHERE sync_state = 'sync'";
    let waited_for = operator.superuser(leader, waited_for);
    let mut order = operator.replicas();
    order.sort_by_key(|member| *member == waited_for);
    order.extend(["switchover", leader]);
    let turns = order.into_iter().flat_map(|turn| [turn, "gate"]);
    turns.map(str::to_owned).collect()
}

/// The turns that were taken. A member's is told by what stands before its name.
fn taken<'a>(said: &'a str, disturbed: &str) -> Vec<&'a str> {
    let done = said.lines().filter_map(|line| line.strip_prefix("  ✓ "));
    let mut turns = Vec::new();
    for line in done {
        let member = line.strip_prefix(disturbed);
        let member = member.and_then(|rest| rest.split([':', ' ']).next());
        if let Some(member) = member {
            turns.push(member);
        } else if line.starts_with("switchover:") {
            turns.push("switchover");
        } else if line.starts_with("gate:") && turns.last().is_some_and(|last| *last != "gate") {
            turns.push("gate");
        }
    }
    turns
}
