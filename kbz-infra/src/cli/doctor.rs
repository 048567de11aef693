//! The running system in one line a check, failing ones last with what cures them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::looked::Looked;
use super::row::{Row, screen as laid_out};
use super::screen::Screen;
use super::session::Session;
use crate::plan::{StuckBy, loss, searches};
use crate::probe::{ClusterReading, LoadBalancerReading, MemberRole, Observation, Reading, Seen};

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What kind of check: `hosts`, `cluster`, `load balancer`, `objects`.
    pub(super) group: &'static str,
    /// What was looked at, and what was seen.
    pub(super) text: String,
    /// What is wrong and what cures it, when something is.
    pub(super) fault: Option<Fault>,
}

/// What is wrong, and what cures it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    what: String,
    cure: String,
}

impl Check {
    fn well(group: &'static str, text: impl Into<String>) -> Self {
        Self {
            group,
            text: text.into(),
            fault: None,
        }
    }

    fn ill(
        group: &'static str,
        text: impl Into<String>,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        let fault = Fault {
            what: what.into(),
            cure: cure.into(),
        };
        Self {
            group,
            text: text.into(),
            fault: Some(fault),
        }
    }
}

/// All checks on what was read.
pub(super) fn checks(session: &Session, looked: &Looked) -> Vec<Check> {
    let mut checks = hosts(&looked.observation);
    checks.extend(clusters(&looked.observation));
    checks.extend(losses(session, looked));
    checks.extend(balancers(&looked.observation));
    checks.extend(objects(session, looked));
    checks.sort_by_key(|check| check.fault.is_some());
    checks
}

fn hosts(observation: &Observation) -> Vec<Check> {
    let silent = observation.outages();
    let mut seen = BTreeMap::new();
    for (probe, answer) in observation.iter() {
        if let Some(host) = probe.site.host() {
            let facts = match answer {
                Seen::Read(Reading::Facts(facts)) => Some(facts),
                Seen::Read(_) | Seen::Unreachable(_) => None,
            };
            let known = seen.entry(host).or_insert((&probe.site, None));
            known.1 = known.1.or(facts);
        }
    }
    seen.into_iter()
        .map(|(host, (site, facts))| match (silent.get(site), facts) {
            (Some(outage), _) => Check::ill(
                "hosts",
                host.as_str(),
                outage.why.clone(),
                format!("look at the host; `ssh {host}` should answer"),
            ),
            (None, Some(facts)) => {
                let docker = facts.docker.as_deref();
                let docker = docker.map_or("no Docker".to_owned(), |version| {
                    format!("Docker {version}")
                });
                Check::well(
                    "hosts",
                    format!(
                        "{host} answers, {docker}, clock {:+.1} s",
                        facts.clock_offset
                    ),
                )
            }
            (None, None) => Check::well("hosts", format!("{host} answers")),
        })
        .collect()
}

fn clusters(observation: &Observation) -> Vec<Check> {
    let mut checks = Vec::new();
    for (probe, answer) in observation.iter() {
        match answer {
            Seen::Read(Reading::Cluster(cluster)) => {
                checks.extend(cluster_checks(&probe.site.to_string(), cluster));
            }
            Seen::Unreachable(outage) if matches!(probe.query, crate::probe::Query::Cluster(_)) => {
                checks.push(Check::ill(
                    "cluster",
                    probe.site.to_string(),
                    outage.why.clone(),
                    "run `up`; then look at `journalctl -u patroni-docker` on a member",
                ));
            }
            Seen::Read(_) | Seen::Unreachable(_) => {}
        }
    }
    checks
}

fn cluster_checks(name: &str, cluster: &ClusterReading) -> Vec<Check> {
    const GROUP: &str = "cluster";
    let voters = cluster.members.len().max(cluster.seen_by.len());
    let mut checks = Vec::new();
    checks.push(match cluster.agreed_leader(voters) {
        Some(leader) => Check::well(GROUP, format!("{name}: the leader is {leader}")),
        None => Check::ill(
            GROUP,
            format!("{name}: the leader"),
            "no majority of members names one",
            "wait for an election; if it lasts, look at `journalctl -u patroni-docker`",
        ),
    });
    let agreeing = cluster.raft_agreement();
    checks.push(if agreeing == voters {
        Check::well(
            GROUP,
            format!("{name}: raft, {agreeing} of {voters} voters agree"),
        )
    } else {
        Check::ill(
            GROUP,
            format!("{name}: raft"),
            format!("{agreeing} of {voters} voters agree"),
            "bring the missing member back before anything else is done to the cluster",
        )
    });
    for member in cluster
        .members
        .iter()
        .filter(|member| member.role != MemberRole::Leader)
    {
        let role = match member.role {
            MemberRole::SyncStandby => "synchronous standby",
            MemberRole::Leader | MemberRole::Replica | MemberRole::Other => "replica",
        };
        let text = format!("{name}: {} is a {role}", member.name);
        let behind = member.lag.map_or_else(
            || "lag unknown".to_owned(),
            |lag| format!("{lag} bytes behind"),
        );
        checks.push(
            if matches!(member.state.as_str(), "streaming" | "running") {
                Check::well(GROUP, format!("{text}, {}, {behind}", member.state))
            } else {
                Check::ill(
                    GROUP,
                    text,
                    format!("it is {}, {behind}", member.state),
                    format!("look at `journalctl -u patroni-docker` on {}", member.name),
                )
            },
        );
    }
    for member in cluster
        .members
        .iter()
        .filter(|member| member.pending_restart)
    {
        checks.push(Check::ill(
            GROUP,
            format!("{name}: {}", member.name),
            "a changed parameter waits for a restart",
            format!(
                "`patronictl restart {name} {}` at a quiet time",
                member.name
            ),
        ));
    }
    checks
}

