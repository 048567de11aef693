//! Modelled Patroni clusters.
//!
//! A cluster lives while more than half of its voters run and reach each other. Everything that
//! takes Patroni moments to notice holds at once: a leader that stops is replaced before the next
//! effect, by the synchronous standby if it is there. But that a parameter waits for its restart a
//! member notices only with the next effect. What a node holds on disk is a file in its data
//! directory, so that a cluster survives its containers, and not its data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::of_root;
use super::host::HostModel;
use super::refusal::{failed, moved};
use super::service::PatroniNode;
use super::sql::{AT_START, Sql};
use super::system::lets_in;
use crate::effect::{Action, EffectError};
use crate::ident::{Digest, HostName};
use crate::probe::{
    ClusterMember, ClusterReading, DcsReading, MemberRole, PatroniAccess, RaftReading,
};

/// The hosts of a world.
pub(super) type Hosts = BTreeMap<HostName, HostModel>;

/// A Patroni cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cluster {
    scope: String,
    /// Who votes. RAFT forgets nobody, but when a hand tells it to.
    voters: BTreeSet<SocketAddr>,
    timeline: u64,
    leader: Option<HostName>,
    synchronous: Option<HostName>,
    /// The members that agree with each other.
    members: BTreeMap<HostName, Member>,
    /// The dynamic configuration; `None` before the bootstrap.
    config: Option<Value>,
    paused: bool,
    pub(super) sql: Sql,
    /// What the databases were right after the bootstrap.
    fresh: Sql,
    system: String,
    /// Where each node keeps its data.
    data: BTreeMap<HostName, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// What tells this start of its container from another.
    start: u64,
    pending_restart: bool,
    /// Whether it has noticed that a parameter waits: in the round after the change.
    #[serde(default)]
    noticed: bool,
}

/// A node whose container runs.
struct Running {
    host: HostName,
    start: u64,
    node: PatroniNode,
}

/// The nodes of a cluster that run.
fn running(hosts: &Hosts, scope: &str) -> Vec<Running> {
    let powered = hosts.values().filter(|host| host.powered);
    powered
        .flat_map(|host| {
            let services = host.docker.services();
            services.filter_map(|(start, _, service)| {
                let node = service.patroni().filter(|node| node.scope == scope)?;
                Some(Running {
                    host: host.name.clone(),
                    start,
                    node: node.clone(),
                })
            })
        })
        .collect()
}

/// Whether two nodes vote together: each names the other, and lets it in.
fn connected(hosts: &Hosts, one: &Running, other: &Running) -> bool {
    let reaches = |from: &Running, to: &Running| {
        let host = &hosts[&to.host];
        to.node.partners.contains(&from.node.raft)
            && lets_in(
                &host.firewall,
                to.node.raft.port(),
                hosts[&from.host].address,
            )
    };
    reaches(one, other) && reaches(other, one)
}

/// The largest number of nodes that one of them is connected to, itself included.
fn largest_side(hosts: &Hosts, nodes: &[Running]) -> BTreeSet<HostName> {
    let sides = nodes.iter().map(|node| {
        let others = nodes
            .iter()
            .filter(|other| other.host == node.host || connected(hosts, node, other));
        others
            .map(|other| other.host.clone())
            .collect::<BTreeSet<_>>()
    });
    // The first of the largest, so that the choice does not depend on anything else.
    sides.rev().max_by_key(BTreeSet::len).unwrap_or_default()
}

impl Cluster {
    pub(super) fn new(scope: &str) -> Self {
        Self {
            scope: scope.to_owned(),
            voters: BTreeSet::new(),
            timeline: 0,
            leader: None,
            synchronous: None,
            members: BTreeMap::new(),
            config: None,
            paused: false,
            sql: Sql::default(),
            fresh: Sql::default(),
            system: String::new(),
            data: BTreeMap::new(),
        }
    }

    pub(super) fn leader(&self) -> Option<&HostName> {
        self.leader.as_ref()
    }

    pub(super) fn is_member(&self, host: &HostName) -> bool {
        self.members.contains_key(host)
    }

    /// Whether anything of the cluster is on a host.
    pub(super) fn concerns(&self, host: &HostName) -> bool {
        self.members.contains_key(host) || self.data.contains_key(host)
    }

    /// The roles and databases that were added since the bootstrap, in words.
    pub(super) fn traces(&self) -> Vec<String> {
        self.sql.added(&self.fresh)
    }

