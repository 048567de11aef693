//! Gates: conditions that must hold before a run goes on.
//!
//! A condition is judged on a reading by a pure function, so a gate needs nothing of an
//! interpreter but its reads, and the planner can tell a closed gate from an open one.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::error::EffectError;
use crate::ident::Digest;
use crate::probe::{
    ClusterReading, ContainerReading, LoadBalancerReading, MemberRole, PathReading, Probe,
    RaftAccess, Reading, Site,
};

/// Waits until a condition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What is read again and again.
    pub probe: Probe,
    /// What must hold.
    pub condition: Condition,
    /// Seconds that it waits before it looks: what it reads may be older than what has just
    /// been done.
    #[serde(default)]
    pub settle: u64,
    /// Seconds after which the gate gives up.
    pub deadline: u64,
}

/// What a gate waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// A Patroni cluster is whole: RAFT counts the declared voters and no others, and all agree;
    /// one leader named by a majority, the synchronous standbys there, everybody else streaming.
    ClusterHealthy {
        /// How many members vote.
        voters: usize,
        /// How many synchronous standbys there must be.
        synchronous: usize,
        /// Bytes that a replica may be behind.
        max_lag: u64,
    },
    /// What is asked for is there, whatever it is.
    Present,
    /// What is asked for is not there.
    Absent,
    /// A unit or a container runs.
    Running,
    /// A file has this content.
    Content {
        /// The digest of it.
        digest: Digest,
    },
    /// The database answers.
    RoleExists,
    /// A load balancer hands connections on: each of its services has targets that its health
    /// checks find well.
    LoadBalancerHealthy {
        /// How many well targets each service needs.
        min_targets: usize,
    },
    /// A load balancer sends a target no new connections, and has another for each service.
    TargetDrained {
        /// The target's address.
        target: IpAddr,
    },
}

/// What a closed gate waits for, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waits for {0}")]
pub struct Waiting(pub String);

impl Gate {
    /// Whether `reading` opens the gate.
    pub fn check(&self, reading: &Reading) -> Result<(), Waiting> {
        match (&self.condition, reading) {
            (
                Condition::ClusterHealthy {
                    voters,
                    synchronous,
                    max_lag,
                },
                Reading::Cluster(cluster),
            ) => {
                raft_agrees(cluster, *voters, self.raft())?;
                cluster_healthy(cluster, *voters, *synchronous, *max_lag)
            }
            (Condition::RoleExists, Reading::Role(crate::probe::RoleReading::Present { .. })) => {
                Ok(())
            }
            (Condition::RoleExists, Reading::Role(crate::probe::RoleReading::Absent)) => {
                Err(Waiting("the role".to_owned()))
            }
            (Condition::LoadBalancerHealthy { min_targets }, Reading::LoadBalancer(balancer)) => {
                balancer_healthy(balancer, *min_targets)
            }
            (Condition::TargetDrained { target }, Reading::LoadBalancer(balancer)) => {
                target_drained(balancer, *target)
            }
            (Condition::Content { digest }, Reading::Path(PathReading::File(found)))
                if found.digest == *digest =>
            {
                Ok(())
            }
            (Condition::Content { .. }, Reading::Path(_)) => {
                Err(Waiting(format!("{} to be written", self.probe)))
            }
            (Condition::Present, reading) if !reading.is_absent() => Ok(()),
            (Condition::Present, _) => Err(Waiting(format!("{} to be there", self.probe))),
            (Condition::Absent, reading) if reading.is_absent() => Ok(()),
            (Condition::Absent, _) => Err(Waiting(format!("{} to be gone", self.probe))),
            (Condition::Running, Reading::Unit(unit)) if unit.active == "active" => Ok(()),
            (
                Condition::Running,
                Reading::Container(ContainerReading::Present { running: true, .. }),
            ) => Ok(()),
            (Condition::Running, Reading::Unit(_) | Reading::Container(_)) => {
                Err(Waiting(format!("{} to run", self.probe)))
            }
            (condition, _) => Err(Waiting(format!("an answer that {condition:?} can judge"))),
        }
    }

    /// The RAFT of the cluster that it looks at.
    fn raft(&self) -> Option<&RaftAccess> {
        match &self.probe.site {
            Site::Patroni(access) => Some(&access.raft),
            _ => None,
        }
    }

    /// The failure of a gate that did not open in time: what it waited for, and the way on.
    pub fn closed(&self, waiting: String) -> EffectError {
        EffectError::GateClosed {
            seconds: self.deadline,
            waiting,
            cure: self.condition.cure(),
        }
    }
}

