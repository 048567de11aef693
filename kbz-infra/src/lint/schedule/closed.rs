//! A roll that begins at a closed gate which nothing in the plan opens.

use super::Roll;
use crate::diag::Finding;
use crate::effect::{Action, Condition, Gate, Waiting};
use crate::plan::Step;
use crate::probe::{ClusterReading, Observation, Reading, Seen, TAKING_AWAY};

impl Roll<'_> {
    /// Says that the first gate is closed as the world is seen to be. Where waiting cannot open
    /// it, the plan is refused: a run would only find that out after a long time.
    pub(super) fn closed(&self, observation: &Observation) -> Option<Finding> {
        if self.disturbing.is_empty() {
            return None;
        }
        // What comes before a gate may open it.
        let first = self.gates.iter().find(|step| step.after.is_empty())?;
        let gate = gate_of(first)?;
        let Some(Seen::Read(reading)) = observation.get(&gate.probe) else {
            return None;
        };
        let Waiting(what) = gate.check(reading).err()?;
        let name = &self.group.name;
        Some(if let Some(cure) = for_ever(gate, reading) {
            let message = format!("{name} cannot be changed member by member: {what}");
            Finding::error("kbz::plan::closed-gate", message).help(cure)
        } else {
            let seconds = gate.deadline;
            let message = format!("{name} is not whole at present: it waits for {what}");
            Finding::warning("kbz::plan::closed-gate", message).help(format!(
                "`up` waits up to {seconds} s for it before it disturbs the first member"
            ))
        })
    }
}

fn gate_of(step: &Step) -> Option<&Gate> {
    step.effects.iter().find_map(|effect| match &effect.action {
        Action::Gate(gate) => Some(gate),
        _ => None,
    })
}

/// What a person does about a gate that no waiting opens; `None` where waiting may.
fn for_ever(gate: &Gate, reading: &Reading) -> Option<&'static str> {
    let Reading::Cluster(cluster) = reading else {
        return None;
    };
    if is_mute(cluster) {
        return Some(
            "no member understands the others' password, so none could come back: take the \
             credentials that the cluster was made with, or destroy it before others are taken",
        );
    }
    match gate.condition {
        Condition::ClusterHealthy { voters, .. } if cluster.counts_too_many(voters) => {
            Some(TAKING_AWAY)
        }
        _ => None,
    }
}

/// Whether members answer, and none of them tells of RAFT what only who has its password hears.
fn is_mute(cluster: &ClusterReading) -> bool {
    let mut seen = cluster.seen_by.iter();
    cluster.seen_by.len() > 1 && seen.all(|(_, leader, raft)| leader.is_some() && raft.is_none())
}

#[cfg(test)]
mod tests {
    use super::super::plan_observed;
    use super::super::testkit::{GOOD, group, members, parsed, site};
    use crate::probe::{self, ClusterReading, Observation, Probe, RaftReading, Seen};

    fn told(raft: Option<&RaftReading>, lines: &str) -> Vec<String> {
        let seen_by = members().into_iter();
        let seen_by = seen_by.map(|host| (host, Some("db-1".to_owned()), raft.cloned()));
        let cluster = ClusterReading {
            seen_by: seen_by.collect(),
            ..ClusterReading::default()
        };
        let probe = Probe::at(&site(), probe::Cluster {});
        let observation: Observation = [(probe, Seen::Read(cluster.into()))].into_iter().collect();
        let report = plan_observed(&parsed(lines), &[group()], &observation);
        let findings = report.findings().iter();
        findings
            .map(|finding| format!("{:?} {}", finding.severity, finding.message))
            .collect()
    }

    fn raft(partners: &[&str]) -> RaftReading {
        RaftReading {
            has_quorum: true,
            leader: Some("db-1".to_owned()),
            connected: 2,
            partners: partners.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_cluster_with_another_password_is_refused_before_anything_is_done() {
        let [said] = told(None, GOOD).try_into().unwrap();
        assert!(
            said.starts_with("Error pg cannot be changed member by member: raft: db-1, db-2, db-3"),
            "{said}"
        );
    }

    #[test]
    fn a_cluster_that_is_not_whole_at_present_is_told() {
        let [said] = told(Some(&raft(&["10.0.0.121:7000", "10.0.0.122:7000"])), GOOD)
            .try_into()
            .unwrap();
        assert_eq!(
            said,
            "Warning pg is not whole at present: it waits for members: 0 of 3"
        );
    }

    #[test]
    fn a_cluster_that_counts_a_voter_too_many_is_refused_before_anything_is_done() {
        let partners = ["10.0.0.121:7000", "10.0.0.122:7000", "10.0.0.123:7000"];
        let [said] = told(Some(&raft(&partners)), GOOD).try_into().unwrap();
        assert_eq!(
            said,
            "Error pg cannot be changed member by member: raft: db-1 counts 4 voters, 3 are \
             declared (not declared: 10.0.0.123:7000)"
        );
    }

    #[test]
    fn what_comes_before_the_gate_may_open_it() {
        let repaired = "file db-1\ngate after 0\nrestart db-3 after 1\ngate after 2";
        assert_eq!(told(None, repaired), [""; 0]);
    }
}
