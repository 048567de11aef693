//! One small program per mistake, and one without any.

mod exposure;
mod say;
mod topology;

use say::{
    DB, LB, balances, clear_text, firewalled, forwards, image, listens, node, opens, voters,
};

use super::lint;
use crate::diag::Renderer;
use crate::graph::testkit::Program;
use crate::resource::Claim;

/// What a person sees of the findings of a program.
fn found(program: &Program) -> String {
    Renderer::new(100).fancy(&lint(&program.graph()), program)
}

/// The codes of the findings of a program.
fn codes(program: &Program) -> Vec<String> {
    let report = lint(&program.graph());
    report
        .findings()
        .iter()
        .map(|f| f.code.to_string())
        .collect()
}

const GOOD: &str = r#"fn example(stack: &mut Stack) -> Result<()> {
    stack.add_each(&all, |host| BaseOs::on(host).ssh_from(network));
    let cluster = stack.add(PatroniCluster::new("keybuzz-pg"));
    let nodes = stack.add_each(&db, |host| PatroniNode::on(host).cluster(&cluster));
    let write = stack.add(HaproxyFrontend::new("pg_write", 5432).to_primary_of(&cluster));
    let pooler = stack.add_each(&lb, |host| PgBouncer::on(host).port(6432).upstream(&write));
    let entry = stack.add(HetznerLb::new("lb-haproxy").service(&write).service(&pooler));
    Ok(())
}
"#;

/// The claims of a whole system, as its components state them.
fn good() -> Program {
    let mut program = Program::new(GOOD)
        .states(
            "add(PatroniCluster",
            "patroni-cluster:pg",
            [voters("keybuzz-pg", &DB)],
        )
        .states(
            "add(HaproxyFrontend",
            "haproxy-frontend:pg_write",
            LB.map(|lb| forwards(lb, "haproxy", 5432, DB.map(|db| (db, 5432)), Some(8008))),
        )
        .states(
            "add(HetznerLb",
            "load-balancer:lb-haproxy",
            [
                balances(5432, LB.map(|lb| (lb, 5432)), false),
                balances(6432, LB.map(|lb| (lb, 6432)), false),
            ],
        );
    for host in DB.into_iter().chain(LB) {
        let urn = format!("base-os@{0}:{0}", host.0);
        let claims = [firewalled(host), opens(host, 22, Some("10.0.0.0/24"))];
        program = program.states("add_each(&all", &urn, claims);
    }
    for host in DB {
        let urn = format!("patroni-node@{0}:{0}", host.0);
        let claims = [5432, 8008, 7000].map(|port| opens(host, port, Some("10.0.0.0/24")));
        program = program.states(
            "add_each(&db",
            &urn,
            claims.into_iter().chain(postgres(host)),
        );
    }
    for host in LB {
        let urn = format!("pgbouncer@{0}:{0}", host.0);
        let claims = [
            listens(host, "0.0.0.0", 6432, "pgbouncer"),
            listens(host, "0.0.0.0", 5432, "haproxy (pg_write)"),
            forwards(host, "pgbouncer", 6432, [(("", "127.0.0.1"), 5432)], None),
            opens(host, 6432, Some("10.0.0.0/24")),
            opens(host, 5432, Some("10.0.0.0/24")),
            image("haproxy:2.8.5"),
            clear_text(
                "/etc/haproxy/haproxy.cfg",
                "server db-1 10.0.0.120:5432 check port 8008\n",
            ),
        ];
        program = program.states("add_each(&lb", &urn, claims);
    }
    program
}

/// A node of a cluster with its ports.
fn postgres(host: (&str, &str)) -> Vec<Claim> {
    let mut claims: Vec<Claim> = [(5432, "sql"), (8008, "rest"), (7000, "raft")]
        .map(|(port, what)| listens(host, host.1, port, &format!("patroni ({what})")))
        .to_vec();
    claims.push(node(host, "PostgreSQL"));
    claims
}

#[test]
fn a_good_program_has_no_findings() {
    assert_eq!(found(&good()), "");
}

#[test]
fn all_findings_come_at_once() {
    let program = good()
        .states("add(HetznerLb", "x:latest", [image("haproxy:latest")])
        .states("add(PatroniCluster", "x:two", [voters("other", &DB[..2])])
        .states(
            "add_each(&lb",
            "x:clash",
            [listens(LB[0], "0.0.0.0", 6432, "redis")],
        );
    assert_eq!(
        codes(&program),
        ["kbz::voters::few", "kbz::port::clash", "kbz::image::latest"]
    );
}