    /// Brings the cluster to where Patroni would bring it after what happened to its nodes.
    pub(super) fn settle(&mut self, hosts: &mut Hosts) {
        self.forget_lost_data(hosts);
        let mut nodes = running(hosts, &self.scope);
        nodes.retain(|node| self.may_join(node, hosts));
        if self.config.is_none() && !nodes.is_empty() {
            let first = nodes.iter().map(|node| &node.node);
            let first = first.flat_map(|node| node.partners.iter().chain([&node.raft]));
            self.voters = first.copied().collect();
        }
        let side = largest_side(hosts, &nodes);
        nodes.retain(|node| side.contains(&node.host));
        let before = std::mem::take(&mut self.members);
        let voting = nodes.iter().map(|node| node.node.raft);
        let voting = voting.filter(|voter| self.voters.contains(voter)).count();
        if voting * 2 <= self.voters.len() {
            self.leader = None;
            return;
        }
        // Who is new is let in by those who vote.
        self.voters.extend(nodes.iter().map(|node| node.node.raft));
        for node in &nodes {
            let kept = before
                .get(&node.host)
                .filter(|member| member.start == node.start);
            let member = kept.cloned().unwrap_or(Member {
                start: node.start,
                pending_restart: false,
                noticed: false,
            });
            self.members.insert(node.host.clone(), member);
        }
        if self.config.is_none() {
            self.bootstrap(&nodes[0]);
        } else {
            self.elect(&before);
        }
        self.choose_synchronous();
        self.clone_data(&nodes, hosts);
    }

    /// A cluster whose data is gone everywhere begins anew.
    fn forget_lost_data(&mut self, hosts: &Hosts) {
        let system = self.system.clone();
        let had_data = !self.data.is_empty();
        self.data.retain(|host, path| {
            let host = hosts.get(host);
            let found = host.and_then(|host| host.files.text(&marker(path)));
            found == Some(system.as_str())
        });
        if had_data && self.data.is_empty() {
            *self = Self::new(&self.scope);
        }
    }

    /// Whether a node has no data, or data of this cluster. Other data is never touched.
    fn may_join(&self, node: &Running, hosts: &Hosts) -> bool {
        let Some(path) = &node.node.data else {
            return true;
        };
        let found = hosts[&node.host].files.text(&marker(path));
        found.is_none_or(|system| system == self.system)
    }

    fn bootstrap(&mut self, first: &Running) {
        let node = &first.node;
        self.system = Digest::of(format!("{} {}", self.scope, first.start)).short();
        self.config = Some(node.dcs.clone());
        self.sql = Sql::fresh(&node.superuser, &node.replication);
        self.fresh = self.sql.clone();
        self.leader = Some(first.host.clone());
        self.timeline = 1;
    }

    /// Keeps the leader while it runs; otherwise the best standby takes over.
    fn elect(&mut self, before: &BTreeMap<HostName, Member>) {
        let stays = |host: &HostName| {
            let now = self.members.get(host);
            now.is_some() && now == before.get(host)
        };
        if self.leader.as_ref().is_some_and(&stays) {
            return;
        }
        let has_data = |host: &&HostName| self.data.is_empty() || self.data.contains_key(*host);
        let standby = self.synchronous.iter().filter(|host| stays(host));
        let others = self.members.keys().filter(|host| stays(host));
        let mut candidates = standby.chain(others).chain(self.members.keys());
        let next = candidates.find(has_data).cloned();
        if self.paused {
            self.leader = None;
        } else {
            self.timeline += 1;
            self.leader = next;
        }
    }

    fn choose_synchronous(&mut self) {
        let config = self.config.as_ref();
        let wanted = config.and_then(|config| config["synchronous_mode"].as_bool());
        let fits = |host: &&HostName| {
            self.members.contains_key(*host) && self.leader.as_ref() != Some(*host)
        };
        self.synchronous = match wanted {
            Some(true) => {
                let others = self.members.keys();
                self.synchronous.iter().chain(others).find(fits).cloned()
            }
            _ => None,
        };
    }

    /// Every member has its copy of the data.
    fn clone_data(&mut self, nodes: &[Running], hosts: &mut Hosts) {
        for node in nodes {
            let (Some(path), Some(host)) = (&node.node.data, hosts.get_mut(&node.host)) else {
                continue;
            };
            if host.files.make_directory(path, of_root(0o700)).is_ok() {
                host.files.put(&marker(path), &self.system, 0o600);
                self.data.insert(node.host.clone(), path.clone());
            }
        }
    }

    /// The cluster as its members see it, those that the operator reaches.
    pub(super) fn view(&self, access: &PatroniAccess, hosts: &Hosts) -> ClusterReading {
        let nodes = running(hosts, &self.scope);
        let asked = access.members.iter().filter_map(|name| {
            let reachable = hosts.get(name).is_some_and(|host| host.reachable);
            nodes.iter().find(|node| node.host == *name && reachable)
        });
        let seen_by: Vec<_> = asked.map(|node| self.seen_by(node, &nodes)).collect();
        ClusterReading {
            members: if seen_by.is_empty() {
                Vec::new()
            } else {
                self.members.keys().map(|host| self.member(host)).collect()
            },
            paused: self.paused,
            seen_by,
        }
    }

