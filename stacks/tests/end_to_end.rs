//! The whole way on real hosts: from an empty machine to a cluster that survives the loss of
//! its leader, and back to an empty machine.
//!
//! One test in one lab, in the order in which an operator would do it. The private network
//! exists once on a machine, so the lab `kbz` of this machine is taken over and removed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::NoTls;

const HOSTS: [&str; 5] = [
    "db-master-01",
    "db-slave-01",
    "db-slave-02",
    "haproxy-01",
    "haproxy-02",
];

/// A copy of the stack's inputs, with a state and credentials of its own.
struct Operator {
    folder: TempDir,
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Also after a failure nothing stays behind.
        let _ = self.command(&["lab", "down"]).output();
    }
}

impl Operator {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir(folder.path().join("lab")).expect("a folder");
        for file in [
            "kbz.toml",
            "servers.tsv",
            "versions.yaml",
            "lab/versions.yaml",
        ] {
            std::fs::copy(source.join(file), folder.path().join(file)).expect(file);
        }
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybuzz"));
        command
            .arg("--stack-dir")
            .arg(self.folder.path())
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the program starts")
    }

    /// Runs a command that must succeed; gives what it says on both streams.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = both(&output);
        assert!(output.status.success(), "{arguments:?} failed:\n{said}");
        said
    }

    fn on(&self, host: &str, script: &str) -> String {
        self.must(&["lab", "ssh", host, script])
    }

    /// One value of SQL through a port of the load balancer.
    fn sql(&self, port: u16, query: &str) -> String {
        let port = port.to_string();
        let said = self.must(&["lab", "psql", "--port", &port, "--", "-AtXqc", query]);
        said.trim().to_owned()
    }

    fn credentials(&self) -> String {
        let path = self.folder.path().join("lab/credentials/postgres.env");
        std::fs::read_to_string(path).expect("credentials were generated")
    }

    fn credential(&self, name: &str) -> String {
        let text = self.credentials();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        value.expect(name).to_owned()
    }

    /// The port of this machine that leads to PgBouncer.
    fn pooler(&self) -> u16 {
        let said = self.must(&["up"]);
        let line = said
            .lines()
            .find(|line| line.contains("database_url"))
            .expect("an output");
        let (_, port) = line.rsplit_once(':').expect("an address");
        port.trim().parse().expect("a port")
    }

    fn leader(&self) -> String {
        let script = "for host in 10.0.0.120 10.0.0.121 10.0.0.122; do \
                      curl -s -o /dev/null -w \"%{http_code} $host\\n\" \
                      -m 3 http://$host:8008/primary; done";
        let said = self.on("haproxy-01", script);
        let leader = said.lines().find_map(|line| line.strip_prefix("200 "));
        match leader.expect("somebody leads").trim() {
            "10.0.0.120" => "db-master-01",
            "10.0.0.121" => "db-slave-01",
            _ => "db-slave-02",
        }
        .to_owned()
    }
}

fn both(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{stdout}{stderr}")
}

#[test]
fn from_nothing_to_a_cluster_that_survives_and_back_to_nothing() {
    assert!(
        Command::new("docker")
            .arg("info")
            .output()
            .is_ok_and(|output| output.status.success()),
        "no Docker Engine answers: install Docker and start it, these tests need it"
    );
    let operator = Operator::new();

    operator.must(&["up"]);
    unchanged(&operator);
    serves(&operator);
    keeps_its_secrets(&operator);
    has_no_way_out(&operator);
    sees_and_repairs_what_hands_did(&operator);
    loses_nothing_when_the_leader_dies(&operator);
    leaves_nothing_behind(&operator);
}

fn unchanged(operator: &Operator) {
    let said = operator.must(&["up"]);
    assert!(said.contains("no changes"), "{said}");
    let preview = operator.run(&["preview", "--detailed-exitcode"]);
    assert_eq!(preview.status.code(), Some(0), "{}", both(&preview));
}

