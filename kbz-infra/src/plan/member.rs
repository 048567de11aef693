//! Members of a cluster that stays, which no plan takes away.
//!
//! Who is removed is no longer declared, so no gate and no switchover would come before; and the
//! cluster would go on counting its vote: after two of five are gone, the loss of one more would
//! end all decisions. A removed object is part of a member if objects of its kind and name are
//! declared as parts of other members.

use std::collections::BTreeMap;

use super::planner::Problem;
use crate::effect::Record;
use crate::graph::Graph;
use crate::ident::{HostName, Kind, Urn};
use crate::probe::{Observation, Outage, Reading, Seen, Site, TAKING_AWAY};
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

    /// What stands against the removal of an object: the cluster that still counts the member that
    /// it is part of. Of a cluster that does not answer nobody knows.
    pub(super) fn objection(
        &self,
        record: &Record,
        observation: &Observation,
    ) -> Result<Option<Problem>, Outage> {
        let urn = &record.urn;
        let Some(host) = urn.host() else {
            return Ok(None);
        };
        if record.removal.impact < Impact::Restart {
            return Ok(None);
        }
        let clusters = self.0.get(&(urn.kind(), urn.name()));
        for cluster in clusters.into_iter().flat_map(BTreeMap::values) {
            if let Some(why) = cluster.still_counts(host, observation)? {
                return Ok(Some(refused(urn, &why)));
            }
        }
        Ok(None)
    }
}

impl Cluster<'_> {
    /// Why a host that is not declared as a member is taken for one, if it is.
    fn still_counts(
        &self,
        host: &HostName,
        observation: &Observation,
    ) -> Result<Option<String>, Outage> {
        let Self { group, leadership } = self;
        if group.members.contains(host) {
            return Ok(None);
        }
        let cluster = match observation.get(&leadership.probe) {
            Some(Seen::Read(Reading::Cluster(cluster))) => cluster,
            Some(Seen::Unreachable(outage)) => return Err(outage.clone()),
            Some(Seen::Read(_)) | None => return Ok(None),
        };
        let name = &group.name;
        let mut members = cluster.members.iter();
        if members.any(|member| member.name == host.as_str()) {
            return Ok(Some(format!("{host} is a member of {name}")));
        }
        let voters = match &leadership.probe.site {
            Site::Patroni(access) => cluster.undeclared_voters(&access.raft),
            _ => return Ok(None),
        };
        let voters: Vec<&str> = voters.into_iter().collect();
        Ok((!voters.is_empty()).then(|| {
            let voters = voters.join(", ");
            format!("{host} was a member of {name}, whose RAFT still counts {voters}")
        }))
    }
}

fn refused(urn: &Urn, why: &str) -> Problem {
    let what = format!(
        "{why}, and is no longer declared: removed here, it would get no gate and hand over to \
         nobody, and RAFT would go on counting its vote"
    );
    Problem {
        urn: urn.clone(),
        declared: None,
        error: PlanError::Refused {
            what,
            help: format!("declare it again; {TAKING_AWAY}"),
        },
    }
}
