//! What must hold on the hosts, whatever happened to the operator.

use std::collections::{BTreeMap, BTreeSet};

use kbz_infra::ident::Digest;
use serde_json::Value;

use crate::operator::{DATABASES, HOSTS, Operator};

/// Every container of the stack is there once, and no other.
pub fn have_each_container_once(operator: &Operator) {
    for host in HOSTS {
        let wanted: &[&str] = if DATABASES.contains(&host) {
            &["patroni"]
        } else {
            &["haproxy", "pgbouncer"]
        };
        let said = operator.on(
            host,
            "docker ps --all --format '{{.Names}} {{.State}}' | sort",
        );
        let wanted: Vec<String> = wanted
            .iter()
            .map(|name| format!("{name} running"))
            .collect();
        let found: Vec<&str> = said.lines().collect();
        assert_eq!(found, wanted, "containers on {host}");
    }
}

/// The registries tell of known objects alone, each in its own place; and without the operator's
/// memory the same is found again.
pub fn agree_with_the_operator(operator: &Operator) {
    let known = known(operator);
    for (host, noted) in noted(operator) {
        let unknown: Vec<&String> = noted.difference(&known).collect();
        assert!(
            unknown.is_empty(),
            "{host} notes what nobody knows: {unknown:?}"
        );
    }
    let memory = operator.folder().join(".kbz/lab/keybuzz");
    std::fs::remove_dir_all(memory).expect("the operator's memory");
    operator.unchanged();
    assert_eq!(
        self::known(operator),
        known,
        "what is found without a memory"
    );
}

/// What the operator's memory holds.
fn known(operator: &Operator) -> BTreeSet<String> {
    let output = operator.run(&["state", "list"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().map(str::to_owned).collect()
}

/// What each host's registry holds.
fn noted(operator: &Operator) -> BTreeMap<&'static str, BTreeSet<String>> {
    const SCRIPT: &str = "cd /var/lib/kbz/keybuzz/objects && \
                          for file in *.json; do printf '%s ' $file; cat $file; done";
    let on_host = |host| {
        let said = operator.on(host, SCRIPT);
        let urns = said.lines().map(|line| {
            let (file, record) = line.split_once(' ').expect("a name and a record");
            let record: Value = serde_json::from_str(record).expect("a record is JSON");
            let urn = record["urn"]
                .as_str()
                .expect("the object's address")
                .to_owned();
            assert_eq!(
                file,
                format!("{}.json", Digest::of(&urn)),
                "{urn} on {host}"
            );
            urn
        });
        (host, urns.collect())
    };
    HOSTS.into_iter().map(on_host).collect()
}
