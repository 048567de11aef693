//! Hosts that stop: one that stands still during an `up`, and the leader's, for good.

use std::time::{Duration, Instant};

use trials::{Load, Operator};

use crate::told;

/// A host stands still while `up` works on it. What does not need it is done; the run ends by
/// itself and names the host; the next one goes on.
pub(crate) fn of_a_host_during_up(operator: &Operator) {
    // An image that has to be shipped again is work that lasts.
    let image = operator.on(
        "haproxy-02",
        "docker inspect -f '{{.Config.Image}}' pgbouncer",
    );
    let remove = format!("docker rm -f pgbouncer && docker rmi {}", image.trim());
    operator.on("haproxy-02", &remove);
    operator.on("haproxy-01", "echo '# by hand' >> /etc/haproxy/haproxy.cfg");
    operator.superuser(&operator.leader(), "DROP ROLE kb_monitor");
    let mut up = operator.begin(&["up"]);
    up.until("impact:", Duration::from_mins(1));
    std::thread::sleep(Duration::from_secs(2));
    operator.fault("haproxy-02", &["pause"]);
    let begun = Instant::now();
    let (code, said) = up.end(Duration::from_mins(4));
    println!(
        "paused host: `up` gave up after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    operator.fault("haproxy-02", &["unpause"]);
    assert_eq!(code, Some(1), "{said}");
    let failed = said.lines().find(|line| line.trim_start().starts_with("×"));
    assert!(
        failed.is_some_and(|line| line.contains("haproxy-02")),
        "{said}"
    );
    let repaired = "✓ file@haproxy-01:/etc/haproxy/haproxy.cfg";
    assert!(
        said.contains(repaired),
        "what does not need the host is done:\n{said}"
    );
    operator.must(&["up"]);
    let role = "SELECT count(*) FROM pg_roles WHERE rolname = 'kb_monitor'";
    assert_eq!(operator.superuser(&operator.leader(), role), "1");
    operator.settled();
    operator.unchanged();
}

/// The host of the leader is killed under a load of writes through the pooler.
pub(crate) fn of_the_leader(operator: &Operator) {
    let leader = operator.leader();
    let load = Load::begin(operator, 50);
    operator.fault(&leader, &["kill"]);
    let killed = load.now().acknowledged.len();
    load.until("writes after the failover", |now| {
        now.silence > Duration::from_secs(2) && now.acknowledged.len() >= killed + 100
    });
    told(&format!("{leader}, the leader, killed"), load.end(operator));
    // The host comes back, and the next `up` finds or makes the cluster whole.
    operator.must(&["up"]);
    operator.settled();
    operator.unchanged();
}
