//! Plans for tests, each step in a line, of one group of three members.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::{Action, Condition, Effect, Gate};
use crate::ident::{HostName, StackName, Urn};
use crate::plan::{Outcome, Plan, Step, StepId};
use crate::probe::{self, PatroniAccess, Probe, RaftAccess, Site};
use crate::resource::{Group, GroupName, Impact, Leadership, Op};
use crate::secret::SecretRef;

pub(super) fn site() -> Site {
    Site::from(PatroniAccess {
        scope: "pg".to_owned(),
        members: members(),
        port: 8008,
        user: "rest".to_owned(),
        password: SecretRef::new("REST"),
        raft: RaftAccess {
            addresses: [120, 121, 122].map(|last| [10, 0, 0, last].into()).into(),
            port: 7000,
            password: SecretRef::new("PATRONI_RAFT_PASS"),
        },
    })
}

pub(super) fn members() -> Vec<HostName> {
    ["db-1", "db-2", "db-3"]
        .map(|name| HostName::new(name).unwrap())
        .to_vec()
}

fn gate(synchronous: usize) -> Gate {
    Gate {
        probe: Probe::at(&site(), probe::Cluster {}),
        condition: Condition::ClusterHealthy {
            voters: 3,
            synchronous,
            max_lag: 0,
        },
        settle: 0,
        deadline: 60,
    }
}

/// Three members, of which one at a time may be disturbed.
pub(crate) fn group() -> Group {
    let gate = gate(1);
    Group {
        name: GroupName("pg".to_owned()),
        members: members(),
        leadership: Some(Leadership {
            probe: gate.probe.clone(),
            site: site(),
            timing: None,
        }),
        gate: Some(gate),
        drain: None,
    }
}

/// One step from a line: `KIND [MEMBER] [after N,N]`; its number is that of its line.
fn step(number: usize, line: &str) -> Step {
    let (what, after) = line.split_once(" after ").unwrap_or((line, ""));
    let (kind, member) = what.split_once(' ').unwrap_or((what, ""));
    let (op, impact, action) = match kind {
        "gate" => (Op::Run, Impact::None, Some(Action::Gate(gate(1)))),
        "weak-gate" => (Op::Run, Impact::None, Some(Action::Gate(gate(0)))),
        "switchover" => {
            let leader = member.to_owned();
            let action = Action::Switchover {
                leader,
                candidate: None,
            };
            (Op::Switchover, Impact::Switchover, Some(action))
        }
        "lower" => {
            let action = Action::RestartMember {
                member: member.to_owned(),
                parameters: Vec::new(),
                leader_first: true,
            };
            (Op::Run, Impact::Restart, Some(action))
        }
        "restart" | "docker" => (Op::Update, Impact::Restart, None),
        "file" => (Op::Update, Impact::None, None),
        other => panic!("no kind {other}"),
    };
    let host = HostName::new(member).ok().filter(|_| kind != "switchover");
    let urn = match &host {
        Some(host) => Urn::on(kind, host, number.to_string()),
        None => Urn::global(kind, number.to_string()),
    };
    let in_group = |host: HostName| (GroupName("pg".to_owned()), host);
    Step {
        id: StepId(u32::try_from(number).unwrap()),
        urn,
        op,
        reasons: Vec::new(),
        impact,
        details: Vec::new(),
        summary: String::new(),
        effects: action
            .map(|action| Effect::new(site(), action))
            .into_iter()
            .collect(),
        after: after
            .split(',')
            .filter(|word| !word.is_empty())
            .map(|word| StepId(word.parse().unwrap()))
            .collect(),
        outcome: Outcome::Nothing,
        parent: None,
        declared: None,
        disturbs: host.filter(|_| kind != "docker").map(in_group),
        timeout: None,
        retries: 0,
    }
}

/// A plan of steps, one a line: `KIND [MEMBER] [after N,N]`.
pub(crate) fn parsed(lines: &str) -> Plan {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    Plan {
        stack: StackName::new("example").unwrap(),
        steps: lines
            .enumerate()
            .map(|(number, line)| step(number, line))
            .collect(),
        kept: BTreeMap::new(),
        stuck: Vec::new(),
        forgotten: BTreeSet::new(),
        left_out: BTreeSet::new(),
    }
}

/// The whole roll, as it should be: replicas, a switchover, the leader.
pub(crate) const GOOD: &str = "
    gate
    restart db-3 after 0
    gate after 1
    restart db-2 after 2
    gate after 3
    switchover db-1 after 4
    gate after 5
    restart db-1 after 6
    gate after 7
";
