//! What can break while `up` works: hosts, network, engine, disk, bastion, load balancer, clock,
//! leader. Under a load of writes each time; the next `up` finds or makes everything whole.

use std::time::Duration;

use serde_json::json;
use trials::{Balancer, Load, Operator, hosts};

use crate::ground::{self, PATIENCE};
use crate::report::{Outcome, Report};

/// The proxy that is broken, and the one that is not.
const BROKEN: &str = "haproxy-02";
const OTHER: &str = "haproxy-01";
/// The way in.
const BASTION: &str = "install-01";

/// Said when the other proxy has been repaired, while the image is under way.
const UNDER_WAY: &str = "✓ file@haproxy-01:/etc/haproxy/haproxy.cfg";
/// Said when the first member of a roll has been restarted.
const IN_MID_ROLL: &str = "✓ member-restart:";

/// How long a leader is away: another is elected meanwhile.
const AWAY: Duration = Duration::from_secs(45);

/// How long a disk stays full: the member is to restart meanwhile.
const FULL: Duration = Duration::from_secs(30);

/// What `up` is busy with when it is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// An image is shipped to one proxy, a file of the other put right.
    Ship,
    /// Every member of the cluster restarts in its turn.
    Roll,
    /// A target and a service come back to the load balancer.
    Balance,
}

/// How the `up` that is struck may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It does all that it was to do.
    Whole,
    /// It says what failed.
    Failed,
    /// Either: it depends on what the cluster does first.
    Any,
}

/// One way in which something breaks.
struct Fault {
    kind: &'static str,
    work: Work,
    /// Breaks something, while `up` is at work or, for the load balancer and the clock, before.
    strike: fn(&Operator),
    mend: fn(&Operator),
    end: End,
    /// What the `up` that was struck must say.
    says: &'static str,
}

const fn fault(
    kind: &'static str,
    work: Work,
    strike: fn(&Operator),
    mend: fn(&Operator),
) -> Fault {
    Fault {
        kind,
        work,
        strike,
        mend,
        end: End::Failed,
        says: BROKEN,
    }
}

static FAULTS: [Fault; 12] = [
    fault(
        "host paused",
        Work::Ship,
        |operator| operator.fault(BROKEN, &["pause"]),
        |operator| operator.fault(BROKEN, &["unpause"]),
    ),
    fault(
        "host killed",
        Work::Ship,
        |operator| operator.fault(BROKEN, &["kill"]),
        |operator| operator.fault(BROKEN, &["start"]),
    ),
    fault(
        "network cut",
        Work::Ship,
        |operator| operator.fault(BROKEN, &["disconnect"]),
        |operator| operator.fault(BROKEN, &["connect"]),
    ),
    fault(
        "dockerd stopped",
        Work::Ship,
        |operator| drop(operator.on(BROKEN, "systemctl stop docker.socket docker.service")),
        |operator| drop(operator.on(BROKEN, "systemctl start docker.socket docker.service")),
    ),
    fault(
        "SSH stalled",
        Work::Ship,
        |operator| operator.fault(BROKEN, &["drop", "--peer", BASTION]),
        |operator| operator.fault(BROKEN, &["undrop"]),
    ),
    Fault {
        says: "",
        ..fault(
            "bastion gone",
            Work::Ship,
            |operator| operator.fault(BASTION, &["kill"]),
            |operator| operator.fault(BASTION, &["start"]),
        )
    },
    Fault {
        end: End::Any,
        says: "",
        ..fault(
            "disk full for a while, on a member in mid-roll",
            Work::Roll,
            |operator| {
                let next = operator.replicas()[0];
                operator.fault(next, &["fill-disk"]);
                std::thread::sleep(FULL);
                operator.fault(next, &["free-disk"]);
            },
            |_| {},
        )
    },
    Fault {
        end: End::Any,
        says: "",
        ..fault(
            "leader lost for a while, in mid-roll",
            Work::Roll,
            |operator| {
                let leader = operator.leader();
                operator.fault(&leader, &["kill"]);
                std::thread::sleep(AWAY);
                operator.fault(&leader, &["start"]);
            },
            |_| {},
        )
    },
    Fault {
        end: End::Whole,
        says: "",
        ..fault(
            "load balancer API 429",
            Work::Balance,
            |operator| refuse(operator, "status", 429),
            |_| {},
        )
    },
    Fault {
        end: End::Any,
        says: "",
        ..fault(
            "load balancer API 500",
            Work::Balance,
            |operator| refuse(operator, "status", 500),
            |_| {},
        )
    },
    Fault {
        end: End::Any,
        says: "",
        ..fault(
            "load balancer API 500, done all the same",
            Work::Balance,
            |operator| refuse(operator, "lost_answer", 500),
            |_| {},
        )
    },
    Fault {
        says: "s away, at most",
        ..fault(
            "clock jump, refused before any change",
            Work::Balance,
            // All hosts of a lab have one clock; what `up` reads of it can be another.
            |operator| drop(operator.on(BROKEN, SHIFTED)),
            |operator| drop(operator.on(BROKEN, "rm /usr/local/bin/date")),
        )
    },
];

