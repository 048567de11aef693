//! Firewalls, the outside, and secrets.

use super::say::{DB, LB, balances, clear_text, firewalled, forwards, listens, node, opens};
use super::{found, good};
use crate::graph::testkit::Program;
use crate::resource::Claim;

#[test]
fn a_database_offered_to_the_internet() {
    let program = good().states(
        "add(HetznerLb",
        "load-balancer:other",
        [balances(5439, LB.map(|lb| (lb, 5432)), true)],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn object_storage_open_to_everybody() {
    let minio = ("minio-01", "10.0.0.134");
    let program = Program::new("    stack.add(Minio::on(&host).clients(everybody));\n").states(
        "add(",
        "minio@minio-01:minio",
        [
            listens(minio, "0.0.0.0", 9000, "minio"),
            node(minio, "MinIO"),
            firewalled(minio),
            opens(minio, 22, Some("10.0.0.0/24")),
            opens(minio, 9000, None),
        ],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_way_to_the_database_open_to_everybody() {
    let program = good().states(
        "add(HaproxyFrontend",
        "firewall-rule:any",
        LB.map(|lb| opens(lb, 5432, Some("0.0.0.0/0"))),
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_database_without_a_firewall() {
    let program = Program::new("    stack.add_each(&db, |host| PatroniNode::on(host));\n").states(
        "add_each",
        "patroni-node:x",
        DB.into_iter().flat_map(super::postgres),
    );
    insta::assert_snapshot!(found(&program));
}

const WALLED: &str = r"    stack.add_each(&db, |host| BaseOs::on(host));
    stack.add_each(&lb, |host| PgBouncer::on(host).port(6432));
    stack.add_each(&lb, |host| FirewallRule::on(host, 5433));
";

fn walled(claims: impl IntoIterator<Item = Claim>) -> Program {
    Program::new(WALLED)
        .states("add_each(&db", "base-os:x", LB.map(firewalled))
        .states(
            "add_each(&db",
            "ssh:x",
            LB.map(|lb| opens(lb, 22, Some("10.0.0.0/24"))),
        )
        .states("add_each(&lb, |host| P", "pgbouncer:x", claims)
}

#[test]
fn a_port_that_the_firewall_keeps_closed() {
    let program = walled(LB.map(|lb| listens(lb, "0.0.0.0", 6432, "pgbouncer")));
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_rule_that_lets_in_others_only() {
    let listening = LB.map(|lb| listens(lb, "0.0.0.0", 6432, "pgbouncer"));
    let rules = LB.map(|lb| opens(lb, 6432, Some("10.0.1.0/24")));
    let program = walled(listening.into_iter().chain(rules)).states(
        "add_each(&lb, |host| F",
        "load-balancer:lb",
        [
            balances(6432, LB.map(|lb| (lb, 6432)), false),
            forwards(LB[0], "redirect", 6400, [(LB[1], 6432)], None),
        ],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_rule_for_nobody() {
    let program = walled([]).states(
        "add_each(&lb, |host| F",
        "firewall-rule:x",
        LB.map(|lb| opens(lb, 5433, Some("10.0.0.0/24"))),
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_reference_to_a_secret_in_a_readable_file() {
    let program = "    stack.add(File::on(&host, \"/etc/app.conf\").content(text).mode(0o644));\n";
    let program = Program::new(program).states(
        "add(File",
        "file@haproxy-01:/etc/app.conf",
        [Claim::Says {
            place: "/etc/app.conf".to_owned(),
            text: "password = (secret APP_PASS)\n".to_owned(),
            private: false,
            holds_secret: true,
        }],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_secret_in_clear_text_is_told_and_never_quoted() {
    let program = r#"    stack.add(Container::new("redis").env("REDIS_PASSWORD", "hunter2"));
    stack.add(File::on(&host, "/etc/app.env").content("API_KEY=hunter2").mode(0o644));
"#;
    let environment = "environment of container redis on haproxy-01";
    let lines = "# password = none here\nURL=redis://app:hunter2@10.0.0.10/0\nAPI_KEY=hunter2\n";
    let program = Program::new(program)
        .states(
            "add(Container",
            "container@haproxy-01:redis",
            [clear_text(environment, "TZ=UTC\nREDIS_PASSWORD=hunter2")],
        )
        .states(
            "add(File",
            "file@haproxy-01:/etc/app.env",
            [clear_text("/etc/app.env", lines)],
        );
    let shown = found(&program);
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
}
