//! Groups: members that must not be disturbed together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::options::GroupName;
use super::timing::LeaderTiming;
use crate::effect::Gate;
use crate::ident::HostName;
use crate::probe::{self, ClusterReading, MemberRole, Observation, Probe, Reading, Seen, Site};

/// A group whose members are disturbed one at a time, the leader last, each time waiting until
/// the group is whole again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its members, in the order of the program.
    pub members: Vec<HostName>,
    /// What must hold before the next member is disturbed.
    pub gate: Option<Gate>,
    /// How its leader is found and moved, if it has one.
    pub leadership: Option<Leadership>,
    /// How a member is taken out of service before it is disturbed, if it can be.
    pub drain: Option<Drain>,
}

/// How a member is taken out of service before it is disturbed. It is put back after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// The loopback port on which the HAProxy of each member is told.
    pub port: u16,
    /// Opens once nobody sends a member new connections.
    pub drained: BTreeMap<HostName, Gate>,
}

/// How the leader of a group is found and moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leadership {
    /// Tells who leads.
    pub probe: Probe,
    /// Where a switchover is asked for.
    pub site: Site,
    /// What decides how long nobody leads, where that is known.
    pub timing: Option<LeaderTiming>,
}

impl Group {
    fn cluster<'a>(&self, observation: &'a Observation) -> Option<&'a ClusterReading> {
        let leadership = self.leadership.as_ref()?;
        match observation.get(&leadership.probe) {
            Some(Seen::Read(Reading::Cluster(cluster))) => Some(cluster),
            _ => None,
        }
    }

    /// The members that confirm the leader's commits, as far as the observation tells.
    pub fn confirming(&self, observation: &Observation) -> BTreeSet<HostName> {
        let members = self.cluster(observation).into_iter();
        let members = members.flat_map(|cluster| &cluster.members);
        let confirming = members.filter(|member| member.role == MemberRole::SyncStandby);
        let names: BTreeSet<&str> = confirming.map(|member| member.name.as_str()).collect();
        let own = self.members.iter();
        own.filter(|member| names.contains(member.as_str()))
            .cloned()
            .collect()
    }

    /// The member that leads, as far as the observation tells.
    pub fn leader(&self, observation: &Observation) -> Option<HostName> {
        let cluster = self.cluster(observation)?;
        let name = cluster.agreed_leader(self.members.len())?;
        self.members
            .iter()
            .find(|member| member.as_str() == name)
            .cloned()
    }

    /// What opens once a member is drained; `None` where it cannot be: its HAProxy does not run, or
    /// nobody looked.
    pub fn drainable(&self, member: &HostName, observation: &Observation) -> Option<(u16, &Gate)> {
        let drain = self.drain.as_ref()?;
        let probe = drain.probe(member);
        match observation.get(&probe) {
            Some(Seen::Read(Reading::Drain(found))) if found.0.is_some() => {
                Some((drain.port, drain.drained.get(member)?))
            }
            _ => None,
        }
    }

    /// What has to be read to plan for the group.
    pub fn probes(&self) -> Vec<Probe> {
        let gate = self.gate.iter().map(|gate| gate.probe.clone());
        let leadership = self.leadership.iter().flat_map(|leadership| {
            let settings = leadership.timing.iter().map(|timing| &timing.settings);
            settings.chain([&leadership.probe]).cloned()
        });
        let drain = self.drain.iter().flat_map(|drain| {
            let members = drain.drained.keys();
            members.map(|member| drain.probe(member))
        });
        gate.chain(leadership).chain(drain).collect()
    }
}

impl Drain {
    /// What tells whether a member is drained.
    fn probe(&self, member: &HostName) -> Probe {
        Probe::host(member, probe::Drain { port: self.port })
    }
}
