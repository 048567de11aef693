//! No password in anything that any command writes: not on a screen, not in a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::folder::{Folder, said, told};

/// Where the passwords are, and may be.
const CREDENTIALS: &str = "lab/credentials/postgres.env";

/// Every command, plainly and for machines, in an order in which each has something to do.
const COMMANDS: [&[&str]; 26] = [
    &["preview"],
    &["preview", "--detailed-exitcode", "--out", "first.plan"],
    &["up", "--plan", "first.plan", "--timings", "times.svg"],
    &["up"],
    &["outputs"],
    &["graph"],
    &["graph", "--format", "mermaid"],
    &["render", "rendered"],
    &["why", "container@db-master-01:patroni"],
    &["why", "role:kb_app"],
    &["doctor"],
    &["state", "list"],
    &[
        "state",
        "show",
        "file@db-master-01:/etc/patroni/patroni.yml",
    ],
    &["state", "show", "role:kb_app"],
    &["state", "mv", "role:kb_app", "role:other"],
    &["state", "rm", "role:other"],
    &["state", "unlock"],
    &["state", "rebuild"],
    &["import", "role:kb_app"],
    &["drift"],
    &["drift", "--revert"],
    &["drift", "--adopt", "--print"],
    &["completions", "bash"],
    &["lab", "status"],
    &["destroy", "--parallel", "1"],
    &["preview", "--adopt", "*"],
];

/// The passwords, and what shows them in another form.
fn canaries(folder: &Folder) -> Vec<String> {
    let text = folder.read(CREDENTIALS);
    let assigned = text.lines().filter_map(|line| line.split_once('='));
    let passwords = assigned.filter(|(name, _)| name.contains("PASS") && !name.starts_with('#'));
    let values = passwords.map(|(_, value)| value.trim_matches(['\'', '"']).to_owned());
    let values: Vec<String> = values.filter(|value| value.len() > 8).collect();
    assert!(values.len() >= 4, "the credentials hold passwords");
    values
}

/// Every file below a folder but the credentials.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with(CREDENTIALS) {
            found.push(path);
        }
    }
}

#[test]
fn no_command_writes_a_password() {
    let folder = Folder::new();
    let mut canaries: Vec<String> = Vec::new();
    for words in COMMANDS {
        for json in [&[][..], &["--json"]] {
            let words = [&["--env", "sim"][..], words, json].concat();
            let output = folder.run(&words);
            if canaries.is_empty() {
                canaries = self::canaries(&folder);
            }
            let written = said(&output) + &told(&output);
            for canary in &canaries {
                assert!(
                    !written.contains(canary.as_str()),
                    "{words:?} writes a password"
                );
            }
            assert!(
                !written.contains("SCRAM-SHA-256$"),
                "{words:?} writes a verifier"
            );
            assert!(!written.contains("panicked"), "{words:?}: {written}");
        }
    }
    let mut paths = Vec::new();
    files(&folder.path("."), &mut paths);
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let bytes = std::fs::read(&path).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        for canary in &canaries {
            assert!(
                !text.contains(canary.as_str()),
                "{} holds a password",
                path.display()
            );
        }
    }
}

/// The only way to see one is to ask for it.
#[test]
fn a_password_is_shown_to_who_asks_for_it() {
    let folder = Folder::new();
    let asked = folder.run(&["outputs", "--show-secrets", "--env", "sim"]);
    let plain = folder.run(&["outputs", "--env", "sim"]);
    for canary in canaries(&folder) {
        assert!(!told(&plain).contains(&canary));
    }
    assert!(asked.status.success(), "{}", said(&asked));
}

#[test]
fn every_command_is_among_them() {
    let folder = Folder::new();
    let tried: BTreeSet<&str> = COMMANDS.iter().map(|words| words[0]).collect();
    let tried_of_state = COMMANDS.iter().filter(|words| words[0] == "state");
    let tried_of_state: BTreeSet<&str> = tried_of_state.map(|words| words[1]).collect();
    for (help, tried) in [
        (folder.run(&["--help"]), tried),
        (folder.run(&["state", "--help"]), tried_of_state),
    ] {
        let help = told(&help);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let listed = listed.take_while(|line| !line.is_empty());
        let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names: BTreeSet<&str> = names
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(names, tried);
    }
}
