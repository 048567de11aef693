//! No password in anything that any command writes: not on a screen, not in a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::drift::by_hand;
use crate::folder::{Folder, code, said, told};

/// Where the passwords are, and may be.
const CREDENTIALS: &str = "lab/credentials/postgres.env";

/// A file of which parts are passwords.
const CONFIG: &str = "/etc/patroni/patroni.yml";

/// Every command with the exit code that it has, in an order in which each has something to do.
/// Two end with 1 here: a state in a folder needs no `unlock`, and no engine tells of a lab.
const COMMANDS: &[(&[&str], i32)] = &[
    (&["preview"], 0),
    (&["preview", "--contents", "--expand"], 0),
    (
        &["preview", "--detailed-exitcode", "--out", "first.plan"],
        2,
    ),
    (&["up", "--plan", "first.plan", "--timings", "times.svg"], 0),
    (&["up"], 0),
    (&["outputs"], 0),
    (&["graph"], 0),
    (&["graph", "--format", "svg"], 0),
    (&["render", "--out", "rendered"], 0),
    (&["why", "container@db-master-01:patroni"], 0),
    (&["why", "pg-role:kb_app"], 0),
    (&["doctor"], 0),
    (&["state", "list"], 0),
    (
        &[
            "state",
            "show",
            "file@db-master-01:/etc/patroni/patroni.yml",
        ],
        0,
    ),
    (&["state", "show", "pg-role:kb_app"], 0),
    (&["state", "mv", "pg-role:kb_app", "pg-role:other"], 1),
    (&["state", "rm", "pg-role:kb_app"], 0),
    (&["import", "pg-role:kb_app"], 0),
    (&["state", "unlock"], 1),
    (&["state", "rebuild"], 0),
    (&["drift", "--detailed-exitcode"], 2),
    (&["drift", "--revert"], 0),
    (&["drift", "--adopt", "--print"], 0),
    (&["completions", "bash"], 0),
    (&["lab", "status"], 1),
    (&["destroy", "--parallel", "8"], 0),
    (&["preview", "--adopt", "*"], 0),
];

/// What must be nowhere else: the passwords, and the key of the hashes in the state.
fn canaries(folder: &Folder) -> Vec<String> {
    let text = folder.read(CREDENTIALS);
    let assigned = text.lines().filter_map(|line| line.split_once('='));
    let secret = |name: &str| name.contains("PASS") || name.ends_with("KEY");
    let secrets = assigned.filter(|(name, _)| !name.starts_with('#') && secret(name));
    let values = secrets.map(|(_, value)| value.trim_matches(['\'', '"']).to_owned());
    let values: Vec<String> = values.collect();
    assert_eq!(values.len(), 9, "the passwords of the file, and the key");
    assert!(values.iter().all(|value| value.len() > 8), "they are long");
    values
}

/// A hand changes a file with passwords and a setting, so that there is drift to be told.
fn spoil(folder: &Folder) {
    by_hand(folder, |world| {
        let host = &mut world["hosts"]["db-master-01"];
        host["kernel"]["set"]["vm.swappiness"] = "77".into();
        let file = &mut host["files"][CONFIG]["File"]["ownership"];
        assert!(file["mode"].is_number(), "{file}");
        file["mode"] = 0o644.into();
    });
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

/// Runs every command, each with `more` words; nothing that one writes holds a secret.
fn sealed(more: &[&str]) {
    let folder = Folder::new();
    let mut canaries: Vec<String> = Vec::new();
    for (words, expected) in COMMANDS {
        if words[0] == "drift" {
            spoil(&folder);
        }
        let words = [&["--env", "sim"][..], words, more].concat();
        let mut program = folder.program(&words);
        program.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        let output = program.output().expect("the program starts");
        if canaries.is_empty() {
            canaries = self::canaries(&folder);
        }
        let written = said(&output) + &told(&output);
        assert_eq!(code(&output), *expected, "{words:?}: {written}");
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
    let mut paths = Vec::new();
    files(&folder.path("."), &mut paths);
    for made in ["first.plan", "times.svg", "patroni.yml", "snapshot.json"] {
        let is_there = paths.iter().any(|path| path.ends_with(made));
        assert!(is_there, "{made} is not among {paths:?}");
    }
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

#[test]
fn no_command_writes_a_password() {
    sealed(&[]);
}

#[test]
fn no_command_writes_a_password_for_machines() {
    sealed(&["--json"]);
}

/// This stack offers addresses without passwords: there is none to be shown, even on demand.
#[test]
fn what_is_offered_holds_no_password() {
    let folder = Folder::new();
    for words in [&["outputs"][..], &["outputs", "--show-secrets"]] {
        let output = folder.run(&[words, &["--env", "sim"]].concat());
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert!(told(&output).contains("postgresql://kb_app@"));
        for canary in canaries(&folder) {
            assert!(!told(&output).contains(&canary), "{words:?}");
        }
    }
}

#[test]
fn every_command_is_among_them() {
    let folder = Folder::new();
    let commands = COMMANDS.iter().map(|(words, _)| words);
    let tried: BTreeSet<&str> = commands.clone().map(|words| words[0]).collect();
    let tried_of_state = commands.filter(|words| words[0] == "state");
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
