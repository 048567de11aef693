//! Two operators at once: one works, the other is told.

use trials::{COLLEAGUE, HOSTS, Operator, both, hosts};

use crate::ground::{self, PATIENCE};
use crate::report::{Outcome, Report};

/// What an operator is told whose machine has another run.
const HELD: &str = "another run holds the state";

/// What an operator is told while another's run goes on.
const BUSY: &str = "is being changed by another run";

/// What an operator is told whom a newer run has overtaken.
const OVERTAKEN: &str = "newer run";

/// Lets the lease of a run be older than any that is held.
const LONG_AGO: &str = "touch -c -d '30 minutes ago' /var/lib/kbz/keybuzz/lease";

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

/// Whoever comes first works; the other is told, and has changed nothing.
fn on_two_machines(operator: &Operator) -> Outcome {
    const TIMES: usize = 3;
    for _ in 0..TIMES {
        unsettle(operator);
        let mut first = operator.begin(&["up"]);
        first.until("impact:", PATIENCE);
        first.until("✓ ", PATIENCE);
        let second = operator.run(&["--env", COLLEAGUE, "up"]);
        let said = both(&second);
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(said.contains(BUSY), "{said}");
        let (code, said) = first.end(PATIENCE);
        assert_eq!(code, Some(0), "{said}");
    }
    whole(operator, TIMES, "one works, the other is told")
}

/// A run that stands still holds the hosts for a while. When that is over another does its work,
/// and every host refuses the one that wakes.
fn wakes(operator: &Operator) -> Outcome {
    unsettle(operator);
    let mut first = operator.begin(&["up"]);
    first.until("impact:", PATIENCE);
    first.until("✓ ", PATIENCE);
    first.stop();
    let told = both(&operator.run(&["--env", COLLEAGUE, "up"]));
    assert!(told.contains(BUSY), "{told}");
    for host in HOSTS {
        operator.on(host, LONG_AGO);
    }
    operator.must(&["--env", COLLEAGUE, "up"]);
    first.go_on();
    let (code, said) = first.end(PATIENCE);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(OVERTAKEN), "{said}");
    whole(operator, 1, "the newer works, the older is refused")
}
