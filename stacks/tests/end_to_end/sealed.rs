//! What must not get out: secrets, and packets.

use std::path::{Path, PathBuf};

use trials::{HOSTS, Operator, both};

/// No password stands where somebody may read it, and no host has a way out.
pub(crate) fn holds(operator: &Operator) {
    keeps_its_secrets(operator);
    has_no_way_out(operator);
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
        files_below(&operator.folder().join(".kbz/lab")),
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
