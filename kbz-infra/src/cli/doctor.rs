//! The running system in one line a check, failing ones last with what cures them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::cure;
use super::looked::Looked;
use super::row::{Row, screen as laid_out};
use super::screen::Screen;
use super::session::Session;
use crate::plan::{Problem, StuckBy, loss, searches};
use crate::probe::{
    ClusterReading, LoadBalancerReading, MemberRole, Observation, PatroniAccess, Reading, Seen,
    Site, TAKING_AWAY,
};

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
    checks.extend(objects(session.graph.len(), looked));
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
                if let Site::Patroni(access) = &probe.site {
                    checks.extend(cluster_checks(&probe.site.to_string(), access, cluster));
                }
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

fn cluster_checks(name: &str, access: &PatroniAccess, cluster: &ClusterReading) -> Vec<Check> {
    const GROUP: &str = "cluster";
    let voters = access.members.len();
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
    checks.push(raft_check(name, access, cluster));
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

/// Whether RAFT counts the declared members, and all of them agree.
fn raft_check(name: &str, access: &PatroniAccess, cluster: &ClusterReading) -> Check {
    let voters = access.members.len();
    let agreeing = cluster.raft_agreement();
    let agreement = format!("{agreeing} of {voters} voters agree");
    let what = match cluster.miscount(voters, Some(&access.raft)) {
        Some(miscount) => format!("{agreement}; {miscount}"),
        None if agreeing < voters => agreement,
        None => return Check::well("cluster", format!("{name}: raft, {agreement}")),
    };
    let cure = if cluster.undeclared_voters(&access.raft).is_empty() {
        "bring the missing member back before anything else is done to the cluster"
    } else {
        TAKING_AWAY
    };
    Check::ill("cluster", format!("{name}: raft"), what, cure)
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

/// What of so many declared objects is not as declared, or why nobody can say.
fn objects(declared: usize, looked: &Looked) -> Vec<Check> {
    if !looked.problems.is_empty() {
        return looked.problems.iter().map(refused).collect();
    }
    let mut checks = Vec::new();
    let kept = looked.plan.kept.len();
    checks.push(Check::well(
        "objects",
        format!("{kept} of {declared} as declared"),
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

/// Why there is no plan.
fn refused(problem: &Problem) -> Check {
    let known = cure(&problem.error);
    Check::ill(
        "objects",
        problem.urn.to_string(),
        problem.error.to_string(),
        known.unwrap_or("nothing is planned while it lasts"),
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::HostName;
    use crate::lint::testkit::{GOOD, group, parsed};
    use crate::probe::{RaftAccess, RaftReading};
    use crate::resource::PlanError;
    use crate::secret::SecretRef;

    fn member(number: u8) -> HostName {
        HostName::new(format!("db-{number}")).unwrap()
    }

    fn access() -> PatroniAccess {
        PatroniAccess {
            scope: "pg".to_owned(),
            members: (1..=3).map(member).collect(),
            port: 8008,
            user: "rest".to_owned(),
            password: SecretRef::new("REST"),
            raft: RaftAccess {
                addresses: (1..=3).map(|last| [10, 0, 0, last].into()).collect(),
                port: 7000,
                password: SecretRef::new("RAFT"),
            },
        }
    }

    /// The check of RAFT where so many members answer, each of which counts so many.
    fn raft(answer: u8, counted: u8) -> String {
        let voter = |last: u8| format!("10.0.0.{last}:7000");
        let told = |own: u8| RaftReading {
            has_quorum: true,
            leader: Some(voter(1)),
            connected: 2,
            partners: (1..=counted)
                .filter(|last| *last != own)
                .map(voter)
                .collect(),
        };
        let seen_by = (1..=answer).map(|own| (member(own), None, Some(told(own))));
        let cluster = ClusterReading {
            seen_by: seen_by.collect(),
            ..ClusterReading::default()
        };
        let check = raft_check("pg", &access(), &cluster);
        let fault = check.fault.map(|fault| {
            let by_hand = if fault.cure == TAKING_AWAY {
                ", by hand"
            } else {
                ""
            };
            format!(": {}{by_hand}", fault.what)
        });
        format!("{}{}", check.text, fault.unwrap_or_default())
    }

    #[test]
    fn what_stands_against_a_plan_is_told_with_its_cure() {
        let plan = parsed(GOOD);
        let urn = plan.steps[0].urn.clone();
        let looked = Looked::new(plan, Observation::default(), &[group()], &[]);
        let problem = Problem {
            urn: urn.clone(),
            declared: None,
            error: PlanError::Refused {
                what: "it is a member".to_owned(),
                help: TAKING_AWAY.to_owned(),
            },
        };
        let looked = looked.refused(vec![problem]);
        let ill = Check::ill("objects", urn.to_string(), "it is a member", TAKING_AWAY);
        assert_eq!(objects(9, &looked), [ill]);
        assert!(looked.agreed().is_err());
    }

    #[test]
    fn raft_is_well_where_it_counts_those_that_are_declared() {
        assert_eq!(raft(3, 3), "pg: raft, 3 of 3 voters agree");
        assert_eq!(raft(2, 3), "pg: raft: 2 of 3 voters agree");
        assert_eq!(
            raft(2, 2),
            "pg: raft: 2 of 3 voters agree; db-1 counts 2 voters, 3 are declared"
        );
        assert_eq!(
            raft(3, 5),
            "pg: raft: 3 of 3 voters agree; db-1 counts 5 voters, 3 are declared \
             (not declared: 10.0.0.4:7000, 10.0.0.5:7000), by hand"
        );
    }
}
