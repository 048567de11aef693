//! The module of Redis in `examples`, with the real programs: three nodes and a HAProxy in one
//! container without a network, each node on a loopback address of its own.

mod images;

use std::net::{IpAddr, SocketAddr};

use examples::redis::config::{NodeConfig, Passwords, Ports, Timing};
use examples::redis::{RedisCluster, image};
use images::{BASES, accepted, build, consume};
use kbz_infra::component::haproxy::config::{Balance, Entry, HaproxyConfig};
use kbz_infra::component::haproxy::image as haproxy_image;
use kbz_infra::ident::HostName;
use kbz_infra::secret::Text;
use kbz_infra::secret::{SecretRef, Vault};
use secrecy::SecretString;

/// Passwords that a careless writer of `redis.conf` would break.
const PASSWORDS: [(&str, &str); 3] = [
    ("REDIS_PASS", "s\"up'er: #x\\"),
    ("REDIS_REPLICA_PASS", "re pl\" $1"),
    ("REDIS_SENTINEL_PASS", "#sent'inel\" "),
];

fn node(number: u8) -> NodeConfig {
    let secret = |at: usize| SecretRef::new(PASSWORDS[at].0);
    let address = |last: u8| IpAddr::from([127, 0, 0, last]);
    NodeConfig {
        host: HostName::new(format!("redis-0{number}")).unwrap(),
        // 127.0.0.1 is bound by every node for its own host, and so belongs to none here.
        address: address(number + 10),
        name: "keybuzz".to_owned(),
        nodes: [11, 12, 13].map(address).to_vec(),
        ports: Ports::default(),
        passwords: Passwords {
            app: secret(0),
            replica: secret(1),
            sentinel: secret(2),
        },
        // Long enough that a node which a busy machine lets wait is not taken for dead, and that
        // a killed one is back before another is elected in its place.
        timing: Timing {
            down_after: 5_000,
            failover_timeout: 10_000,
        },
        max_memory: 64 << 20,
        data_dir: format!("/tmp/node{number}/data"),
        sentinel_dir: format!("/tmp/node{number}/sentinel"),
    }
}

fn resolved(text: &Text) -> String {
    let mut vault = Vault::new();
    for (name, value) in PASSWORDS {
        vault.insert(name, SecretString::from(value.to_owned()));
    }
    let text = text.resolve(&vault).unwrap().to_string();
    // All nodes share one host here.
    text.replace(" 127.0.0.1\nport", "\nport")
}

/// The way in that the program declares, on a port of its own.
fn haproxy() -> HaproxyConfig {
    let servers = [1, 2, 3].map(node).map(|node| {
        let server = SocketAddr::new(node.address, node.ports.redis);
        (node.host, server)
    });
    let bind = SocketAddr::from(([127, 0, 0, 1], 16_379));
    let mut entry = Entry::new("redis", bind, servers.into(), RedisCluster::is_master());
    entry.balance = Balance::First;
    entry.fall = Some(1);
    entry.rise = Some(1);
    HaproxyConfig::new(HostName::new("haproxy-01").unwrap(), vec![entry])
}

/// What starts the programs of every node by its number, as the containers would.
fn commands() -> String {
    let start = [1, 2, 3].map(|number| {
        let node = node(number);
        let script = |mut command: Vec<String>, file: &str| {
            command[1] = format!("/tmp/files/{file}{number}.conf");
            format!("exec bash /usr/local/bin/{}", command.join(" "))
        };
        let redis = script(node.redis_command(), "redis");
        let sentinel = script(node.sentinel_command(), "sentinel");
        format!("redis{number}() {{ {redis}; }}\nsentinel{number}() {{ {sentinel}; }}\n")
    });
    start.concat()
}