impl Condition {
    /// What a person can do about a gate that does not open.
    fn cure(&self) -> &'static str {
        match self {
            Self::ClusterHealthy { .. } => {
                "`doctor` shows all members: put right what is named and run it again. A member \
                 that cannot be put right is taken out by hand, replicas first and one at a time \
                 (stop its unit, remove its container); `up` then makes it anew without a gate \
                 before. For a voter that is no longer declared, `doctor` says how RAFT forgets it"
            }
            Self::Present | Self::Absent | Self::Running => {
                "make it so, or change the condition in the program, and run it again"
            }
            Self::Content { .. } => "look at the log of who writes the file, and run it again",
            Self::TargetDrained { .. } => {
                "`doctor` shows what the health checks find: another target has to be well before \
                 this one goes. Put that right and run it again, which also puts this one back \
                 into service"
            }
            Self::RoleExists => "look at the server that should have the role, and run it again",
            Self::LoadBalancerHealthy { .. } => {
                "`doctor` shows what its health checks find: put that right and run it again"
            }
        }
    }
}

/// All voters are there and agree, and there is none that is not declared.
fn raft_agrees(
    cluster: &ClusterReading,
    voters: usize,
    declared: Option<&RaftAccess>,
) -> Result<(), Waiting> {
    let wait = |what: String| Err(Waiting(what));
    let mute = cluster.seen_by.iter().filter(|(_, _, raft)| raft.is_none());
    let mute: Vec<&str> = mute.map(|(member, ..)| member.as_str()).collect();
    if !mute.is_empty() {
        return wait(format!(
            "raft: {} does not tell its state; its port may be closed, or its password another",
            mute.join(", ")
        ));
    }
    let quorum = cluster.raft_agreement();
    if quorum < voters {
        return wait(format!("raft: {quorum} of {voters} voters agree"));
    }
    match cluster.miscount(voters, declared) {
        Some(miscount) => wait(format!("raft: {miscount}")),
        None => Ok(()),
    }
}

fn cluster_healthy(
    cluster: &ClusterReading,
    voters: usize,
    synchronous: usize,
    max_lag: u64,
) -> Result<(), Waiting> {
    let wait = |what: String| Err(Waiting(what));
    let Some(leader) = cluster.agreed_leader(voters) else {
        return wait("a leader that a majority names".to_owned());
    };
    if cluster.members.len() < voters {
        return wait(format!("members: {} of {voters}", cluster.members.len()));
    }
    for member in &cluster.members {
        let wanted = if member.name == leader {
            "running"
        } else {
            "streaming"
        };
        if member.state != wanted && !(member.name != leader && member.state == "running") {
            return wait(format!(
                "{}: {}, not yet {wanted}",
                member.name, member.state
            ));
        }
        if member.name != leader && member.lag.unwrap_or(u64::MAX) > max_lag {
            return wait(format!("{} to catch up", member.name));
        }
    }
    let confirmed = count(cluster, MemberRole::SyncStandby);
    if confirmed < synchronous {
        return wait(format!(
            "synchronous standbys: {confirmed} of {synchronous}"
        ));
    }
    if cluster.paused {
        return wait("the end of maintenance mode (patronictl resume)".to_owned());
    }
    Ok(())
}

fn count(cluster: &ClusterReading, role: MemberRole) -> usize {
    cluster
        .members
        .iter()
        .filter(|member| member.role == role)
        .count()
}

fn balancer_healthy(balancer: &LoadBalancerReading, min_targets: usize) -> Result<(), Waiting> {
    let Some(state) = &balancer.0 else {
        return Err(Waiting("the load balancer".to_owned()));
    };
    for service in &state.services {
        let port = service.listen_port;
        let healthy = state.healthy_targets(port).len();
        if healthy < min_targets {
            return Err(Waiting(format!(
                "port {port}: {healthy} of {min_targets} targets healthy"
            )));
        }
    }
    Ok(())
}

fn target_drained(balancer: &LoadBalancerReading, target: IpAddr) -> Result<(), Waiting> {
    let Some(state) = &balancer.0 else {
        return Err(Waiting("the load balancer".to_owned()));
    };
    for service in &state.services {
        let port = service.listen_port;
        let healthy = state.healthy_targets(port);
        if healthy.contains(&target) {
            return Err(Waiting(format!(
                "port {port}: no new connections to {target}"
            )));
        }
        if healthy.is_empty() {
            return Err(Waiting(format!(
                "port {port}: a healthy target beside {target}"
            )));
        }
    }
    Ok(())
}
