//! The first `up` of a cluster whose images the hosts have, beside Patroni's own bootstrap of three
//! nodes that are started by hand.
//!
//! By hand: on three hosts where everything is in place (containers, configuration, empty data
//! directories), Patroni is started on all at once; the clock runs until the three nodes are a
//! cluster with a leader and a synchronous standby. Nothing can take less than that. Ours: the
//! whole stack was destroyed, and `up` makes the cluster again, with all that it needs of its hosts
//! and all that it looks at, writes and waits for. Beside it stands the first `up` of the whole
//! stack, which makes two pairs of proxies and a balancer too. All are measured in turn in the same
//! run, in the lab.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use benches::desk::Failure;
use benches::ours::Ours;
use benches::table;
use kbz_lab::LabAccess;

const ROUNDS: usize = 5;
/// The cluster's address.
const CLUSTER: &str = "patroni-cluster:keybuzz-pg";
/// What is to be reached, in times of Patroni's own bootstrap.
const GOAL: f64 = 1.25;
const NODES: [&str; 3] = ["db-master-01", "db-slave-01", "db-slave-02"];
const PROXIES: [&str; 2] = ["haproxy-01", "haproxy-02"];

/// Stops a node and empties its data, as before its first start.
const EMPTY: &str = "set -e
systemctl stop patroni-docker
for path in $(docker inspect -f '{{range .Mounts}}{{if .RW}}{{.Source}} {{end}}{{end}}' patroni); do
  find \"$path\" -mindepth 1 -delete
done";

/// Takes away what `destroy` leaves: the data.
const CLEAR: &str = "find /opt/keybuzz/postgres -mindepth 2 -delete";

/// Starts a node.
const START: &str = "systemctl start patroni-docker";

/// Waits until a node knows a leader, a synchronous standby and two who stream.
const WHOLE: &str = r#"
address=$(ip -4 -o address show scope global | sed -n 's|.* inet \([0-9.]*\)/.*|\1|p' | head -n 1)
ask() { timeout 2 bash -c "exec 3<>/dev/tcp/$address/8008 && printf 'GET /cluster HTTP/1.0\r\n\r\n' >&3 && cat <&3" 2>/dev/null; }
until said=$(ask); echo "$said" | grep -q '"role": "sync_standby"' \
  && echo "$said" | grep -q '"role": "leader", "state": "running"' \
  && [ "$(echo "$said" | grep -o '"state": "streaming"' | wc -l)" -eq 2 ]; do sleep 0.1; done"#;

/// Gives each image a second name, under which it outlives the stack.
const KEEP: &str = "docker images --format '{{.Repository}}:{{.Tag}}' | grep -v '^kept/' | while read -r image; do docker tag \"$image\" \"kept/$image\"; done";

/// Gives each kept image its name back.
const GIVE_BACK: &str = "docker images --format '{{.Repository}}:{{.Tag}}' | grep '^kept/' | while read -r image; do docker tag \"$image\" \"${image#kept/}\"; done";

fn main() -> Result<ExitCode, Failure> {
    if !benches::asked() {
        return Ok(ExitCode::SUCCESS);
    }
    let ours = Ours::ready()?;
    let hosts = Shells::of(&ours)?;
    hosts.on(&NODES, KEEP)?;
    hosts.on(&PROXIES, KEEP)?;
    let (mut by_hand, mut clusters, mut stacks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_hand.push(bootstrap(&hosts)?.as_secs_f64());
        clusters.push(first(&ours, &hosts, &["--target", CLUSTER])?.as_secs_f64());
        stacks.push(first(&ours, &hosts, &[])?.as_secs_f64());
    }
    let heading = format!("{ROUNDS} rounds in turn, images there, ms");
    let rows = [
        ("Patroni's own bootstrap of three nodes", by_hand.as_slice()),
        ("first up of the cluster", &clusters),
        ("first up of the whole stack", &stacks),
    ];
    print!("{}", table::spans(&heading, &rows));
    let ratio = |ups: Vec<f64>| benches::median(ups) / benches::median(by_hand.clone());
    let (cluster, stack) = (ratio(clusters), ratio(stacks));
    println!("ratio of the medians: {cluster:.2}, goal {GOAL}; of the whole stack {stack:.2}");
    Ok(ExitCode::SUCCESS)
}

/// Three nodes from empty directories to a cluster, started by hand.
fn bootstrap(hosts: &Shells) -> Result<Duration, Failure> {
    hosts.on(&NODES, EMPTY)?;
    let begun = Instant::now();
    hosts.on(&NODES, START)?;
    hosts.on(&NODES[..1], WHOLE)?;
    Ok(begun.elapsed())
}

/// The stack, or a part of it, from nothing but the images.
fn first(ours: &Ours, hosts: &Shells, part: &[&str]) -> Result<Duration, Failure> {
    ours.call(&["destroy"])?;
    hosts.on(&NODES, CLEAR)?;
    hosts.on(&NODES, GIVE_BACK)?;
    hosts.on(&PROXIES, GIVE_BACK)?;
    let begun = Instant::now();
    let said = ours.call(&[&["up"], part].concat())?;
    let elapsed = begun.elapsed();
    eprint!("{}", String::from_utf8_lossy(&said.stderr));
    Ok(elapsed)
}

/// A shell on each host, over the lab's own way in.
struct Shells {
    config: std::path::PathBuf,
}

impl Shells {
    fn of(ours: &Ours) -> Result<Self, Failure> {
        let directory = kbz_lab::lab_directory(&ours.folder.join(".kbz"), &"kbz".parse()?);
        let access = LabAccess::read(&directory)?.ok_or("the lab is gone")?;
        Ok(Self {
            config: access.ssh_config,
        })
    }

    /// Runs a script on some hosts at once; it must succeed on all.
    fn on(&self, hosts: &[&str], script: &str) -> Result<(), Failure> {
        let start = |host: &&str| {
            let mut ssh = Command::new("ssh");
            ssh.arg("-F").arg(&self.config).args([*host, script]);
            ssh.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
        };
        let begun: Result<Vec<_>, _> = hosts.iter().map(start).collect();
        for (mut running, host) in begun?.into_iter().zip(hosts) {
            if !running.wait()?.success() {
                return Err(format!("{host} cannot do what it is told").into());
            }
        }
        Ok(())
    }
}
