//! What hands changed is shown by `preview` and put right by one `up`, kind by kind, unless it is
//! adopted.

use trials::{Balancer, Operator, both};

/// One thing that a hand changes on a host.
struct Hand {
    kind: &'static str,
    host: String,
    script: &'static str,
    /// What `preview` must say.
    seen: &'static [&'static str],
    /// What shows afterwards, without the program, that it is right again.
    check: (&'static str, &'static str),
}

fn hand(
    kind: &'static str,
    host: &str,
    script: &'static str,
    seen: &'static [&'static str],
    check: (&'static str, &'static str),
) -> Hand {
    Hand {
        kind,
        host: host.to_owned(),
        script,
        seen,
        check,
    }
}

/// Hands on what hosts have themselves.
fn on_hosts(operator: &Operator) -> Vec<Hand> {
    let replicas = operator.replicas();
    vec![
        hand(
            "file",
            "haproxy-01",
            "echo '# by hand' >> /etc/haproxy/haproxy.cfg",
            &["file /etc/haproxy/haproxy.cfg", "-# by hand"],
            ("grep -c 'by hand' /etc/haproxy/haproxy.cfg || true", "0"),
        ),
        hand(
            "container",
            "haproxy-02",
            "docker rm -f pgbouncer",
            &["+ container pgbouncer"],
            ("docker inspect -f '{{.State.Running}}' pgbouncer", "true"),
        ),
        hand(
            "sysctl",
            replicas[0],
            "sysctl -w vm.swappiness=60",
            &["sysctl vm.swappiness"],
            ("sysctl -n vm.swappiness", "1"),
        ),
        hand(
            "unit, stopped",
            replicas[1],
            "systemctl stop patroni-docker.service",
            &["unit patroni-docker.service", "does not run (inactive)"],
            ("systemctl is-active patroni-docker.service", "active"),
        ),
        hand(
            "unit, disabled",
            "haproxy-02",
            "systemctl disable haproxy-docker.service",
            &["unit haproxy-docker.service", "enabled  disabled → enabled"],
            ("systemctl is-enabled haproxy-docker.service", "enabled"),
        ),
        hand(
            "unit, its file edited",
            "haproxy-01",
            "echo 'OOMScoreAdjust=7' >> /etc/systemd/system/pgbouncer-docker.service; \
             systemctl daemon-reload",
            &[
                "file /etc/systemd/system/pgbouncer-docker.service",
                "-OOMScoreAdjust=7",
                "systemd knows  another unit file → this one",
            ],
            (
                "systemctl show -p NeedDaemonReload --value pgbouncer-docker.service",
                "no",
            ),
        ),
        hand(
            "firewall rule",
            replicas[0],
            "ufw delete allow from 10.0.0.0/24 to any port 8008 proto tcp",
            &["+ firewall-rule 8008/tcp from 10.0.0.0/24"],
            ("ufw status | grep -c '8008/tcp.*10.0.0.0/24'", "1"),
        ),
    ]
}

/// Hands on the database and its servers.
fn on_servers(operator: &Operator) -> Vec<Hand> {
    let replicas = operator.replicas();
    vec![
        hand(
            "rules of access",
            replicas[0],
            "echo 'host all all 0.0.0.0/0 trust' >> /opt/keybuzz/postgres/data/17/pg_hba.conf; \
             docker exec patroni psql -U postgres -qc 'SELECT pg_reload_conf()'",
            &[
                "server-files",
                "pg_hba.conf  other rules",
                "-host all all 0.0.0.0/0 trust",
            ],
            (
                "docker exec patroni psql -U postgres -AtXqc \
                 \"SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'\"",
                "0",
            ),
        ),
        hand(
            "a parameter, set on one member alone",
            &operator.leader(),
            "docker exec patroni psql -U postgres -qc \"ALTER SYSTEM SET work_mem = '9MB'\" \
             -c 'SELECT pg_reload_conf()'",
            &["parameters.work_mem  '9MB' (ALTER SYSTEM) → not set there"],
            (
                "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; \
                 docker exec patroni psql -U postgres -AtXqc 'SHOW work_mem' | grep -qx 9MB || break; \
                 done; docker exec patroni psql -U postgres -AtXqc \
                 \"SELECT count(*) FROM pg_settings WHERE sourcefile LIKE '%auto.conf'\"",
                "0",
            ),
        ),
        hand(
            "role, an attribute",
            &operator.leader(),
            "docker exec patroni psql -U postgres -qc 'ALTER ROLE kb_app CREATEDB'",
            &["pg-role kb_app", "createdb  true → false"],
            (
                "docker exec patroni psql -U postgres -AtXqc \
                 \"SELECT rolcreatedb FROM pg_roles WHERE rolname = 'kb_app'\"",
                "f",
            ),
        ),
        hand(
            "role, a membership",
            &operator.leader(),
            "docker exec patroni psql -U postgres -qc 'REVOKE pg_monitor FROM kb_monitor'",
            &["pg-role kb_monitor", "member_of  none → pg_monitor"],
            (
                "docker exec patroni psql -U postgres -AtXqc \
                 \"SELECT pg_has_role('kb_monitor', 'pg_monitor', 'member')\"",
                "t",
            ),
        ),
    ]
}

