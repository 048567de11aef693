//! Every generated file of the PostgreSQL system, with its facts as data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use kbz_infra::component::haproxy::config::{self as haproxy, Check, HaproxyConfig};
use kbz_infra::component::haproxy::image as haproxy_image;
use kbz_infra::component::patroni::image::PatroniImageSpec;
use kbz_infra::component::patroni::memory::MemoryBudget;
use kbz_infra::component::patroni::node_config::{
    Locale, NodeConfig, NodeConfigError, data_dir, paths,
};
use kbz_infra::component::pgbouncer::config::PgBouncerConfig;
use kbz_infra::component::pgbouncer::image as pgbouncer_image;
use kbz_infra::component::unit::Unit;

mod sample;

use sample::*;

const BASE: &str = "debian-base:trixie-20261101";

fn check(name: &str, content: &impl ToString) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, content.to_string()));
}

#[test]
fn patroni_yml() {
    check("patroni.yml", &node().render().unwrap());
}

#[test]
fn patroni_yml_of_postgresql_16_with_a_language() {
    let mut node = node();
    node.major = 16;
    node.data_dir = data_dir(16);
    node.locale = Locale::Icu("fr-FR".to_owned());
    node.rewind = Some(login("kb_rewind", "POSTGRES_REWIND_PASS"));
    node.memory = MemoryBudget::Bytes(512 << 20);
    node.tags.nosync = true;
    check("patroni-16.yml", &node.render().unwrap());
}

#[test]
fn a_cluster_named_no_stays_a_name() {
    let mut node = node();
    node.scope = "no".to_owned();
    let rendered = node.render().unwrap().to_string();
    assert!(rendered.starts_with("scope: \"no\"\n"), "{rendered}");
}

fn refused(change: impl FnOnce(&mut NodeConfig)) -> NodeConfigError {
    let mut node = node();
    change(&mut node);
    node.render().unwrap_err()
}

#[test]
fn a_node_that_could_not_work_is_refused() {
    let cases = [
        refused(|node| node.partners = BTreeSet::from([ip(120), ip(121)])),
        refused(|node| node.partners = BTreeSet::from([ip(121)])),
        refused(|node| node.partners = BTreeSet::from([ip(121), ip(122), ip(123)])),
        refused(|node| node.ports.raft = node.ports.rest),
        refused(|node| node.clients = BTreeSet::from(["0.0.0.0/0".parse().unwrap()])),
        refused(|node| node.data_dir = paths::DATA_MOUNT.to_owned()),
        refused(|node| node.scope = "key buzz".to_owned()),
        refused(|node| node.replication.user = "all".to_owned()),
        refused(|node| node.replication.user = "kb_admin".to_owned()),
        refused(|node| node.facts.ram_bytes = 1 << 20),
        refused(|node| node.parameters = [("wal_level".to_owned(), "replica".into())].into()),
        refused(|node| node.bootstrap.timing.ttl = 10),
    ];
    let lines: Vec<String> = cases.iter().map(ToString::to_string).collect();
    check("patroni-refusals", &lines.join("\n"));
}

#[test]
fn haproxy_cfg() {
    check("haproxy.cfg", &haproxy().render().unwrap());
}

#[test]
fn haproxy_cfg_of_other_services() {
    check("haproxy-others.cfg", &other_haproxy().render().unwrap());
}

#[test]
fn an_haproxy_that_could_not_work_is_refused() {
    let refused = |change: fn(&mut HaproxyConfig)| {
        let mut config = haproxy();
        change(&mut config);
        config.render().unwrap_err().to_string()
    };
    let cases = [
        refused(|c| c.entries.clear()),
        refused(|c| c.entries[0].servers.clear()),
        refused(|c| c.entries[0].name = "a b".to_owned()),
        refused(|c| c.entries[1].name = "pg_write".to_owned()),
        refused(|c| c.entries[0].name = "healthz".to_owned()),
        refused(|c| c.entries[1].bind.set_port(5432)),
        refused(|c| c.entries[1].bind.set_port(6432)),
        refused(|c| c.entries[0].servers = nodes(8008)),
        refused(|c| {
            let own = SocketAddr::from(([127, 0, 0, 1], 5432));
            c.entries[0].servers = BTreeMap::from([(host("self"), own)]);
        }),
        refused(|c| c.entries[1].fallback = Some("pg_read".to_owned())),
        refused(|c| c.timing.inter = "1 s".to_owned()),
        refused(|c| {
            c.entries[0].check = Check::Http {
                port: 1,
                path: "/a b".to_owned(),
            };
        }),
    ];
    check("haproxy-refusals", &cases.join("\n"));
}

