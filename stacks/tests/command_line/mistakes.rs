//! What a person is told who types, writes or holds something wrong: one clear error that names
//! the file, the line and the cure; nothing is lost, and nothing panics.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::folder::{Folder, code, said, told};

const STATE: &str = ".kbz/sim/keybuzz";

/// What is wrong, what makes it so, what is typed.
type Mistake = (&'static str, fn(&Folder), &'static [&'static str]);

fn nothing(_: &Folder) {}

fn brought_up(folder: &Folder) {
    let up = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&up), 0, "{}", said(&up));
}

fn with_credentials(folder: &Folder) {
    assert_eq!(code(&folder.run(&["outputs", "--env", "sim"])), 0);
}

/// Keeps a plan, and spoils it.
fn alter(folder: &Folder, right: &str, wrong: &str) {
    let kept = folder.run(&["preview", "--env", "sim", "--out", "plan"]);
    assert_eq!(code(&kept), 0, "{}", said(&kept));
    let plan = folder.read("plan");
    assert!(plan.contains(right), "{right}");
    folder.write("plan", plan.replacen(right, wrong, 1));
}

const UP_PLAN: &[&str] = &["up", "--env", "sim", "--plan", "plan"];
const PREVIEW: &[&str] = &["preview", "--env", "sim"];

const MISTAKES: &[Mistake] = &[
    (
        "an unknown environment",
        nothing,
        &["preview", "--env", "simm"],
    ),
    (
        "a folder that is not there",
        nothing,
        &["preview", "--stack-dir", "/nowhere"],
    ),
    ("an unknown command", nothing, &["previw"]),
    (
        "options against each other",
        nothing,
        &["preview", "--fail-fast"],
    ),
    (
        "no number of steps",
        nothing,
        &["up", "--env", "sim", "--parallel", "0"],
    ),
    (
        "an unknown format",
        nothing,
        &["graph", "--env", "sim", "--format", "png"],
    ),
    (
        "an unknown output",
        nothing,
        &["outputs", "database_ur", "--env", "sim"],
    ),
    (
        "an unknown resource",
        nothing,
        &["why", "container@db-master-01:patron", "--env", "sim"],
    ),
    (
        "a part of an address",
        nothing,
        &["why", "patroni.yml", "--env", "sim"],
    ),
    (
        "targets that are not there",
        nothing,
        &[
            "preview",
            "--env",
            "sim",
            "--target",
            "container@db-master-01:patron",
            "--target",
            "*@db-master-1:*",
            "--exclude",
            "haproxy@haproxy-03:haproxy-03",
        ],
    ),
    (
        "everything excluded",
        nothing,
        &[
            "up",
            "--env",
            "sim",
            "--target",
            "*@haproxy-01:*",
            "--exclude",
            "*",
        ],
    ),
    (
        "a plan and a target",
        nothing,
        &["up", "--env", "sim", "--plan", "plan", "--target", "*"],
    ),
    ("no plan", nothing, UP_PLAN),
    (
        "a plan that is none",
        |folder| folder.write("plan", "default = \"lab\"\n"),
        UP_PLAN,
    ),
    (
        "a plan of a later version",
        |folder| alter(folder, "\"kbz-plan\":1", "\"kbz-plan\":9"),
        UP_PLAN,
    ),
    (
        "a plan that was altered",
        |folder| alter(folder, "db-slave-01", "db-slave-02"),
        UP_PLAN,
    ),
    (
        "a plan of another stack",
        |folder| alter(folder, "\"stack\": \"keybuzz\"", "\"stack\": \"shop\""),
        UP_PLAN,
    ),
    (
        "a plan of another environment",
        |folder| alter(folder, "", ""),
        &["up", "--env", "lab", "--plan", "plan"],
    ),
    (
        "nothing remembered",
        nothing,
        &["state", "show", "file@a:/b", "--env", "sim"],
    ),
    (
        "no inventory",
        |folder| std::fs::remove_file(folder.path("servers.tsv")).expect("it is there"),
        PREVIEW,
    ),
    (
        "an inventory with a bad row",
        |folder| {
            let table = folder.read("servers.tsv");
            folder.write("servers.tsv", table.replace("10.0.0.121", "10.0.0.1210"));
        },
        PREVIEW,
    ),
    (
        "an inventory that is no UTF-8",
        |folder| folder.write("servers.tsv", b"HOSTNAME\tIP_PRIVEE\n\xff\n"),
        PREVIEW,
    ),
    (
        "pins with a tag that moves",
        |folder| {
            let pins = folder.read("versions.yaml");
            folder.write(
                "versions.yaml",
                pins.replace("haproxy: 2.8.5", "haproxy: latest"),
            );
        },
        PREVIEW,
    ),
    (
        "pins that are no YAML",
        |folder| folder.write("versions.yaml", "postgres: [16\n"),
        PREVIEW,
    ),
    (
        "an unknown key in kbz.toml",
        |folder| {
            let settings = folder.read("kbz.toml");
            folder.write(
                "kbz.toml",
                settings.replace("confirm = true", "confrim = true"),
            );
        },
        PREVIEW,
    ),
    (
        "a pace that is no time",
        |folder| {
            let settings = folder.read("kbz.toml");
            let sim = "kind = \"sim\"\n";
            folder.write(
                "kbz.toml",
                settings.replace(sim, "kind = \"sim\"\npace = \"fast\"\n"),
            );
        },
        PREVIEW,
    ),
    (
        "credentials that others can read",
        |folder| {
            with_credentials(folder);
            let path = folder.path("lab/credentials/postgres.env");
            std::fs::set_permissions(path, Permissions::from_mode(0o644)).expect("ours");
        },
        PREVIEW,
    ),
    (
        "credentials without a variable",
        |folder| {
            with_credentials(folder);
            let path = "lab/credentials/postgres.env";
            let kept = folder
                .read(path)
                .replace("POSTGRES_SUPERPASS", "POSTGRES_SUPERPAS");
            folder.write(path, kept);
        },
        PREVIEW,
    ),
    (
        "a snapshot of a later version",
        |folder| {
            brought_up(folder);
            let path = format!("{STATE}/snapshot.json");
            let newer = folder
                .read(&path)
                .replacen("\"schema\":2", "\"schema\":9", 1);
            folder.write(&path, newer);
        },
        PREVIEW,
    ),
    (
        "a damaged snapshot",
        |folder| {
            brought_up(folder);
            let path = format!("{STATE}/snapshot.json");
            let damaged = folder
                .read(&path)
                .replacen("db-master-01", "db-master-02", 1);
            folder.write(&path, damaged);
        },
        &["up", "--env", "sim"],
    ),
    (
        "a simulated world of a later version",
        |folder| {
            brought_up(folder);
            folder.write(&format!("{STATE}/world.json"), "{\"schema\":7}");
        },
        PREVIEW,
    ),
    (
        "a damaged simulated world",
        |folder| {
            brought_up(folder);
            folder.write(&format!("{STATE}/world.json"), "{\"schema\":1,");
        },
        &["up", "--env", "sim"],
    ),
    (
        "a state folder that is a file",
        |folder| folder.write(".kbz", "x"),
        &["up", "--env", "sim"],
    ),
    (
        "real hosts and nobody to ask",
        |folder| {
            let settings = folder.read("kbz.toml");
            folder.write(
                "kbz.toml",
                settings.replace("~/.ssh/config", "nowhere/ssh_config"),
            );
        },
        &["up", "--env", "production"],
    ),
    ("no Docker for a lab", nothing, &["up", "--env", "lab"]),
];

