//! Ways, ports, addresses, images and voters.

use super::say::{
    DB, ENTRY, LB, at, balances, forwards, image, listens, node, stores, voters, writes,
};
use super::{codes, found, good, postgres};
use crate::graph::testkit::Program;
use crate::resource::Claim;

#[test]
fn a_connection_in_a_circle() {
    let program = r#"    let pooler = stack.add_each(&lb, |host| PgBouncer::on(host).port(6432)
        .upstream(&entry));
    let write = stack.add(HaproxyFrontend::new("pg_write", 5432).to(&pooler));
    let entry = stack.add(HetznerLb::new("lb-haproxy").service(&write));
"#;
    let mut program = Program::new(program)
        .states(
            "add(HaproxyFrontend",
            "haproxy-frontend:pg_write",
            LB.map(|lb| forwards(lb, "haproxy", 5432, [(lb, 6432)], None)),
        )
        .states(
            "add(HetznerLb",
            "load-balancer:lb",
            [balances(5432, LB.map(|lb| (lb, 5432)), false)],
        );
    for lb in LB {
        let urn = format!("pgbouncer@{0}:{0}", lb.0);
        let claims = [
            forwards(lb, "pgbouncer", 6432, [(ENTRY, 5432)], None),
            listens(lb, "0.0.0.0", 5432, "haproxy"),
            listens(lb, "0.0.0.0", 6432, "pgbouncer"),
        ];
        program = program.states("add_each(&lb", &urn, claims);
    }
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_service_that_connects_to_itself() {
    let program = Program::new("stack.add(PgBouncer::on(&host).upstream(itself));\n").states(
        "add(",
        "pgbouncer@haproxy-01:x",
        [
            listens(LB[0], "0.0.0.0", 6432, "pgbouncer"),
            forwards(LB[0], "pgbouncer", 6432, [(("", "127.0.0.1"), 6432)], None),
        ],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn two_owners_of_a_host_and_port() {
    let program = r"    let haproxy = stack.add_each(&lb, |host| Haproxy::on(host));
    let pooler = stack.add_each(&lb, |host| PgBouncer::on(host).port(6432));
";
    let mut program = Program::new(program);
    for lb in LB {
        let (haproxy, pooler) = (
            format!("haproxy@{0}:{0}", lb.0),
            format!("pgbouncer@{0}:{0}", lb.0),
        );
        program = program
            .states(
                "add_each(&lb, |host| H",
                &haproxy,
                [listens(lb, "0.0.0.0", 6432, "haproxy (pg_pool)")],
            )
            .states(
                "add_each(&lb, |host| P",
                &pooler,
                [listens(lb, lb.1, 6432, "pgbouncer")],
            );
    }
    insta::assert_snapshot!(found(&program));
}

#[test]
fn binds_that_do_not_overlap_are_no_clash() {
    let listening = |a: &str, b: &str| {
        Program::new("add").states(
            "add",
            "x:x",
            [listens(LB[0], a, 7000, "a"), listens(LB[0], b, 7000, "b")],
        )
    };
    assert_eq!(codes(&listening("127.0.0.1", "10.0.0.11")), [""; 0]);
    assert_eq!(codes(&listening("::", "10.0.0.11")), ["kbz::port::clash"]);
    assert_eq!(codes(&listening("0.0.0.0", "::1")), [""; 0]);
}

#[test]
fn one_entry_for_two_services_of_a_balancer() {
    let program =
        Program::new("stack.add(HetznerLb::new(\"lb-haproxy\").service(&a).service(&b));\n")
            .states(
                "add(",
                "load-balancer:lb",
                [balances(5432, [], false), balances(5432, [], false)],
            );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_way_to_where_nobody_listens() {
    let program = good().states(
        "add(HaproxyFrontend",
        "haproxy-frontend:pg_old",
        [forwards(LB[0], "haproxy", 5434, [(LB[1], 6433)], None)],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_service_bound_to_the_balancers_address() {
    let program = r#"    let write = stack.add(HaproxyFrontend::new("pg_write", 5432).bind(ENTRY));
    let entry = stack.add(HetznerLb::new("lb-haproxy").private_ip(ENTRY));
"#;
    let program = Program::new(program)
        .states(
            "add(Hap",
            "haproxy-frontend:w",
            LB.map(|lb| listens(lb, ENTRY.1, 5432, "haproxy (pg_write)")),
        )
        .states(
            "add(Het",
            "load-balancer:lb",
            [balances(5432, LB.map(|lb| (lb, 5432)), false)],
        );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_service_bound_to_an_address_that_nobody_knows() {
    let program = Program::new("stack.add(Exporter::on(&host).bind(other));\n").states(
        "add(",
        "exporter@haproxy-01:x",
        [listens(LB[0], "192.0.2.7", 9100, "exporter")],
    );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_balancer_with_the_address_of_a_host() {
    let program =
        Program::new("stack.add(HetznerLb::new(\"lb\").private_ip(host));\nstack.add(Haproxy);\n")
            .states("add(Het", "load-balancer:lb", [balances(5432, [], false)])
            .states(
                "add(Hap",
                "haproxy@x:x",
                [listens(("other", ENTRY.1), "0.0.0.0", 5432, "haproxy")],
            );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn a_database_behind_a_balancer() {
    let program = good().states(
        "add(HetznerLb",
        "load-balancer:other",
        [balances(5439, DB.map(|db| (db, 5432)), false)],
    );
    insta::assert_snapshot!(found(&program));
}

const FRONTEND: &str = r#"    let nodes = stack.add_each(&db, |host| PatroniNode::on(host).cluster(&cluster));
    let write = stack.add(HaproxyFrontend::new("pg_write", 5432).to(&nodes));
"#;

/// A frontend before the three servers.
fn frontend(port: u16, check_port: Option<u16>) -> Program {
    let mut program = Program::new(FRONTEND).states(
        "add(Hap",
        "haproxy-frontend:pg_write",
        [forwards(
            LB[0],
            "haproxy",
            5432,
            DB.map(|db| (db, port)),
            check_port,
        )],
    );
    for db in DB {
        let urn = format!("patroni-node@{0}:{0}", db.0);
        let claims = postgres(db)
            .into_iter()
            .chain([super::firewalled(db), super::opens(db, 22, None)]);
        let rules = [5432, 8008, 7000].map(|port| super::opens(db, port, Some("10.0.0.0/24")));
        program = program.states("add_each(&db", &urn, claims.chain(rules));
    }
    program
}

#[test]
fn clients_sent_to_the_rest_port() {
    insta::assert_snapshot!(found(&frontend(8008, Some(8008))));
}

#[test]
fn a_check_on_the_served_port() {
    insta::assert_snapshot!(found(&frontend(5432, Some(5432))));
}

#[test]
fn no_check_at_all() {
    insta::assert_snapshot!(found(&frontend(5432, None)));
}

#[test]
fn the_right_port_and_check() {
    assert_eq!(found(&frontend(5432, Some(8008))), "");
}

#[test]
fn an_image_that_moves() {
    let program = r#"    stack.add(Container::new("haproxy:latest"));
    stack.add(Container::new("registry:5000/redis"));
    stack.add(Container::new("debian:trixie"));
    stack.add(Container::new("redis:7.2.5-alpine"));
"#;
    let program = Program::new(program)
        .states(
            "add(Container::new(\"haproxy",
            "c:a",
            [image("haproxy:latest")],
        )
        .states(
            "add(Container::new(\"registry",
            "c:b",
            [image("registry:5000/redis")],
        )
        .states(
            "add(Container::new(\"debian",
            "c:c",
            [image("debian:trixie")],
        )
        .states(
            "add(Container::new(\"redis:7",
            "c:d",
            [image("redis:7.2.5-alpine"), image("x@sha256:0")],
        );
    insta::assert_snapshot!(found(&program));
}

#[test]
fn voters_that_cannot_decide() {
    let four = [DB[0], DB[1], DB[2], LB[0]];
    let twice = [DB[0], DB[1], DB[1]];
    let program = Program::new("add(two)\nadd(four)\nadd(twice)\nadd(one)\nadd(same)\nadd(good)\n")
        .states("add(two", "g:a", [voters("two", &DB[..2])])
        .states("add(four", "g:b", [voters("four", &four)])
        .states("add(twice", "g:c", [voters("twice", &twice)])
        .states("add(one", "g:d", [voters("one", &DB[..1])])
        .states("add(good", "g:e", [voters("good", &DB)])
        .states("add(same", "g:f", [voters("good", &DB)]);
    insta::assert_snapshot!(found(&program));
}

#[test]
fn data_in_one_place() {
    let program = r#"    stack.add(Directory::on(&host, "/opt/data"));
    stack.add(Directory::on(&host, "/opt/data/raft"));
    stack.add(Directory::on(&host, "/opt/database"));
    stack.add(Container::new("a").mount("/opt/data"));
    stack.add(Container::new("b").mount("/opt/data"));
    stack.add(Container::new("c").mount("/run/docker.sock"));
"#;
    let program = Program::new(program)
        .states(
            "add(Directory::on(&host, \"/opt/data\"",
            "d:a",
            [stores(DB[0], "/opt/data")],
        )
        .states(
            "add(Directory::on(&host, \"/opt/data/",
            "d:b",
            [stores(DB[0], "/opt/data/raft")],
        )
        .states(
            "add(Directory::on(&host, \"/opt/database",
            "d:c",
            [stores(DB[0], "/opt/database")],
        )
        .states(
            "add(Container::new(\"a",
            "c:a",
            [
                writes(DB[0], "/opt/data", "container a"),
                writes(DB[0], "/run/x", "container a"),
            ],
        )
        .states(
            "add(Container::new(\"b",
            "c:b",
            [
                writes(DB[0], "/opt/data", "container b"),
                writes(DB[0], "/run/x", "container b"),
            ],
        );
    insta::assert_snapshot!(found(&program));
}

const DIRECT: &str = r#"    let nodes = stack.add_each(&db, |host| PatroniNode::on(host).cluster(&cluster));
    let pooler = stack.add(PgBouncer::on(&host).upstream(&first_node));
    stack.export("database_url", "postgresql://kb_app@10.0.0.121:5432/keybuzz");
    stack.add(Application::new("api").database(&first_node));
"#;

#[test]
fn a_server_named_where_the_entry_point_belongs() {
    let mut program = Program::new(DIRECT)
        .states(
            "add(PgB",
            "pgbouncer@haproxy-01:x",
            [forwards(LB[0], "pgbouncer", 6432, [(DB[0], 5432)], None)],
        )
        .states(
            "export(",
            "output:database_url",
            [Claim::Exports {
                name: "database_url".to_owned(),
                text: "postgresql://kb_app@10.0.0.121:5432/keybuzz".to_owned(),
            }],
        )
        .states(
            "add(App",
            "application:api",
            [
                Claim::Connects {
                    client: "application:api".parse().unwrap(),
                    serves: None,
                    to: at(DB[0], 5432),
                },
                Claim::Advertises {
                    name: "direct".to_owned(),
                    endpoint: at(DB[2], 5432),
                },
            ],
        )
        .states(
            "add(PgB",
            "x:way",
            [
                forwards(LB[1], "haproxy", 5432, DB.map(|db| (db, 5432)), Some(8008)),
                balances(5432, [(LB[1], 5432)], false),
            ],
        );
    for db in DB {
        let urn = format!("patroni-node@{0}:{0}", db.0);
        program = program.states("add_each(&db", &urn, [node(db, "PostgreSQL")]);
    }
    insta::assert_snapshot!(found(&program));
}