/// Fills the cluster through HAProxy, and kills the master twice: it comes back with its data,
/// and without it.
const STORY: &str = r#"
    export REDISCLI_AUTH="$(cat app-password)"
    until_true() { for _ in $(seq 300); do eval "$1" && return; sleep 0.2; done; echo "never: $1"; tail -n 20 ./*.log; exit 1; }
    entry() { timeout 2 redis-cli -p 16379 "$@" 2>&1; }
    node() { timeout 2 redis-cli -h "127.0.0.1$1" "${@:2}" 2>&1; }
    # As its unit does, starts a node again whenever it ends, until it is stopped.
    unit() { while :; do redis$1 >>redis$1.log 2>&1 & echo $! >redis$1.pid; wait $! || true; sleep 0.5; done; }
    run() { unit $1 & echo $! >unit$1.pid; }
    crash() { kill -9 "$(cat unit$1.pid)" "$(cat redis$1.pid)"; }
    mkdir -p /tmp/node{1,2,3}/{data,sentinel}
    for n in 1 2 3; do run $n; (sentinel$n >sentinel$n.log 2>&1 &); done
    haproxy -W -db -f haproxy.cfg >haproxy.log 2>&1 &

    until_true '[ "$(entry SET key before)" = OK ]'
    until_true 'node 2 GET key | grep -qx before'
    until_true 'node 3 GET key | grep -qx before'
    until_true 'grep -q "sentinel known-replica keybuzz 127.0.0.12" /tmp/node3/sentinel/sentinel.conf'
    until_true 'grep -q "sentinel known-replica keybuzz 127.0.0.13" /tmp/node3/sentinel/sentinel.conf'
    echo "asked without a password: $(unset REDISCLI_AUTH; node 1 GET key)"

    crash 1
    until_true '[ "$(entry SET key after)" = OK ]'
    echo "wrote after the failover"

    run 1
    until_true 'grep -q "the Sentinels name 127.0.0.1[23]" redis1.log'
    until_true 'node 1 GET key | grep -qx after'
    echo "the former master follows: $(node 1 ROLE | head -n 1)"

    # One master that all agree on: one node says so of itself, and every Sentinel names it.
    named() { timeout 2 redis-cli -h "127.0.0.1$1" -p 26379 --user health --pass none --no-auth-warning \
      SENTINEL get-master-addr-by-name keybuzz 2>&1 | head -n 1; }
    agreed() {
      local n masters=
      for n in 1 2 3; do node $n ROLE | head -n 1 | grep -qx master && masters+=$n; done
      for n in 1 2 3; do [ "$(named $n)" = "127.0.0.1$masters" ] || return 1; done
      leader=$masters
    }
    until_true agreed
    crash $leader; rm -rf /tmp/node$leader/data/*; run $leader
    until_true 'grep -q "waiting until another is elected" redis$leader.log'
    until_true '[ "$(entry GET key)" = after ]'
    echo "an empty master did not serve"
    until_true 'node $leader GET key | grep -qx after'
    echo "it came back as $(node $leader ROLE | head -n 1)"
"#;

#[test]
fn a_master_is_found_lost_and_found_again() {
    let haproxy_image = build(&haproxy_image::debian(&BASES.debian).unwrap());
    let both = build(&image::debian(&haproxy_image));
    let mut files = vec![
        (
            "haproxy.cfg".to_owned(),
            haproxy().render().unwrap().to_string(),
        ),
        ("app-password".to_owned(), PASSWORDS[0].1.to_owned()),
    ];
    for number in [1, 2, 3] {
        let node = node(number);
        files.push((
            format!("redis{number}.conf"),
            resolved(&node.redis().unwrap()),
        ));
        files.push((
            format!("sentinel{number}.conf"),
            resolved(&node.sentinel().unwrap()),
        ));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_str()))
        .collect();
    let script = format!(
        "haproxy -c -f haproxy.cfg || exit 8\n{}\n{STORY}",
        commands()
    );
    let shown = accepted(&consume(&both, &files, &script));
    for line in [
        "asked without a password: NOAUTH",
        "wrote after the failover",
        "the former master follows: slave",
        "an empty master did not serve",
        "it came back as slave",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    assert!(!shown.contains("WARNING"), "{shown}");
}
