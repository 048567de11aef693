//! The production topology, as plain data for tests.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test binaries, each of which uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kbz_infra::component::Login;
use kbz_infra::component::haproxy::config::{Check, Companion, Entry, HaproxyConfig, TcpStep};
use kbz_infra::component::patroni::dcs_config::DcsConfig;
use kbz_infra::component::patroni::memory::{HostFacts, MemoryBudget};
use kbz_infra::component::patroni::node_config::{
    Locale, NodeConfig, Ports, Tags, data_dir, paths,
};
use kbz_infra::component::patroni::parameters::{Cluster, Parameters};
use kbz_infra::component::pgbouncer::config::{Peers, PgBouncerConfig};
use kbz_infra::ident::HostName;
use kbz_infra::secret::SecretRef;

pub fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub fn login(user: &str, secret: &str) -> Login {
    Login::new(user, SecretRef::new(secret))
}

pub fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

pub fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(ip(last), port)
}

pub fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
}

pub fn node() -> NodeConfig {
    NodeConfig {
        scope: "keybuzz-pg".to_owned(),
        name: host("db-master-01"),
        address: ip(120),
        partners: BTreeSet::from([ip(121), ip(122)]),
        ports: Ports::default(),
        major: 17,
        raft_dir: paths::RAFT_DIR.to_owned(),
        data_dir: data_dir(17),
        superuser: login("kb_admin", "POSTGRES_SUPERPASS"),
        replication: login("kb_repl", "POSTGRES_REPL_PASS"),
        rewind: None,
        rest_api: login("patroni", "PATRONI_REST_PASS"),
        raft_password: SecretRef::new("PATRONI_RAFT_PASS"),
        facts: HostFacts {
            ram_bytes: 16 << 30,
            cpus: 8,
        },
        memory: MemoryBudget::Host,
        parameters: Parameters::new(),
        clients: ["10.0.0.11/32", "10.0.0.12/32"]
            .map(|net| net.parse().unwrap())
            .into(),
        locale: Locale::CodePoint,
        bootstrap: DcsConfig::new(Cluster::new(17, 3).parameters()),
        tags: Tags::default(),
    }
}

pub fn nodes(port: u16) -> BTreeMap<HostName, SocketAddr> {
    [
        ("db-master-01", 120),
        ("db-slave-01", 121),
        ("db-slave-02", 122),
    ]
    .into_iter()
    .map(|(name, last)| (host(name), at(last, port)))
    .collect()
}

pub fn haproxy() -> HaproxyConfig {
    let write = Entry::new(
        "pg_write",
        everywhere(5432),
        nodes(5432),
        Check::PatroniPrimary { port: 8008 },
    );
    let mut read = Entry::new(
        "pg_read",
        everywhere(5433),
        nodes(5432),
        Check::PatroniReplica {
            port: 8008,
            max_lag: Check::DEFAULT_MAX_LAG,
        },
    );
    read.fallback = Some("pg_write".to_owned());
    let mut config = HaproxyConfig::new(host("haproxy-01"), vec![write, read]);
    config.companions.push(Companion {
        name: "pgbouncer".to_owned(),
        address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 6432),
    });
    config.stats = Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8407));
    config
}

pub fn pgbouncer() -> PgBouncerConfig {
    let mut config = PgBouncerConfig::new(
        everywhere(6432),
        SocketAddr::from(([127, 0, 0, 1], 5432)),
        ["keybuzz".to_owned()],
        vec![
            login("kb_app", "POSTGRES_APP_PASS"),
            login("kb_admin", "POSTGRES_SUPERPASS"),
        ],
    );
    config.admins.insert("kb_admin".to_owned());
    config.peers = Some(Peers {
        own: 1,
        others: BTreeMap::from([(2, at(12, 6432))]),
    });
    config
}

pub fn other_haproxy() -> HaproxyConfig {
    let redis = [("redis-01", 123), ("redis-02", 124)]
        .map(|(name, last)| (host(name), at(last, 6379)))
        .into();
    let dialogue = Check::Dialogue(vec![
        TcpStep::SendLine("PING".to_owned()),
        TcpStep::Expect("+PONG".to_owned()),
        TcpStep::SendLine("info replication".to_owned()),
        TcpStep::Expect("role:master".to_owned()),
    ]);
    let rabbit = [("queue-01", 126)]
        .map(|(name, last)| (host(name), at(last, 5672)))
        .into();
    let entries = vec![
        Entry::new("redis", everywhere(6379), redis, dialogue),
        Entry::new("rabbitmq", everywhere(5672), rabbit, Check::Tcp),
    ];
    HaproxyConfig::new(host("haproxy-02"), entries)
}
