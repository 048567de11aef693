//! Members of a cluster that stays, which no plan takes away.
//!
//! Who is removed is no longer declared, so no gate and no switchover would come before; and the
//! cluster would go on counting its vote: after two of five are gone, the loss of one more would
//! end all decisions. Whether it counts a vote that nobody can be asked about is unknown, and stands
//! against the plan as well: it would shut a member out that may still be counted. A removed object is part of a member if objects of its kind and name are
//! declared as parts of other members.

use std::collections::BTreeMap;

use super::planner::Problem;
use crate::effect::Record;
use crate::graph::Graph;
use crate::ident::{HostName, Kind};
use crate::probe::{Observation, Reading, Seen, Site, TAKING_AWAY};
use crate::resource::{Group, GroupName, Impact, Leadership, PlanError};

/// What the members of clusters are made of, by kind and name, with the clusters.
pub(super) struct Parts<'a>(BTreeMap<(&'a Kind, &'a str), BTreeMap<&'a GroupName, Cluster<'a>>>);

/// A group with a leader.
#[derive(Clone, Copy)]
struct Cluster<'a> {
    group: &'a Group,
    leadership: &'a Leadership,
}

impl<'a> Parts<'a> {
    /// What the declared members are made of.
    pub(super) fn of(graph: &'a Graph) -> Self {
        let clusters = graph.groups().iter().filter_map(|group| {
            let leadership = group.leadership.as_ref()?;
            Some((&group.name, Cluster { group, leadership }))
        });
        let clusters: BTreeMap<&GroupName, Cluster<'a>> = clusters.collect();
        let mut parts = Self(BTreeMap::new());
        for (urn, node) in graph.in_order() {
            let member_of = node.options.member_of.as_ref();
            if let Some((name, _)) = member_of
                && let Some(cluster) = clusters.get(name)
            {
                let part = parts.0.entry((urn.kind(), urn.name())).or_default();
                part.insert(name, *cluster);
            }
        }
        parts
    }

    /// What stands against the removal of an object: the cluster that counts the member that it is
    /// part of, or may count it.
    pub(super) fn objection(&self, record: &Record, observation: &Observation) -> Option<Problem> {
        let urn = &record.urn;
        let host = urn.host()?;
        if record.removal.impact < Impact::Restart {
            return None;
        }
        let mut clusters = self.0.get(&(urn.kind(), urn.name()))?.values();
        let error = clusters.find_map(|cluster| cluster.objection(host, observation))?;
        Some(Problem {
            urn: urn.clone(),
            declared: None,
            error,
        })
    }
}

impl Cluster<'_> {
    /// What stands against taking a host for no member, which is not declared as one.
    fn objection(&self, host: &HostName, observation: &Observation) -> Option<PlanError> {
        let Self { group, leadership } = self;
        let name = &group.name;
        if group.members.contains(host) {
            return None;
        }
        let cluster = match observation.get(&leadership.probe) {
            Some(Seen::Read(Reading::Cluster(cluster))) => cluster,
            Some(Seen::Read(_)) => return None,
            Some(Seen::Unreachable(_)) | None => {
                return Some(unknown(&format!("{name} does not answer"), host));
            }
        };
        let mut members = cluster.members.iter();
        if members.any(|member| member.name == host.as_str()) {
            return Some(counted(&format!("{host} is a member of {name}")));
        }
        let Site::Patroni(access) = &leadership.probe.site else {
            return None;
        };
        let Some(voters) = cluster.possible_voters(&access.raft) else {
            let silence = format!("no member of {name} tells of RAFT");
            return Some(unknown(&silence, host));
        };
        let voters: Vec<&str> = voters.into_iter().collect();
        (!voters.is_empty()).then(|| {
            let voters = voters.join(", ");
            counted(&format!(
                "{host} was a member of {name}, whose RAFT still counts {voters}"
            ))
        })
    }
}

fn counted(why: &str) -> PlanError {
    PlanError::Refused {
        what: format!(
            "{why}, and is no longer declared: removed here, it would get no gate and hand over to \
             nobody, and RAFT would go on counting its vote"
        ),
        help: format!("declare it again; {TAKING_AWAY}"),
    }
}

fn unknown(silence: &str, host: &HostName) -> PlanError {
    PlanError::Refused {
        what: format!("{silence}, so nobody knows whether it counts {host}"),
        help: format!("declare {host} again, or bring the cluster back first"),
    }
}
