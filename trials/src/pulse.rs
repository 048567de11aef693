//! What runs on the hosts, and since when: two looks tell what was disturbed between them.

use std::collections::{BTreeMap, BTreeSet};

use trials::{DATABASES, HOSTS, Operator};

/// What runs, by host and name, each with what changes when it starts anew.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: BTreeMap<(&'static str, String), String>,
    leader: String,
}

/// A line for each container, unit and server: its name, and what changes when it starts anew.
const SCRIPT: &str = r#"
for name in $(docker ps --all --format '{{.Names}}'); do
    echo "container $name $(docker inspect -f '{{.Id}} {{.State.StartedAt}}' $name)"
done
for unit in patroni-docker haproxy-docker pgbouncer-docker trial-0 trial-1 trial-2; do
    echo "unit $unit $(systemctl show -p ActiveEnterTimestampMonotonic --value $unit.service)"
done
"#;

/// The same for the server of a database's host.
const SERVER: &str = "SELECT pg_postmaster_start_time()";

impl Pulse {
    /// What runs now.
    pub(crate) fn of(operator: &Operator) -> Self {
        let (leader, beats) = std::thread::scope(|scope| {
            let leader = scope.spawn(|| operator.leader());
            let looks = HOSTS.map(|host| scope.spawn(move || look(operator, host)));
            let looks = looks.map(|look| look.join().expect("a host answers"));
            let leader = leader.join().expect("somebody leads");
            (leader, looks.into_iter().flatten().collect())
        });
        Self { beats, leader }
    }

    /// The hosts on which something that ran before was started anew or ended.
    pub(crate) fn disturbed(&self, before: &Self) -> BTreeSet<&'static str> {
        let changed = before.beats.iter().filter(|(name, beat)| {
            // What did not run cannot be disturbed.
            !beat.is_empty() && beat.as_str() != "0" && self.beats.get(*name) != Some(*beat)
        });
        changed.map(|((host, _), _)| *host).collect()
    }

    /// Whether another host leads now.
    pub(crate) fn leads_elsewhere(&self, before: &Self) -> bool {
        self.leader != before.leader
    }
}

fn look(operator: &Operator, host: &'static str) -> Vec<((&'static str, String), String)> {
    let said = operator.on(host, SCRIPT);
    let mut beats: Vec<((&'static str, String), String)> = Vec::new();
    for line in said.lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let name = format!("{} {}", word(), word());
        beats.push(((host, name), word().to_owned()));
    }
    if DATABASES.contains(&host) {
        let since = operator.superuser(host, SERVER);
        beats.push(((host, "server".to_owned()), since));
    }
    beats
}
