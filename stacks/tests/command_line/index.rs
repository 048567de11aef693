//! What is remembered: moved, forgotten, taken over, made anew.

use crate::folder::{Folder, run, told};

const SYSCTL: &str = "sysctl@db-master-01:vm.swappiness";

fn made() -> Folder {
    let folder = Folder::new();
    run(&folder, &["up"], 0);
    folder
}

fn list(folder: &Folder) -> String {
    told(&folder.run(&["state", "list", "--env", "sim"]))
}

#[test]
fn what_is_forgotten_can_be_imported_again() {
    let folder = made();
    let before = list(&folder);
    let forgotten = run(&folder, &["state", "rm", SYSCTL, "pg-role:kb_app"], 0);
    assert!(forgotten.contains("1 to forget"), "{forgotten}");
    assert!(!list(&folder).contains(SYSCTL));
    assert!(!list(&folder).contains("pg-role:kb_app"));
    run(&folder, &["import", SYSCTL, "pg-role:kb_app"], 0);
    assert_eq!(list(&folder), before);
    run(&folder, &["preview", "--detailed-exitcode"], 0);
}

#[test]
fn an_object_gets_another_address_only_where_it_is_declared_there_as_the_same_object() {
    let folder = made();
    let before = list(&folder);
    let other = "sysctl@db-master-01:vm.overcommit_memory";
    run(&folder, &["state", "rm", other], 0);
    for (from, to, why) in [
        (
            SYSCTL,
            "sysctl@db-master-01:renamed",
            "the program declares no",
        ),
        (
            SYSCTL,
            "sysctl@db-master-01:vm.overcomit_memory",
            "did you mean",
        ),
        (SYSCTL, other, "declared as another object"),
        (SYSCTL, "sysctl@db-slave-01:renamed", "stays on its host"),
        (
            SYSCTL,
            "container@db-master-01:patroni",
            "is remembered already",
        ),
        ("sysctl@db-master-01:vm.swapiness", SYSCTL, "did you mean"),
        (SYSCTL, "nonsense", "must read KIND@HOST:NAME"),
    ] {
        let refused = run(&folder, &["state", "mv", from, to], 1);
        assert!(refused.contains(why), "{from} {to}: {refused}");
    }
    run(&folder, &["import", other], 0);
    assert_eq!(list(&folder), before);
}

#[test]
fn a_state_that_is_damaged_or_lost_is_rebuilt_from_the_marks() {
    let folder = made();
    let before = list(&folder);
    let snapshot = ".kbz/sim/keybuzz/snapshot.json";
    folder.write(snapshot, "torn");
    let damaged = run(&folder, &["up"], 1);
    assert!(damaged.contains("`state rebuild`"), "{damaged}");
    let rebuilt = run(&folder, &["state", "rebuild"], 0);
    assert!(rebuilt.contains("snapshot.json.damaged-1"), "{rebuilt}");
    assert_eq!(list(&folder), before);
    run(&folder, &["preview", "--detailed-exitcode"], 0);
    assert!(run(&folder, &["up"], 0).contains("✓ no changes"));
    assert_eq!(
        folder.read(".kbz/sim/keybuzz/snapshot.json.damaged-1"),
        "torn"
    );
}

#[test]
fn a_slip_of_the_pen_changes_nothing() {
    let folder = made();
    let before = list(&folder);
    let unknown = run(&folder, &["state", "rm", SYSCTL, "file@db-9:/etc/x"], 1);
    assert!(unknown.contains("nothing is remembered of"), "{unknown}");
    let unknown = run(&folder, &["import", "file@db-9:/etc/x"], 1);
    assert!(unknown.contains("nothing that is declared"), "{unknown}");
    assert_eq!(list(&folder), before);
}
