//! Two operators at once: one works, the other is told.

use trials::{COLLEAGUE, Operator, both, hosts};

use crate::ground::{self, PATIENCE};
use crate::report::{Outcome, Report};

/// What an operator is told whose machine has another run.
const HELD: &str = "another run holds the state";

/// What an operator is told whom a newer run has overtaken.
const OVERTAKEN: &str = "newer run";

/// Carries all out.
pub(crate) fn carry_out(operator: &Operator, report: &mut Report) {
    report.trial("two operators, one machine", || on_one_machine(operator));
    report.trial("two operators, two machines", || on_two_machines(operator));
    report.trial("two operators, one stands still and wakes", || {
        wakes(operator)
    });
}

/// Work that lasts on one host, and a little on the other.
fn unsettle(operator: &Operator) {
    ground::take_image_away(operator);
    operator.on("haproxy-01", "echo '# by hand' >> /etc/haproxy/haproxy.cfg");
}

fn whole(operator: &Operator, times: usize, ended: &str) -> Outcome {
    operator.settled();
    operator.unchanged();
    operator.must(&["--env", COLLEAGUE, "preview", "--detailed-exitcode"]);
    hosts::have_each_container_once(operator);
    Outcome {
        times,
        ended: ended.to_owned(),
        written: None,
    }
}

/// The second is told who works; the first works on.
fn on_one_machine(operator: &Operator) -> Outcome {
    const TIMES: usize = 5;
    unsettle(operator);
    let mut first = operator.begin(&["up"]);
    first.until("impact:", PATIENCE);
    for _ in 0..TIMES {
        let second = operator.run(&["up"]);
        let said = both(&second);
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(said.contains(HELD), "{said}");
    }
    let (code, said) = first.end(PATIENCE);
    assert_eq!(code, Some(0), "{said}");
    whole(operator, TIMES, "the first works, the second is told")
}

/// Whoever comes later works; the other is told, and has broken nothing.
fn on_two_machines(operator: &Operator) -> Outcome {
    const TIMES: usize = 3;
    for _ in 0..TIMES {
        unsettle(operator);
        let mut first = operator.begin(&["up"]);
        first.until("impact:", PATIENCE);
        let second = operator.begin(&["--env", COLLEAGUE, "up"]);
        let ends = [second.end(PATIENCE), first.end(PATIENCE)];
        for (code, said) in &ends {
            assert!(*code == Some(0) || said.contains(OVERTAKEN), "{said}");
        }
        let works = ends.iter().any(|(code, _)| *code == Some(0));
        assert!(works, "neither works:\n{}\n{}", ends[0].1, ends[1].1);
        operator.must(&["up"]);
    }
    whole(operator, TIMES, "one works, the other is told")
}

/// A run that stood still while another did its work is refused by every host.
fn wakes(operator: &Operator) -> Outcome {
    unsettle(operator);
    let mut first = operator.begin(&["up"]);
    first.until("impact:", PATIENCE);
    first.stop();
    operator.must(&["--env", COLLEAGUE, "up"]);
    first.go_on();
    let (code, said) = first.end(PATIENCE);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(OVERTAKEN), "{said}");
    whole(operator, 1, "the newer works, the older is refused")
}
