//! What a Patroni cluster tells.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::site::RaftAccess;
use crate::ident::HostName;

/// How a member is taken away for good. RAFT counts a voter until it is told to forget it, whether
/// it runs or not.
pub const TAKING_AWAY: &str = "a member is taken away by hand, one after the other: hand over if it \
                               leads (`patronictl switchover`), stop it for good (`systemctl \
                               disable --now patroni-docker.service`), and let RAFT forget it, from \
                               a member that stays, while a majority runs: `docker exec patroni \
                               syncobj_admin -conn STAYS:7000 -pass PASSWORD -remove GONE:7000`. \
                               `up` then removes what is left of it on a host where something else \
                               is declared";

/// A member's role, in Patroni's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberRole {
    /// Accepts writes.
    Leader,
    /// Confirms commits of the leader.
    SyncStandby,
    /// Follows the leader.
    Replica,
    /// Anything else that Patroni may say, such as a standby leader.
    Other,
}

/// A member of a cluster as the cluster sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMember {
    /// The member's name: the host's.
    pub name: String,
    /// Its role.
    pub role: MemberRole,
    /// `running`, `streaming`, `starting`, `stopped`, ...
    pub state: String,
    /// The timeline, where PostgreSQL runs.
    pub timeline: Option<u64>,
    /// Bytes behind the leader, where known.
    pub lag: Option<u64>,
    /// Whether a changed parameter waits for a restart.
    pub pending_restart: bool,
}

/// RAFT as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftReading {
    /// Whether this member is connected to a majority.
    pub has_quorum: bool,
    /// The address of the RAFT leader that it follows.
    pub leader: Option<String>,
    /// How many other voters it is connected to.
    pub connected: u32,
    /// The addresses of the other voters that it knows, `ADDRESS:PORT`. Who is gone is among them
    /// until RAFT is told to forget it.
    pub partners: BTreeSet<String>,
}

impl RaftReading {
    /// How many voters it knows, itself included.
    pub fn voters(&self) -> usize {
        self.partners.len() + 1
    }
}

/// A cluster as all its members see it. A member that does not answer is missing from `seen_by`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterReading {
    /// The members that answered, each with the leader that it names and its RAFT state.
    pub seen_by: Vec<(HostName, Option<String>, Option<RaftReading>)>,
    /// The members as the majority's most complete answer lists them.
    pub members: Vec<ClusterMember>,
    /// Whether the cluster is in maintenance mode (`pause`).
    pub paused: bool,
}

impl ClusterReading {
    /// The leader that more than half of `voters` name, if there is one.
    pub fn agreed_leader(&self, voters: usize) -> Option<&str> {
        let named = self
            .seen_by
            .iter()
            .filter_map(|(_, leader, _)| leader.as_deref());
        named.clone().find(|candidate| {
            named.clone().filter(|leader| leader == candidate).count() * 2 > voters
        })
    }

    /// How many members say that RAFT has a quorum and agree on who leads it.
    pub fn raft_agreement(&self) -> usize {
        let leaders: Vec<&str> = self
            .seen_by
            .iter()
            .filter_map(|(_, _, raft)| raft.as_ref())
            .filter(|raft| raft.has_quorum)
            .filter_map(|raft| raft.leader.as_deref())
            .collect();
        leaders
            .iter()
            .map(|leader| leaders.iter().filter(|other| other == &leader).count())
            .max()
            .unwrap_or(0)
    }

    /// The voters that RAFT counts beside those at the declared addresses, as the members tell that
    /// have a quorum.
    pub fn undeclared_voters(&self, declared: &RaftAccess) -> BTreeSet<&str> {
        let told = self.told().filter(|raft| raft.has_quorum);
        beside(declared, told)
    }

    /// The same for who must overlook none: where no member has a quorum, as all of them tell. `None`
    /// where no member tells of RAFT.
    pub fn possible_voters(&self, declared: &RaftAccess) -> Option<BTreeSet<&str>> {
        if self.told().any(|raft| raft.has_quorum) {
            return Some(self.undeclared_voters(declared));
        }
        let silent = self.told().next().is_none();
        (!silent).then(|| beside(declared, self.told()))
    }

    /// What the members tell of RAFT.
    fn told(&self) -> impl Iterator<Item = &RaftReading> {
        self.seen_by.iter().filter_map(|(.., raft)| raft.as_ref())
    }

    /// That a member counts another number of voters than are declared, in words.
    pub fn miscount(&self, voters: usize, declared: Option<&RaftAccess>) -> Option<String> {
        let told = self.seen_by.iter();
        let mut told = told.filter_map(|(member, _, raft)| Some((member, raft.as_ref()?.voters())));
        let (member, counted) = told.find(|(_, counted)| *counted != voters)?;
        let undeclared = declared.map(|declared| self.undeclared_voters(declared));
        let undeclared: Vec<&str> = undeclared.into_iter().flatten().collect();
        let named = match undeclared.as_slice() {
            [] => String::new(),
            named => format!(" (not declared: {})", named.join(", ")),
        };
        Some(format!(
            "{member} counts {counted} voters, {voters} are declared{named}"
        ))
    }

    /// Whether all members that answer count more voters than are declared. RAFT forgets none by
    /// itself, so no waiting helps.
    pub fn counts_too_many(&self, voters: usize) -> bool {
        let too_many = |raft: &Option<RaftReading>| {
            let raft = raft.as_ref();
            raft.is_some_and(|raft| raft.has_quorum && raft.voters() > voters)
        };
        !self.seen_by.is_empty() && self.seen_by.iter().all(|(.., raft)| too_many(raft))
    }
}

/// The voters that are told of beside those at the declared addresses.
fn beside<'a>(
    declared: &RaftAccess,
    told: impl Iterator<Item = &'a RaftReading>,
) -> BTreeSet<&'a str> {
    let declared = declared.endpoints();
    told.flat_map(|raft| &raft.partners)
        .filter(|voter| !declared.contains(*voter))
        .map(String::as_str)
        .collect()
}

/// The dynamic configuration (`GET /config`); `None` while the cluster has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DcsReading(pub Option<serde_json::Value>);