#[test]
fn the_states_are_saved_where_a_reload_reads_them() {
    assert!(haproxy::SAVE_STATE.contains(haproxy::paths::STATE_DIR));
}

#[test]
fn pgbouncer_ini_and_userlist() {
    check("pgbouncer.ini", &pgbouncer().render().unwrap());
    check("userlist.txt", &pgbouncer().render_userlist().unwrap());
}

#[test]
fn a_pgbouncer_that_could_not_work_is_refused() {
    let refused = |change: fn(&mut PgBouncerConfig)| {
        let mut config = pgbouncer();
        change(&mut config);
        config.render().unwrap_err().to_string()
    };
    let cases = [
        refused(|c| c.databases.clear()),
        refused(|c| c.users.clear()),
        refused(|c| c.databases = BTreeSet::from(["pgbouncer".to_owned()])),
        refused(|c| c.databases = BTreeSet::from(["a=b".to_owned()])),
        refused(|c| c.upstream.set_port(6432)),
        refused(|c| c.users[1].user = "kb_app".to_owned()),
        refused(|c| c.stats = BTreeSet::from(["nobody".to_owned()])),
        refused(|c| c.max_db_connections = 0),
        refused(|c| c.query_wait_timeout = 0),
        refused(|c| c.peers.as_mut().unwrap().own = 2),
    ];
    check("pgbouncer-refusals", &cases.join("\n"));
}

#[test]
fn poolers_must_fit_into_postgresql() {
    let config = pgbouncer();
    config.fits(2, 200, 5).unwrap();
    assert_eq!(
        config.fits(3, 200, 5).unwrap_err().to_string(),
        "3 PgBouncers with 80 server connections each exceed PostgreSQL's max_connections \
         (200, of which 5 are reserved)"
    );
}

#[test]
fn units() {
    for unit in [
        Unit::patroni("/opt/keybuzz/postgres/data"),
        Unit::haproxy("/opt/keybuzz/haproxy/data", 8405),
        Unit::pgbouncer(),
    ] {
        check(&unit.name(), &unit.render().unwrap());
    }
    let mut odd = Unit::pgbouncer();
    odd.container = "-x".to_owned();
    assert!(odd.render().is_err());
    odd = Unit::patroni("/a b");
    assert!(odd.render().is_err());
}

#[test]
fn dockerfiles() {
    let official = PatroniImageSpec::official("16.4").unwrap();
    let official = official.build_context().unwrap();
    check("patroni-official.Dockerfile", &official.dockerfile());
    let debian = PatroniImageSpec::debian(BASE).build_context().unwrap();
    check("patroni-debian.Dockerfile", &debian.dockerfile());
    check(
        "patroni-requirements.txt",
        &String::from_utf8_lossy(&debian.files()["requirements.txt"]),
    );
    assert_ne!(official.reference(), debian.reference());
    let haproxy = haproxy_image::debian(BASE).unwrap();
    check("haproxy-debian.Dockerfile", &haproxy.dockerfile());
    let pgbouncer = pgbouncer_image::debian(BASE).unwrap();
    check("pgbouncer-debian.Dockerfile", &pgbouncer.dockerfile());
    assert_eq!(haproxy_image::official("2.8.5").unwrap(), "haproxy:2.8.5");
}

#[test]
fn an_image_that_is_not_pinned_is_refused() {
    assert!(PatroniImageSpec::official("16").is_err());
    assert!(PatroniImageSpec::official("latest").is_err());
    assert!(haproxy_image::official("2.8").is_err());
    assert!(haproxy_image::debian("debian").is_err());
    let refused = |change: fn(&mut PatroniImageSpec)| {
        let mut spec = PatroniImageSpec::debian(BASE);
        change(&mut spec);
        spec.build_context().unwrap_err().to_string()
    };
    let cases = [
        refused(|spec| spec.pins.pysyncobj = "0.3.14".to_owned()),
        refused(|spec| spec.pins.patroni = "3.3.0".to_owned()),
        refused(|spec| spec.pins.psycopg = "3".to_owned()),
        refused(|spec| spec.major = 16),
    ];
    check("image-refusals", &cases.join("\n"));
}
