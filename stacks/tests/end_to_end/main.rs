//! The whole way on real hosts: from an empty machine to a cluster that survives hands, changes
//! and the loss of its leader, and back to an empty machine.
//!
//! One test in one lab, in the order in which an operator would do it. The private network
//! exists once on a machine, so the lab `kbz` of this machine is taken over and removed.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test prepares its own world and tells what it measured"
)]

mod change;
mod drift;
mod forgotten;
mod kills;
mod outage;
mod sealed;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use trials::{Load, Operator, Program, Written, both};

/// A part of the way.
type Stage = fn(&Operator);

#[test]
fn from_nothing_to_a_cluster_that_survives_and_back_to_nothing() {
    assert!(
        Command::new("docker")
            .arg("info")
            .output()
            .is_ok_and(|output| output.status.success()),
        "no Docker Engine answers: install Docker and start it, these tests need it"
    );
    let program = Program::at(env!("CARGO_BIN_EXE_keybuzz"));
    let operator = Operator::new(program, Path::new(env!("CARGO_MANIFEST_DIR")));
    let stages: [(&str, Stage); 14] = [
        ("first up, killed on its way", kills::of_the_first_up),
        ("no changes", Operator::unchanged),
        ("serves", serves),
        ("keeps its secrets, has no way out", sealed::holds),
        ("forgotten", forgotten::is_found_by_its_mark),
        ("drift", drift::is_seen_and_repaired),
        ("drift that may stay", drift::is_adopted),
        ("a change that reloads", change::that_reloads),
        ("a change that rolls", change::that_rolls),
        ("another image", change::of_the_image),
        ("a roll, killed on its way", kills::of_a_roll),
        ("a host paused during up", outage::of_a_host_during_up),
        ("the leader killed", outage::of_the_leader),
        ("destroy", leaves_nothing_behind),
    ];
    for (name, stage) in stages {
        let begun = Instant::now();
        stage(&operator);
        println!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
}

/// Tells what became of the writes; nothing acknowledged may be lost.
fn told(disturbance: &str, written: Written) -> Written {
    println!("{disturbance}: {written}");
    assert_eq!(written.lost, [0_i64; 0], "acknowledged writes were lost");
    written
}

fn serves(operator: &Operator) {
    assert_eq!(operator.sql(5432, "SELECT pg_is_in_recovery()"), "f");
    assert_eq!(operator.sql(5433, "SELECT pg_is_in_recovery()"), "t");
    assert_eq!(operator.sql(6432, "SELECT '[1,2]'::vector"), "[1,2]");
    Load::prepare(operator);
    let output = operator.run(&["outputs", "database_url"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "postgresql://kb_app@10.0.0.10:6432/keybuzz\n"
    );
    let checked = operator.run(&["doctor"]);
    assert!(checked.status.success(), "{}", both(&checked));
}

fn leaves_nothing_behind(operator: &Operator) {
    operator.must(&["destroy", "--yes"]);
    let containers = operator.on("db-master-01", "docker ps -aq; ls /etc/patroni 2>&1; true");
    assert!(containers.contains("No such file"), "{containers}");
    operator.must(&["lab", "down"]);
    for kind in ["ps -a", "network ls", "volume ls"] {
        let mut command = Command::new("docker");
        command
            .args(kind.split(' '))
            .args(["--quiet", "--filter", "label=kbz.lab=kbz"]);
        let left = command.output().expect("docker");
        assert!(
            left.stdout.is_empty(),
            "{kind}: {}",
            String::from_utf8_lossy(&left.stdout)
        );
    }
}
