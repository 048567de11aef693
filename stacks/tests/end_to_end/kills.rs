//! The operator's process killed in the middle of `up`, again and again, as `kill -9` does.
//! `cargo run -p trials -- kills` does it at every record of the journal.

use trials::{Load, Operator, hosts};

use crate::told;

/// After how many records of its own each `up` is killed: while hosts are prepared, images are
/// shipped, and units started.
const OF_A_DEPLOYMENT: [usize; 3] = [4, 45, 140];

/// The same on the way through a cluster: the configuration, a member's restart, a gate.
const OF_A_ROLL: [usize; 4] = [3, 6, 9, 14];

/// From nothing to a whole system, by an operator who dies on the way.
pub(crate) fn of_the_first_up(operator: &Operator) {
    let killed = kill(operator, &OF_A_DEPLOYMENT);
    assert_eq!(killed, OF_A_DEPLOYMENT.len(), "a deployment lasts");
    operator.must(&["up"]);
    hosts::have_each_container_once(operator);
}

/// A restart of every member, by an operator who dies on the way.
pub(crate) fn of_a_roll(operator: &Operator) {
    operator.set_parameters(&[("work_mem", "7MB"), ("max_connections", "210")]);
    let load = Load::begin(operator, 20);
    let killed = kill(operator, &OF_A_ROLL);
    assert!(killed > 0, "a roll lasts");
    operator.must(&["up"]);
    told("roll, its operator killed", load.end(operator));
    operator.settled();
    operator.unchanged();
    hosts::have_each_container_once(operator);
    hosts::agree_with_the_operator(operator);
}

/// How many `up`s were killed; the others had nothing left to do.
fn kill(operator: &Operator, after: &[usize]) -> usize {
    let killed = after
        .iter()
        .filter(|records| operator.up_killed_after(**records));
    killed.count()
}
