//! What a Patroni cluster tells.

use serde::{Deserialize, Serialize};

use crate::ident::HostName;

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
    /// How many voters it knows, itself included.
    pub voters: u32,
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
}

/// The dynamic configuration (`GET /config`); `None` while the cluster has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DcsReading(pub Option<serde_json::Value>);