/// What the loss of a leader's host would do to writes, with the settings in force.
fn losses(session: &Session, looked: &Looked) -> Vec<Check> {
    let searches = searches(&session.graph);
    let groups = session.graph.groups().iter();
    let spans = groups.filter_map(|group| {
        let span = loss(group, &searches, &looked.observation)?;
        let name = &group.name;
        let text = format!("{name}: without its leader's host, writes stop for {span}");
        Some(Check::well("cluster", text))
    });
    spans.collect()
}

fn balancers(observation: &Observation) -> Vec<Check> {
    let mut checks = Vec::new();
    for (_, answer) in observation.iter() {
        let Seen::Read(Reading::LoadBalancer(LoadBalancerReading(Some(balancer)))) = answer else {
            continue;
        };
        for service in &balancer.services {
            let port = service.listen_port;
            let healthy = balancer.healthy_targets(port).len();
            let all = balancer.targets.len();
            let text = format!(
                "{}:{port}, {healthy} of {all} targets healthy",
                balancer.name
            );
            checks.push(if healthy == all && all > 0 {
                Check::well("load balancer", text)
            } else {
                Check::ill(
                    "load balancer",
                    format!("{}:{port}", balancer.name),
                    format!("{healthy} of {all} targets are healthy"),
                    "look at `systemctl status haproxy-docker` on the others",
                )
            });
        }
    }
    checks
}

fn objects(session: &Session, looked: &Looked) -> Vec<Check> {
    let mut checks = Vec::new();
    let kept = looked.plan.kept.len();
    checks.push(Check::well(
        "objects",
        format!("{kept} of {} as declared", session.graph.len()),
    ));
    for step in &looked.plan.steps {
        let reasons: Vec<String> = step.reasons.iter().map(ToString::to_string).collect();
        checks.push(Check::ill(
            "objects",
            step.urn.to_string(),
            reasons.join(", "),
            "`preview` shows what would be done, `up` does it",
        ));
    }
    let unknown = looked.plan.stuck.iter();
    let unknown = unknown
        .filter(|stuck| matches!(stuck.why, StuckBy::Unreachable(_)))
        .count();
    if unknown > 0 {
        checks.push(Check::ill(
            "objects",
            super::preview::counted(unknown, "object"),
            "unknown: what should tell does not answer",
            "see the hosts and the cluster above",
        ));
    }
    checks
}

/// The checks as people read them, or as JSON, one a line.
pub(super) fn draw(checks: &[Check], screen: Screen) -> String {
    if screen.json {
        let lines = checks
            .iter()
            .filter_map(|check| serde_json::to_string(check).ok());
        return lines.map(|line| line + "\n").collect();
    }
    let mut rows = Vec::new();
    let mut group = "";
    let well = checks.iter().filter(|check| check.fault.is_none());
    for check in well {
        if check.group != group {
            group = check.group;
            rows.push(Row::text(group));
        }
        rows.push(Row::check(true, &check.text).indent(1));
    }
    let ill: Vec<(&Check, &Fault)> = checks
        .iter()
        .filter_map(|check| Some((check, check.fault.as_ref()?)))
        .collect();
    for alike in ill.chunk_by(|(_, one), (_, other)| one.cure == other.cure) {
        for (check, fault) in alike.iter().take(SHOWN) {
            rows.push(Row::check(false, &check.text).note(&fault.what));
        }
        if alike.len() > SHOWN {
            rows.push(Row::text(format!("… and {} more", alike.len() - SHOWN)).indent(1));
        }
        rows.extend(
            alike
                .first()
                .map(|(_, fault)| Row::text(&fault.cure).indent(2)),
        );
    }
    rows.push(Row::check(
        ill.is_empty(),
        format!("{} well · {} ill", checks.len() - ill.len(), ill.len()),
    ));
    laid_out(&rows, screen.result_style)
}

/// More checks than this that one thing cures are counted, not shown.
const SHOWN: usize = 8;
