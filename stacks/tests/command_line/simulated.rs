//! The same program against modelled hosts: no Docker, no network.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::folder::{Folder, code, said, told};

#[test]
fn what_was_made_is_there_the_next_time_and_every_screen_says_that_it_is_simulated() {
    let folder = Folder::new();
    let first = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&first), 0, "{}", said(&first));
    assert!(said(&first).contains("✓ up · keybuzz · sim (simulated)"));

    let again = folder.run(&["up", "--env", "sim"]);
    assert!(said(&again).starts_with("✓ no changes"), "{}", said(&again));
    let preview = folder.run(&["preview", "--env", "sim", "--detailed-exitcode"]);
    assert_eq!(code(&preview), 0, "{}", told(&preview));
    for words in [
        &["preview"][..],
        &["doctor"],
        &["outputs"],
        &["why", "container@db-master-01:patroni"],
        &["state", "list"],
        &["graph"],
        &["render"],
        &["outputs", "--json"],
        &["destroy"],
    ] {
        let output = folder.run(&[words, &["--env", "sim"]].concat());
        assert_eq!(code(&output), 0, "{words:?}: {}", said(&output));
        let all = said(&output) + &told(&output);
        assert!(all.contains("simulated"), "{words:?}: {all}");
    }
    // The databases' data is still there, and nobody starts on it unasked.
    let leftover = folder.run(&["preview", "--env", "sim"]);
    assert_eq!(code(&leftover), 1, "{}", told(&leftover));
    let why = said(&leftover);
    assert!(why.contains("nobody remembers"), "{why}");
    assert!(why.contains("--adopt"), "{why}");
    let adopted = ["--adopt", "directory@db-*:/opt/keybuzz/postgres/*"];
    let gone = folder.run(&[&["preview", "--env", "sim"][..], &adopted].concat());
    assert_eq!(code(&gone), 0, "{}", said(&gone));
    assert!(told(&gone).contains("to create"), "{}", told(&gone));
}

#[test]
fn machines_read_one_json_value_a_line_and_whether_the_hosts_are_simulated() {
    let folder = Folder::new();
    for words in [
        &["preview"][..],
        &["up"],
        &["up"],
        &["doctor"],
        &["state", "list"],
    ] {
        let output = folder.run(&[words, &["--env", "sim", "--json"]].concat());
        assert_eq!(code(&output), 0, "{words:?}: {}", said(&output));
        let told = told(&output);
        let values: Vec<serde_json::Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        let first = values.first().expect("at least one value");
        if ["preview", "up"].contains(&words[0]) {
            assert_eq!(first["simulated"], true, "{first}");
            assert_eq!(first["schema"], 1, "{first}");
        }
    }
}

/// The codes of the warnings among lines, each of which is one JSON value.
fn warned(lines: &str) -> Vec<String> {
    let values = lines
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect(line) });
    let warnings =
        values.filter(|value| value["severity"] == "warning" || value["severity"] == "advice");
    let codes = warnings.map(|value| value["code"].as_str().expect("a code").to_owned());
    codes.collect()
}

#[test]
fn machines_are_warned_too_and_a_result_stays_one_value() {
    const MADE: &str = "kbz::credentials::generated";
    for (words, in_lines) in [
        (&["preview"][..], false),
        (&["drift"], false),
        (&["doctor"], true),
        (&["up", "--target", "sysctl@db-master-01:*"], true),
    ] {
        let folder = Folder::new();
        let output = folder.run(&[words, &["--env", "sim", "--json"]].concat());
        let told = told(&output);
        if in_lines {
            assert_eq!(warned(&told), [MADE], "{words:?}: {told}");
        } else {
            let value: Value = serde_json::from_str(&told).expect("one value");
            assert_eq!(value["warnings"][0]["code"], MADE, "{words:?}: {value}");
        }
    }
    let folder = Folder::new();
    let output = folder.run(&["outputs", "read_url", "--env", "sim", "--json"]);
    serde_json::from_str::<Value>(&told(&output)).expect("one value");
    let beside = said(&output);
    let beside = beside.lines().find(|line| line.starts_with('{'));
    assert_eq!(warned(beside.expect("a finding")), [MADE]);
}

#[test]
fn no_secret_is_in_the_folder_of_the_state() {
    let folder = Folder::new();
    assert_eq!(code(&folder.run(&["up", "--env", "sim"])), 0);
    let credentials = folder.read("lab/credentials/postgres.env");
    let secrets: Vec<&str> = credentials
        .lines()
        .filter(|line| line.contains("PASS=") || line.contains("KEY="))
        .filter_map(|line| Some(line.split_once('=')?.1.trim_matches(['\'', '"'])))
        .collect();
    assert!(secrets.len() > 3, "{}", credentials.len());
    for entry in std::fs::read_dir(folder.path(".kbz/sim/keybuzz")).expect("the state") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        for secret in &secrets {
            assert!(!text.contains(secret), "{} holds a secret", path.display());
        }
    }
}