/// The load balancer sees only after some rounds of checks what became of its targets.
fn settled(operator: &Operator) {
    let begun = Instant::now();
    loop {
        let checked = operator.run(&["doctor"]);
        if checked.status.success() {
            return;
        }
        let said = both(&checked);
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "still not well:\n{said}"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn serves(operator: &Operator) {
    assert_eq!(operator.sql(5432, "SELECT pg_is_in_recovery()"), "f");
    assert_eq!(operator.sql(5433, "SELECT pg_is_in_recovery()"), "t");
    assert_eq!(operator.sql(6432, "SELECT '[1,2]'::vector"), "[1,2]");
    operator.sql(6432, "CREATE TABLE acknowledged (id bigint PRIMARY KEY)");
    let output = operator.run(&["outputs", "database_url"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "postgresql://kb_app@10.0.0.10:6432/keybuzz\n"
    );
    let checked = operator.run(&["doctor"]);
    assert!(checked.status.success(), "{}", both(&checked));
}

/// No password stands in state, container descriptions or process lists.
fn keeps_its_secrets(operator: &Operator) {
    let canaries: Vec<String> = [
        "POSTGRES_SUPERPASS",
        "POSTGRES_REPL_PASS",
        "POSTGRES_APP_PASS",
        "PATRONI_RAFT_PASSWORD",
    ]
    .iter()
    .map(|name| operator.credential(name))
    .collect();
    let mut places = vec![(
        "the operator's state".to_owned(),
        files_below(&operator.folder.path().join(".kbz/lab")),
    )];
    for host in HOSTS {
        let script = "docker ps -aq | xargs docker inspect; ps axww -o args; \
                      cat /var/lib/kbz/keybuzz/*/* 2>/dev/null; true";
        places.push((host.to_owned(), operator.on(host, script)));
    }
    for (place, text) in places {
        assert!(!text.is_empty(), "nothing was read of {place}");
        for canary in &canaries {
            assert!(
                !text.contains(canary.as_str()),
                "a password stands in {place}"
            );
        }
    }
}

fn files_below(folder: &Path) -> String {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("the state is there")
            .flatten()
        {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).expect("a file of the state");
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    text
}

fn has_no_way_out(operator: &Operator) {
    for host in HOSTS {
        let output = operator.run(&["lab", "ssh", host, "ip route get 198.51.100.1"]);
        // Either there is no route at all, or it ends in the internal network, where nobody
        // forwards anything: its gateway's address is given to no one.
        let said = both(&output);
        let inside = said.contains(" via 10.0.0.1 ");
        assert!(
            !output.status.success() || inside,
            "{host} has a way out: {said}"
        );
    }
}

fn sees_and_repairs_what_hands_did(operator: &Operator) {
    operator.on("haproxy-01", "echo '# by hand' >> /etc/haproxy/haproxy.cfg");
    operator.on("haproxy-02", "docker rm -f pgbouncer");
    operator.on(
        "db-slave-02",
        "sysctl -w vm.swappiness=60; ufw delete allow 22222/tcp; true",
    );
    let preview = operator.run(&["preview", "--detailed-exitcode"]);
    let said = both(&preview);
    assert_eq!(preview.status.code(), Some(2), "{said}");
    for seen in ["# by hand", "container pgbouncer", "vm.swappiness"] {
        assert!(said.contains(seen), "`{seen}` is not in:\n{said}");
    }
    operator.must(&["up"]);
    settled(operator);
    unchanged(operator);
}

/// The host of the leader is killed under a load of writes through the pooler.
fn loses_nothing_when_the_leader_dies(operator: &Operator) {
    let password = operator.credential("POSTGRES_APP_PASS");
    let leader = operator.leader();
    let port = operator.pooler();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (acknowledged, silence) = runtime.block_on(async {
        let mut acknowledged = Vec::new();
        let mut silence = Duration::ZERO;
        let mut last = Instant::now();
        let begun = Instant::now();
        let mut killed = false;
        let mut id = 0;
        while begun.elapsed() < Duration::from_mins(3) {
            if !killed && acknowledged.len() >= 50 {
                operator.must(&["lab", "fault", &leader, "kill"]);
                killed = true;
                last = Instant::now();
            }
            id += 1;
            if write(port, &password, id).await {
                silence = silence.max(last.elapsed());
                last = Instant::now();
                acknowledged.push(id);
            }
            // Long enough after the failover to know that it holds.
            if killed && silence > Duration::from_secs(2) && acknowledged.len() >= 150 {
                break;
            }
        }
        (acknowledged, silence)
    });
    assert!(
        acknowledged.len() >= 150,
        "writes did not resume: {}",
        acknowledged.len()
    );
    println!(
        "writes stopped for {:.1} s after {leader} was killed",
        silence.as_secs_f64()
    );
    let stored = operator.sql(5432, "SELECT id FROM acknowledged ORDER BY id");
    let stored: std::collections::BTreeSet<i64> = stored
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    let lost: Vec<&i64> = acknowledged
        .iter()
        .filter(|id| !stored.contains(id))
        .collect();
    assert!(lost.is_empty(), "acknowledged writes were lost: {lost:?}");

    // The host comes back, and the next `up` finds or makes the cluster whole.
    operator.must(&["up"]);
    settled(operator);
    unchanged(operator);
}

/// One write over a connection of its own, as a client with a pool would retry it.
async fn write(port: u16, password: &str, id: i64) -> bool {
    let settings = format!(
        "host=127.0.0.1 port={port} user=kb_app dbname=keybuzz password={password} \
         connect_timeout=3"
    );
    let insert = async {
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
        let driven = tokio::spawn(connection);
        let done = client
            .execute("INSERT INTO acknowledged VALUES ($1)", &[&id])
            .await;
        drop(client);
        driven.abort();
        done
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(5), insert).await,
        Ok(Ok(1))
    )
}

fn leaves_nothing_behind(operator: &Operator) {
    operator.must(&["destroy", "--yes"]);
    let containers = operator.on("db-master-01", "docker ps -aq; ls /etc/patroni 2>&1; true");
    assert!(containers.contains("No such file"), "{containers}");
    operator.must(&["lab", "down"]);
    for kind in ["ps -a", "network ls", "volume ls"] {
        let mut command = Command::new("docker");
        command
            .args(kind.split(' '))
            .args(["--quiet", "--filter", "label=kbz.lab=kbz"]);
        let left = command.output().expect("docker");
        assert!(
            left.stdout.is_empty(),
            "{kind}: {}",
            String::from_utf8_lossy(&left.stdout)
        );
    }
}