    fn seen_by(
        &self,
        node: &Running,
        nodes: &[Running],
    ) -> (HostName, Option<String>, Option<RaftReading>) {
        let agrees = self.members.contains_key(&node.host);
        let first = self.members.keys().next();
        let first = nodes.iter().find(|other| Some(&other.host) == first);
        let raft = RaftReading {
            has_quorum: agrees,
            leader: first
                .filter(|_| agrees)
                .map(|first| first.node.raft.to_string()),
            connected: if agrees {
                u32::try_from(self.members.len() - 1).unwrap_or(u32::MAX)
            } else {
                0
            },
            partners: self
                .voters
                .iter()
                .filter(|voter| **voter != node.node.raft)
                .map(ToString::to_string)
                .collect(),
        };
        let leader = self.leader.as_ref().filter(|_| agrees);
        (
            node.host.clone(),
            leader.map(ToString::to_string),
            Some(raft),
        )
    }

    fn member(&self, host: &HostName) -> ClusterMember {
        let leads = self.leader.as_ref() == Some(host);
        let role = if leads {
            MemberRole::Leader
        } else if self.synchronous.as_ref() == Some(host) {
            MemberRole::SyncStandby
        } else {
            MemberRole::Replica
        };
        ClusterMember {
            name: host.to_string(),
            role,
            state: if leads { "running" } else { "streaming" }.to_owned(),
            timeline: Some(self.timeline),
            lag: (!leads).then_some(0),
            pending_restart: self.members[host].pending_restart && self.members[host].noticed,
        }
    }

    pub(super) fn dcs(&self) -> DcsReading {
        DcsReading(self.config.clone())
    }

    /// Carries an action out.
    pub(super) fn act(&mut self, action: &Action) -> Result<(), EffectError> {
        for member in self.members.values_mut() {
            member.noticed |= member.pending_restart;
        }
        match action {
            Action::PatchDcs { patch } => self.patch(patch),
            Action::Switchover { leader, candidate } => {
                self.switchover(leader, candidate.as_deref())
            }
            Action::RestartMember { member, .. } => {
                let found = self
                    .members
                    .iter_mut()
                    .find(|(host, _)| host.as_str() == member);
                let Some((_, found)) = found else {
                    return Err(failed(member, "it is no member that runs"));
                };
                found.pending_restart = false;
                found.noticed = false;
                Ok(())
            }
            _ => Err(failed(&self.scope, "a cluster is no place for this")),
        }
    }

    fn patch(&mut self, patch: &Value) -> Result<(), EffectError> {
        let what = "PATCH /config";
        let Some(config) = self.config.as_mut() else {
            return Err(failed(what, "the cluster has no configuration yet"));
        };
        if self.leader.is_none() {
            return Err(failed(what, "the cluster has no leader"));
        }
        let before = at_start(config);
        merge(config, patch);
        if before != at_start(config) {
            for member in self.members.values_mut() {
                member.pending_restart = true;
            }
        }
        self.choose_synchronous();
        Ok(())
    }

    fn switchover(&mut self, leader: &str, candidate: Option<&str>) -> Result<(), EffectError> {
        let now = self.leader.as_ref().map(HostName::as_str);
        if now != Some(leader) {
            if now.is_some() && candidate.is_none_or(|candidate| now == Some(candidate)) {
                return Ok(());
            }
            let found = now.unwrap_or("there is none");
            return Err(moved(format!("the leader of {}", self.scope), found));
        }
        let fits = |host: &&HostName| candidate.is_none_or(|name| host.as_str() == name);
        let others = self.members.keys().filter(|host| host.as_str() != leader);
        let next = self.synchronous.iter().chain(others).find(fits).cloned();
        if next.is_none() {
            return Err(failed(
                format!("switchover from {leader}"),
                "no good candidates",
            ));
        }
        self.leader = next;
        self.timeline += 1;
        self.choose_synchronous();
        Ok(())
    }

    /// Changes the dynamic configuration as a hand would.
    pub(super) fn edit_config(&mut self, patch: &Value) {
        if let Some(config) = self.config.as_mut() {
            merge(config, patch);
        }
    }

    /// Lets RAFT forget the voters at an address.
    pub(super) fn forget_voter(&mut self, address: IpAddr) {
        self.voters.retain(|voter| voter.ip() != address);
    }

    /// Switches maintenance mode on or off.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }
}

/// The file that stands for the data in a data directory.
fn marker(path: &str) -> String {
    format!("{path}/PG_VERSION")
}

/// The parameters that take effect at the next start.
fn at_start(config: &Value) -> Vec<Value> {
    let parameters = &config["postgresql"]["parameters"];
    AT_START
        .iter()
        .map(|name| parameters[*name].clone())
        .collect()
}

/// Merges as `PATCH /config` does: a null removes a key.
fn merge(config: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(from)) = (&mut *config, patch) else {
        *config = patch.clone();
        return;
    };
    for (key, value) in from {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