#[test]
fn a_part_of_the_stack_is_made_changed_and_taken_away_by_itself() {
    let folder = Folder::new();
    let part = ["--env", "sim", "--target", "*@db-slave-01:*"];
    let preview = folder.run(&[&["preview"][..], &part].concat());
    assert_eq!(code(&preview), 0, "{}", said(&preview));
    assert!(
        told(&preview).contains("not chosen and left alone"),
        "{}",
        told(&preview)
    );
    let up = folder.run(&[&["up"][..], &part].concat());
    assert_eq!(code(&up), 0, "{}", said(&up));
    assert!(!said(&up).contains("postgresql://"), "{}", said(&up));
    let list = || told(&folder.run(&["state", "list", "--env", "sim"]));
    assert!(
        list().contains("container@db-slave-01:patroni"),
        "{}",
        list()
    );
    assert!(!list().contains("haproxy-02"), "{}", list());
    let again = folder.run(&[&["up"][..], &part].concat());
    assert!(said(&again).starts_with("✓ no changes"), "{}", said(&again));

    let pooler = "container@haproxy-02:pgbouncer";
    let rest = folder.run(&["up", "--env", "sim", "--exclude", pooler]);
    assert_eq!(code(&rest), 0, "{}", said(&rest));
    assert!(
        list().contains("container@haproxy-02:haproxy"),
        "{}",
        list()
    );
    assert!(!list().contains(pooler), "{}", list());
    let whole = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&whole), 0, "{}", said(&whole));
    assert!(said(&whole).contains("postgresql://"), "{}", said(&whole));

    let gone = folder.run(&["destroy", "--env", "sim", "--target", pooler]);
    assert_eq!(code(&gone), 0, "{}", said(&gone));
    assert!(!list().contains(pooler), "{}", list());
    assert!(
        list().contains("container@haproxy-02:haproxy"),
        "{}",
        list()
    );
    assert_eq!(code(&folder.run(&["up", "--env", "sim"])), 0);
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_a_reader_that_left_is_none() {
    let folder = Folder::new();
    for words in [
        &["outputs"][..],
        &["state", "list", "--json"],
        &["completions", "bash"],
    ] {
        let mut program = folder.program(&[words, &["--env", "sim"]].concat());
        let full = OpenOptions::new().write(true).open("/dev/full");
        let output = program.stdout(full.expect("a device")).output();
        let output = output.expect("the program starts");
        assert_eq!(code(&output), 1, "{words:?}: {}", said(&output));
        let why = said(&output);
        assert!(why.contains("could not be written"), "{words:?}: {why}");
    }
    let mut graph = folder.program(&["graph", "--env", "sim"]);
    graph.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut graph = graph.spawn().expect("the program starts");
    drop(graph.stdout.take());
    assert_eq!(ended(graph), Some(0));
}

/// A part of the stack that is made in a few steps.
const PART: [&str; 4] = ["--target", "sysctl@db-master-01:*", "--parallel", "1"];

#[test]
fn a_picture_of_the_times_that_cannot_be_written_is_told_before_the_run_and_spoils_no_run() {
    let folder = Folder::new();
    let part = [
        &["up", "--env", "sim", "--timings", "none/times.svg"],
        &PART[..],
    ]
    .concat();
    let before = folder.run(&part);
    assert_eq!(code(&before), 1, "{}", said(&before));
    assert!(said(&before).contains("kbz::timings"), "{}", said(&before));
    let nothing = told(&folder.run(&["state", "list", "--env", "sim"]));
    assert_eq!(nothing, "");

    folder.slow_down();
    std::fs::create_dir(folder.path("none")).expect("a folder");
    let mut up = folder.program(&part);
    let up = up.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut up = up.spawn().expect("the program starts");
    let mut lines = BufReader::new(up.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("✓ sysctl") {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).expect("text"),
            0,
            "a step is done"
        );
    }
    assert!(folder.path("none/times.svg").exists());
    std::fs::remove_dir_all(folder.path("none")).expect("a folder");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("kbz::timings"), "{rest}");
    assert_eq!(ended(up), Some(0), "{rest}");

    for words in [
        &["preview"][..],
        &["import", "x"],
        &["state", "list"],
        &["drift"],
    ] {
        let refused = folder.run(&[words, &["--timings", "times.svg"]].concat());
        assert_eq!(code(&refused), 2, "{words:?}: {}", said(&refused));
    }
}

/// Starts a slow `up` and waits until its first step is done.
fn started(folder: &Folder) -> Child {
    let mut child = folder
        .program(&["up", "--env", "sim", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
    let done = lines.any(|line| line.expect("text").contains("\"step-done\""));
    assert!(done, "a step is done");
    drop(lines);
    child
}

fn press(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::INT).expect("it runs");
}

fn ended(mut child: Child) -> Option<i32> {
    child.wait().expect("it ends").code()
}

#[test]
fn ctrl_c_once_finishes_what_runs_and_twice_leaves_and_the_next_up_goes_on() {
    let folder = Folder::new();
    folder.slow_down();
    let once = started(&folder);
    press(&once);
    assert_eq!(ended(once), Some(3));
    let left = folder.run(&["preview", "--env", "sim"]);
    assert!(!said(&left).contains("open"), "{}", said(&left));

    let twice = started(&folder);
    press(&twice);
    std::thread::sleep(Duration::from_millis(120));
    press(&twice);
    assert_eq!(ended(twice), Some(130));

    let mut killed = started(&folder);
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");

    let last = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&last), 0, "{}", said(&last));
    assert!(said(&last).contains("the last run ended without saying so"));
    let again = folder.run(&["preview", "--env", "sim", "--detailed-exitcode"]);
    assert_eq!(code(&again), 0, "{}", told(&again));
}
