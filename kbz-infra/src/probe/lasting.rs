//! What of a reading stays as it is until somebody changes it.

use super::cluster::{ClusterMember, ClusterReading, MemberRole};
use super::file::EntriesReading;
use super::host::{FactsReading, FilesystemReading};
use super::sql::RoleReading;
use super::vocabulary::Reading;
use crate::ident::Digest;
use crate::model::load_balancer::LoadBalancerState;

impl Reading {
    /// A digest of what of the reading stays as it is until somebody changes it. Two digests tell
    /// whether the world has moved between two looks.
    ///
    /// What changes by itself is left out: clocks, free space, what health checks find, how far a
    /// replica is behind.
    ///
    /// # Panics
    ///
    /// Never: a reading is plain data, which has a form as JSON.
    pub fn lasting(&self) -> Digest {
        let plain = match self {
            Reading::Facts(facts) => Reading::Facts(lasting_facts(facts)),
            Reading::Filesystem(found) => Reading::Filesystem(FilesystemReading {
                available: 0,
                ..found.clone()
            }),
            Reading::Cluster(cluster) => Reading::Cluster(lasting_cluster(cluster)),
            Reading::LoadBalancer(found) => {
                let mut found = found.clone();
                found.0.iter_mut().for_each(forget_health);
                Reading::LoadBalancer(found)
            }
            // A service that keeps its data there makes and removes files all the time.
            Reading::Entries(found) => {
                let some = found.0.iter().take(1).map(|_| "some".to_owned());
                Reading::Entries(EntriesReading(some.collect()))
            }
            Reading::Path(_)
            | Reading::Claims(_)
            | Reading::Unit(_)
            | Reading::SysctlValue(_)
            | Reading::Swap(_)
            | Reading::Firewall(_)
            | Reading::Module(_)
            | Reading::Stamp(_)
            | Reading::Drain(_)
            | Reading::Boot(_)
            | Reading::Registry(_)
            | Reading::ImageTag(_)
            | Reading::ImageUser(_)
            | Reading::Container(_)
            | Reading::Role(_)
            | Reading::Database(_)
            | Reading::Extension(_)
            | Reading::Contexts(_)
            | Reading::Marked(_)
            | Reading::Dcs(_) => self.clone(),
        };
        let text = serde_json::to_vec(&plain).expect("a reading is plain data");
        // Never serialised, and changed as well as anything else.
        let verifier = match self {
            Reading::Role(RoleReading::Present { verifier, .. }) => verifier.as_deref(),
            _ => None,
        };
        Digest::of_parts([text.as_slice(), verifier.unwrap_or_default().as_bytes()])
    }
}

fn lasting_facts(facts: &FactsReading) -> FactsReading {
    FactsReading {
        clock_synchronized: None,
        clock_offset: 0.0,
        ..facts.clone()
    }
}

/// Who leads, who waits for a restart, and whether somebody holds the cluster still.
fn lasting_cluster(cluster: &ClusterReading) -> ClusterReading {
    let member = |member: &ClusterMember| ClusterMember {
        name: member.name.clone(),
        role: match member.role {
            MemberRole::Leader => MemberRole::Leader,
            MemberRole::SyncStandby | MemberRole::Replica | MemberRole::Other => MemberRole::Other,
        },
        state: String::new(),
        timeline: None,
        lag: None,
        pending_restart: member.pending_restart,
    };
    let mut members: Vec<ClusterMember> = cluster.members.iter().map(member).collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    ClusterReading {
        seen_by: Vec::new(),
        members,
        paused: cluster.paused,
    }
}

fn forget_health(balancer: &mut LoadBalancerState) {
    for target in &mut balancer.targets {
        target.health.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(lag: u64, leader: &str) -> Reading {
        let member = |name: &str| ClusterMember {
            name: name.to_owned(),
            role: if name == leader {
                MemberRole::Leader
            } else {
                MemberRole::Replica
            },
            state: "streaming".to_owned(),
            timeline: Some(lag),
            lag: Some(lag),
            pending_restart: false,
        };
        Reading::Cluster(ClusterReading {
            seen_by: Vec::new(),
            members: ["db-1", "db-2"].map(member).to_vec(),
            paused: false,
        })
    }

    #[test]
    fn what_changes_by_itself_does_not_count_and_a_new_leader_does() {
        assert_eq!(cluster(0, "db-1").lasting(), cluster(9, "db-1").lasting());
        assert_ne!(cluster(0, "db-1").lasting(), cluster(0, "db-2").lasting());
    }

    #[test]
    fn a_password_that_was_changed_counts() {
        let role = |verifier: &str| {
            Reading::Role(RoleReading::Present {
                login: true,
                superuser: false,
                replication: false,
                create_db: false,
                create_role: false,
                verifier: Some(verifier.to_owned()),
                member_of: Vec::new(),
                comment: None,
            })
        };
        assert_ne!(role("one").lasting(), role("two").lasting());
    }
}
