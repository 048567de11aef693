//! Plans in files: kept by one command, carried out by another.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::folder::{Folder, code, said, told};

const OUT: &[&str] = &["preview", "--env", "sim", "--out", "plan"];
const UP: &[&str] = &["up", "--env", "sim"];
const UP_PLAN: &[&str] = &["up", "--env", "sim", "--plan", "plan"];

fn ran(folder: &Folder, words: &[&str]) -> Output {
    let output = folder.run(words);
    assert_eq!(code(&output), 0, "{words:?}: {}", said(&output));
    output
}

/// Sets a parameter of PostgreSQL.
pub(crate) fn tune(folder: &Folder, work_mem: &str) {
    let settings = folder.read("kbz.toml");
    let table = "[environments.sim.postgresql]\n";
    let before = settings.split(table).next().expect("a text");
    folder.write(
        "kbz.toml",
        format!("{before}{table}work_mem = \"{work_mem}\"\n"),
    );
}

fn pending(folder: &Folder) -> bool {
    let preview = folder.run(&["preview", "--env", "sim", "--detailed-exitcode"]);
    code(&preview) == 2
}

#[test]
fn a_plan_is_carried_out_as_it_was_kept_whatever_the_program_says_by_then() {
    let folder = Folder::new();
    let kept = ran(&folder, OUT);
    assert!(said(&kept).contains("`up --plan plan`"), "{}", said(&kept));
    let mode = std::fs::metadata(folder.path("plan"))
        .expect("a plan")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    tune(&folder, "8MB");
    let up = ran(&folder, UP_PLAN);
    assert!(said(&up).contains("✓ up"), "{}", said(&up));
    assert!(pending(&folder), "the parameter was not in the plan");
    ran(&folder, UP);
    assert!(!pending(&folder));
}

#[test]
fn a_plan_holds_no_secret() {
    let folder = Folder::new();
    ran(&folder, OUT);
    let plan = folder.read("plan");
    let credentials = folder.read("lab/credentials/postgres.env");
    let secrets = credentials
        .lines()
        .filter(|line| line.contains("PASS=") || line.contains("KEY="))
        .filter_map(|line| Some(line.split_once('=')?.1.trim_matches(['\'', '"'])));
    let secrets: Vec<&str> = secrets.collect();
    assert!(secrets.len() > 3, "{}", credentials.len());
    assert!(secrets.iter().all(|secret| !plan.contains(secret)));
}

#[test]
fn what_has_moved_since_is_refused_and_the_rest_is_done() {
    let folder = Folder::new();
    ran(&folder, UP);
    tune(&folder, "8MB");
    ran(&folder, OUT);
    tune(&folder, "16MB");
    ran(&folder, UP);
    let moved = folder.run(UP_PLAN);
    assert_eq!(code(&moved), 1, "{}", said(&moved));
    let said = said(&moved);
    assert!(
        said.contains("is not as it was when the plan was made"),
        "{said}"
    );
    assert!(said.contains("preview again"), "{said}");
    let now = ran(&folder, &["preview", "--env", "sim", "--detailed-exitcode"]);
    assert!(told(&now).starts_with("✓ no changes"), "{}", told(&now));
}

#[test]
fn a_plan_goes_on_where_a_part_of_it_has_been_done() {
    let folder = Folder::new();
    ran(&folder, OUT);
    ran(&folder, &[UP, &["--target", "*@haproxy-01:/*"]].concat());
    let rest = folder.run(UP_PLAN);
    let made = said(&rest);
    assert!(
        !made.contains("file /etc/haproxy/haproxy.cfg on haproxy-01"),
        "{made}"
    );
    // What it could not tell is left to the next `up`, which finds the rest done.
    ran(&folder, UP);
    assert!(!pending(&folder));
}