/// Many hands at once: one preview, one repair.
pub(crate) fn is_seen_and_repaired(operator: &Operator) {
    let mut hands = on_hosts(operator);
    hands.extend(on_servers(operator));
    for hand in &hands {
        operator.on(&hand.host, hand.script);
    }
    Balancer::of(operator).bend();
    let said = operator.pending();
    for hand in &hands {
        for seen in hand.seen {
            assert!(
                said.contains(seen),
                "{}: `{seen}` is not in:\n{said}",
                hand.kind
            );
        }
    }
    for seen in [
        "hetzner-lb lb-haproxy",
        "targets.10.0.0.11  none → 10.0.0.11",
        "services.5433  none → tcp 5433",
    ] {
        assert!(
            said.contains(seen),
            "load balancer: `{seen}` is not in:\n{said}"
        );
    }
    operator.must(&["up"]);
    for hand in &hands {
        let (check, wanted) = hand.check;
        let found = operator.on(&hand.host, check);
        let found = found.lines().last().unwrap_or_default().trim();
        assert_eq!(found, wanted, "{} on {}", hand.kind, hand.host);
        println!("drift: {} on {}: seen, repaired", hand.kind, hand.host);
    }
    Balancer::of(operator).is_whole();
    println!("drift: target and service of the load balancer: seen, repaired");
    operator.settled();
    operator.unchanged();
}

/// What hands changed may stay: `drift --adopt` writes it down beside the program, and no `up`
/// undoes it, until it is found otherwise or nothing is written down any more.
pub(crate) fn is_adopted(operator: &Operator) {
    let host = operator.replicas()[0];
    let swappiness = "sysctl -n vm.swappiness";
    let enabled = "systemctl is-enabled haproxy-docker.service || true";
    let createdb = "SELECT rolcreatedb FROM pg_roles WHERE rolname = 'kb_app'";
    let leader = operator.leader();
    operator.on(host, "sysctl -w vm.swappiness=30");
    operator.on("haproxy-02", "systemctl disable haproxy-docker.service");
    operator.superuser(&leader, "ALTER ROLE kb_app CREATEDB");
    let said = operator.must(&["drift", "--adopt"]);
    let overrides = operator.folder().join("overrides.toml");
    let written = std::fs::read_to_string(&overrides).expect("overrides.toml");
    for (seen, noted) in [
        ("1 → 30", "\"value\" = \"30\""),
        ("enabled → disabled", "\"enabled\" = \"disabled\""),
        ("false → true", "\"createdb\" = \"true\""),
    ] {
        assert!(said.contains(seen), "`{seen}` is not in:\n{said}");
        assert!(written.contains(noted), "`{noted}` is not in:\n{written}");
    }
    operator.unchanged();
    let found = |host: &str, script| operator.on(host, script).trim().to_owned();
    assert_eq!(found(host, swappiness), "30");
    assert_eq!(found("haproxy-02", enabled), "disabled");
    assert_eq!(operator.superuser(&leader, createdb), "t");
    // Found otherwise, it is drift again, and made as declared.
    operator.on(host, "sysctl -w vm.swappiness=20");
    operator.must(&["up"]);
    assert_eq!(found(host, swappiness), "1");
    assert_eq!(found("haproxy-02", enabled), "disabled");
    std::fs::remove_file(&overrides).expect("overrides.toml");
    operator.must(&["up"]);
    assert_eq!(found("haproxy-02", enabled), "enabled");
    assert_eq!(operator.superuser(&leader, createdb), "f");
    what_its_group_needs_is_not(operator);
    operator.unchanged();
}

/// What its group cannot do without is refused, also while the balancer has not noticed; and is put
/// right.
fn what_its_group_needs_is_not(operator: &Operator) {
    operator.on("haproxy-02", "systemctl stop haproxy-docker.service");
    let unit = "unit@haproxy-02:haproxy-docker.service";
    let adopted = operator.run(&["drift", "--adopt", "--print", "--target", unit]);
    let said = both(&adopted);
    assert!(!adopted.status.success(), "{said}");
    let words: Vec<&str> = said.split_whitespace().collect();
    let words = words.join(" ");
    for seen in [
        "cannot stay so",
        "its group (the targets of lb-haproxy) needs it",
    ] {
        assert!(words.contains(seen), "`{seen}` is not in:\n{said}");
    }
    operator.must(&["up"]);
    let state = operator.on("haproxy-02", "systemctl is-active haproxy-docker.service");
    assert_eq!(state.trim(), "active");
    operator.settled();
}