#[test]
fn every_mistake_is_told_in_one_piece_with_its_cure() {
    let mut all = String::new();
    for (what, spoil, words) in MISTAKES {
        let folder = Folder::new();
        spoil(&folder);
        let mut program = folder.program(words);
        // No engine is here, and no home of anybody's.
        program.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        program.env("HOME", folder.path("home"));
        let output = program.output().expect("the program starts");
        let said = said(&output);
        assert_ne!(code(&output), 0, "{what}: {said}");
        assert!(
            !said.contains("panicked") && !said.contains("RUST_BACKTRACE"),
            "{what}: {said}"
        );
        assert_eq!(told(&output), "", "{what}: results are for what went well");
        let text = said.replace(&*folder.path("").to_string_lossy(), "FOLDER/");
        let (code, text) = (code(&output), text.trim_end());
        write!(all, "## {what} [{code}]\n{text}\n\n").expect("a text takes everything");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("mistakes", all));
}

#[test]
fn a_state_that_another_run_holds_is_left_alone_and_one_that_a_dead_one_held_is_not() {
    let folder = Folder::new();
    brought_up(&folder);
    let lock = folder.path(&format!("{STATE}/lock"));
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&lock)
        .expect("a lock");
    file.lock().expect("nobody else holds it");
    let holder = format!(
        "{{\"host\":\"{}\",\"pid\":{},\"started\":\"2026-01-02T03:04:05Z\"}}\n",
        rustix::system::uname().nodename().to_string_lossy(),
        std::process::id()
    );
    folder.write(&format!("{STATE}/lock"), &holder);
    let held = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&held), 1);
    let pid = format!("pid {}", std::process::id());
    assert!(said(&held).contains(&pid), "{}", said(&held));
    assert!(
        said(&held).contains("2026-01-02 03:04:05"),
        "{}",
        said(&held)
    );
    // Looking needs no lock.
    assert_eq!(code(&folder.run(PREVIEW)), 0);

    // A holder that died leaves its text, and no lock.
    drop(file);
    folder.write(
        &format!("{STATE}/lock"),
        holder.replace(&pid[4..], "4194399"),
    );
    let next = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&next), 0, "{}", said(&next));
}

#[test]
fn a_disk_that_fills_up_ends_the_run_with_what_could_not_be_written_and_loses_nothing() {
    let folder = Folder::new();
    with_credentials(&folder);
    // A limit on the size of files is the full disk that needs no privileges.
    let program = folder.program(&["up", "--env", "sim"]);
    let mut limited = std::process::Command::new("bash");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(folder.path(""));
    let full = limited.output().expect("bash starts");
    assert_eq!(code(&full), 1, "{}", said(&full));
    assert!(said(&full).contains("File too large"), "{}", said(&full));
    assert!(!said(&full).contains("panicked"), "{}", said(&full));
    brought_up(&folder);
    let preview = folder.run(&["preview", "--env", "sim", "--detailed-exitcode"]);
    assert_eq!(code(&preview), 0, "{}", told(&preview));
}