/// A `date` that is a minute ahead.
const SHIFTED: &str = "printf '#!/bin/sh\\nexec /bin/date -d \"1 minute\" \"$@\"\\n' \
                       >/usr/local/bin/date && chmod 755 /usr/local/bin/date";

/// The API refuses the next change.
fn refuse(operator: &Operator, kind: &str, status: u16) {
    let order = json!({"kind": kind, "status": status, "method": "POST"});
    Balancer::of(operator).order(&order);
}

/// Carries out those whose name contains `only`.
pub(crate) fn carry_out(operator: &Operator, only: &str, report: &mut Report) {
    let chosen = FAULTS.iter().filter(|fault| fault.kind.contains(only));
    for (connections, fault) in (221..).zip(chosen) {
        report.trial(fault.kind, || fault.befall(operator, connections));
    }
}

impl Fault {
    fn befall(&self, operator: &Operator, connections: u32) -> Outcome {
        let load = Load::begin(operator, 20);
        let (code, said) = self.struck(operator, connections);
        (self.mend)(operator);
        match self.end {
            End::Whole => assert_eq!(code, Some(0), "{said}"),
            End::Failed => assert_eq!(code, Some(1), "{said}"),
            End::Any => assert!(matches!(code, Some(0 | 1)), "{said}"),
        }
        assert!(
            said.contains(self.says),
            "`{}` is not in:\n{said}",
            self.says
        );
        if self.work == Work::Balance {
            assert_eq!(Balancer::of(operator).unspent(), 0, "ordered and not met");
        }
        operator.must(&["up"]);
        operator.settled();
        operator.unchanged();
        let written = load.end(operator);
        hosts::have_each_container_once(operator);
        Balancer::of(operator).is_whole();
        let ended = if code == Some(0) {
            "done all the same"
        } else {
            "told, then converged"
        };
        Outcome {
            times: 1,
            ended: ended.to_owned(),
            written: Some(written),
        }
    }

    /// The end of an `up` that meets the fault.
    fn struck(&self, operator: &Operator, connections: u32) -> (Option<i32>, String) {
        let under_way = match self.work {
            Work::Balance => {
                Balancer::of(operator).bend();
                (self.strike)(operator);
                return operator.begin(&["up"]).end(PATIENCE);
            }
            Work::Ship => {
                ground::take_image_away(operator);
                operator.on(OTHER, "echo '# by hand' >> /etc/haproxy/haproxy.cfg");
                UNDER_WAY
            }
            Work::Roll => {
                let connections = connections.to_string();
                operator.set_parameters(&[("max_connections", &connections)]);
                IN_MID_ROLL
            }
        };
        let mut up = operator.begin(&["up"]);
        up.until(under_way, PATIENCE);
        (self.strike)(operator);
        up.end(PATIENCE)
    }
}
