//! What a cluster is made of: its group and gate, its configuration, the restarts of its members.

use std::collections::BTreeSet;

use crate::component::patroni::cluster::PatroniCluster;
use crate::component::patroni::dcs_config::{DcsConfig, Synchronous};
use crate::component::patroni::node::PatroniNode;
use crate::diag::{Finding, SourceLocation};
use crate::effect::{Condition, Gate};
use crate::ident::{HostName, Urn};
use crate::primitive::{ClusterGate, MemberRestart, PatroniConfig};
use crate::probe::{self, Probe, Site};
use crate::program::{Component, DeclareExt as _, Handle, Result, Scope};
use crate::resource::{Claim, Group, LeaderTiming, Leadership};

/// How long three empty nodes may take to become a cluster, and one node to come back: a
/// replica may have to be copied anew.
const GATE_DEADLINE: u64 = 600;

/// Bytes that a replica may be behind for the cluster to count as whole.
const GATE_LAG: u64 = 1 << 20;

impl PatroniCluster {
    fn gate(&self, site: &Site, voters: usize) -> Gate {
        let synchronous = match self.synchronous {
            Synchronous::Off => 0,
            Synchronous::On | Synchronous::Strict => 1,
        };
        Gate {
            probe: Probe::at(site, probe::Cluster {}),
            condition: Condition::ClusterHealthy {
                voters,
                synchronous,
                max_lag: GATE_LAG,
            },
            settle: 0,
            deadline: GATE_DEADLINE,
        }
    }

    /// Refuses a number of voters that cannot lose one and still decide.
    fn check_voters(&self, nodes: &[Handle<PatroniNode>], scope: &Scope<'_>) -> Result<()> {
        let found = nodes.len();
        let label = match self.raft.voters {
            Some(stated) if stated != found => format!("{stated} are stated here"),
            _ if found >= 3 && found % 2 == 1 => return Ok(()),
            _ => "RAFT needs an odd number of them, three at least".to_owned(),
        };
        let message = format!("the cluster `{}` has {found} voters", self.name);
        let mut finding = Finding::error("kbz::patroni::voters", message)
            .label(SourceLocation::from(scope.place()), label);
        let places: BTreeSet<_> = nodes.iter().map(|node| scope.place_of(node)).collect();
        for place in places {
            finding = finding.label(SourceLocation::from(place), "its nodes are declared here");
        }
        Err(finding
            .help("add or take away a PatroniNode: three survive the loss of one, five of two")
            .into())
    }

    /// Lets each node restart for parameters that need it, in the turn of the group.
    fn restarts(
        &self,
        config: &PatroniConfig,
        nodes: &[Handle<PatroniNode>],
        configured: &Urn,
        scope: &mut Scope<'_>,
    ) {
        let parts = nodes.iter().map(|node| node.urn().clone());
        let parts: Vec<Urn> = parts.chain([configured.clone()]).collect();
        let starts = nodes.iter().flat_map(|node| node.started_by());
        let starts: Vec<Urn> = starts.collect();
        for node in nodes {
            let mut restart = MemberRestart::of(config, node.host()).started_by(starts.clone());
            // What is wrong about a node's settings is told by the node itself.
            if let Ok((path, content)) = node.settings(scope) {
                restart = restart.settings(path, content);
            }
            scope.add(
                restart
                    .within(parts.clone())
                    .member_of(&self.group_name(), node.host()),
            );
        }
    }
}

/// What decides how long the cluster has no leader, as declared.
fn leader_timing(dcs: &DcsConfig, site: &Site) -> LeaderTiming {
    let milliseconds = |seconds: u32| u64::from(seconds) * 1000;
    LeaderTiming {
        ttl: milliseconds(dcs.timing.ttl),
        loop_wait: milliseconds(dcs.timing.loop_wait),
        start_timeout: milliseconds(dcs.primary_start_timeout),
        synchronous: dcs.synchronous != Synchronous::Off,
        settings: Probe::at(site, probe::Dcs {}),
    }
}

impl Component for PatroniCluster {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn summary(&self) -> String {
        let synchronous = match self.synchronous {
            Synchronous::Off => "asynchronous",
            Synchronous::On => "one synchronous standby",
            Synchronous::Strict => "never without a synchronous standby",
        };
        format!("raft, {synchronous}")
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let nodes = self.nodes(scope);
        self.check_voters(&nodes, scope)?;
        let access = self.access(scope)?;
        let site = Site::from(access.clone());
        let major = nodes[0].major();
        let dcs = self.dcs_config(major, nodes.len());
        let gate = self.gate(&site, nodes.len());
        let members: Vec<HostName> = nodes.iter().map(|node| node.host().clone()).collect();
        scope.claim(Claim::Voters {
            group: self.name.clone(),
            members: members.clone(),
        });
        scope.claim(Claim::Superuser {
            role: self.secrets(scope)?.superuser().user,
        });
        scope.group(Group {
            name: self.group_name(),
            members,
            gate: Some(gate.clone()),
            leadership: Some(Leadership {
                probe: gate.probe.clone(),
                site: site.clone(),
                timing: Some(leader_timing(&dcs, &site)),
            }),
            drain: None,
        });
        let parts: Vec<Urn> = nodes.iter().map(|node| node.urn().clone()).collect();
        let whole = scope.add(
            ClusterGate::new(format!("{} is whole", self.name), gate)
                .watching(parts.clone())
                .within(parts.clone()),
        );
        let config = PatroniConfig::of(&access, dcs.to_value())
            .for_postgres(u32::from(major))
            .asking(&self.own_server(scope)?);
        let whole = whole.urn().clone();
        let configured = config.clone().within(parts.into_iter().chain([whole]));
        let configured = scope.add(configured);
        self.restarts(&config, &nodes, configured.urn(), scope);
        Ok(())
    }
}
