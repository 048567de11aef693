//! What the members say, each for itself.

use std::time::Duration;

use futures::future::{join, join_all};
use serde::Deserialize;
use serde_json::Value;

use super::member::{Answer, Member};
use super::raft::{self, RaftKeys};
use crate::host::pool::Hosts;
use crate::ident::HostName;
use crate::probe::{
    ClusterMember, ClusterReading, DcsReading, MemberRole, PatroniAccess, Query, RaftReading,
    Reading,
};
use crate::secret::Vault;

/// How long RAFT's own status may take.
const RAFT: Duration = Duration::from_secs(10);

/// `GET /cluster`.
#[derive(Debug, Default, Deserialize)]
struct Cluster {
    #[serde(default)]
    members: Vec<Value>,
    #[serde(default)]
    pause: bool,
}

/// One member's view.
#[derive(Debug, Clone)]
struct View {
    host: HostName,
    leader: Option<String>,
    raft: Option<RaftReading>,
    members: Vec<ClusterMember>,
    paused: bool,
}

/// Answers all queries in their order, or says why no member answers.
pub(in crate::host) async fn read(
    hosts: &Hosts,
    access: &PatroniAccess,
    vault: &Vault,
    keys: &RaftKeys,
    queries: &[&Query],
) -> Result<Vec<Reading>, String> {
    let wants_cluster = queries
        .iter()
        .any(|query| matches!(query, Query::Cluster(_)));
    let wants_dcs = queries.iter().any(|query| matches!(query, Query::Dcs(_)));
    let cluster = async {
        if wants_cluster {
            Some(cluster(hosts, access, vault, Some(keys)).await)
        } else {
            None
        }
    };
    let dcs = async {
        if wants_dcs {
            Some(config(hosts, access, vault).await)
        } else {
            None
        }
    };
    let (cluster, dcs) = join(cluster, dcs).await;
    let (cluster, dcs) = (cluster.transpose()?, dcs.transpose()?);
    let answer = |query: &&Query| match query {
        Query::Cluster(_) => cluster.clone().map(Reading::from),
        Query::Dcs(_) => dcs.clone().map(|config| DcsReading(config).into()),
        _ => None,
    };
    let readings: Option<Vec<Reading>> = queries.iter().map(answer).collect();
    readings.ok_or_else(|| "a Patroni cluster cannot be asked this".to_owned())
}

/// The cluster as all members see it, with RAFT where there are `keys` to ask it.
pub(super) async fn cluster(
    hosts: &Hosts,
    access: &PatroniAccess,
    vault: &Vault,
    keys: Option<&RaftKeys>,
) -> Result<ClusterReading, String> {
    let places = access.members.iter().enumerate();
    let asked = places.map(|(place, host)| async move {
        let member = member(hosts, access, vault, host)?;
        let raft = async {
            let known = raft(&member, access, place, vault, keys?);
            tokio::time::timeout(RAFT, known).await.ok()?
        };
        let (view, raft) = join(view(&member, host), raft).await;
        view.map(|view| View { raft, ..view })
    });
    let mut views = Vec::new();
    let mut silent = Vec::new();
    for (host, answer) in access.members.iter().zip(join_all(asked).await) {
        match answer {
            Ok(view) => views.push(view),
            Err(why) => silent.push(format!("{host}: {why}")),
        }
    }
    if views.is_empty() {
        return Err(format!("no member answers ({})", silent.join("; ")));
    }
    Ok(summary(views))
}

/// What the members say together: the list is that of the fullest view that a majority's
/// leader is named in.
fn summary(views: Vec<View>) -> ClusterReading {
    let followers = |view: &View| {
        let same = views.iter().filter(|other| other.leader == view.leader);
        same.count()
    };
    let best = views
        .iter()
        .max_by_key(|view| (view.leader.is_some(), followers(view), view.members.len()));
    let (members, paused) = best
        .map(|view| (view.members.clone(), view.paused))
        .unwrap_or_default();
    ClusterReading {
        seen_by: views
            .into_iter()
            .map(|view| (view.host, view.leader, view.raft))
            .collect(),
        members,
        paused,
    }
}

/// What a member says of its cluster; RAFT is asked beside that.
async fn view(member: &Member, host: &HostName) -> Result<View, String> {
    let answer = member.get("/cluster").await;
    let answer = answer.map_err(|error| error.to_string())?;
    let cluster: Cluster = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("its REST API says {} {}", answer.status, answer.text()))?;
    let members: Vec<ClusterMember> = cluster.members.iter().filter_map(member_of).collect();
    let leader = members
        .iter()
        .find(|member| member.role == MemberRole::Leader);
    Ok(View {
        host: host.clone(),
        leader: leader.map(|leader| leader.name.clone()),
        raft: None,
        members,
        paused: cluster.pause,
    })
}

pub(super) fn member(
    hosts: &Hosts,
    access: &PatroniAccess,
    vault: &Vault,
    host: &HostName,
) -> Result<Member, String> {
    let transport = hosts.get(host).map_err(|error| error.to_string())?;
    Member::new(transport, access, vault)
}

/// A member as `/cluster` lists it; fields that versions of Patroni add are left alone.
fn member_of(listed: &Value) -> Option<ClusterMember> {
    let text = |key: &str| listed.get(key).and_then(Value::as_str);
    Some(ClusterMember {
        name: text("name")?.to_owned(),
        role: match text("role").unwrap_or_default() {
            "leader" | "master" | "primary" => MemberRole::Leader,
            "sync_standby" | "quorum_standby" => MemberRole::SyncStandby,
            "replica" => MemberRole::Replica,
            _ => MemberRole::Other,
        },
        state: text("state").unwrap_or_default().to_owned(),
        timeline: listed.get("timeline").and_then(Value::as_u64),
        lag: listed.get("lag").and_then(Value::as_u64),
        pending_restart: listed
            .get("pending_restart")
            .and_then(Value::as_bool)
            .unwrap_or_default(),
    })
}

/// RAFT as the member in this place sees it; `None` where it cannot tell.
async fn raft(
    member: &Member,
    access: &PatroniAccess,
    place: usize,
    vault: &Vault,
    keys: &RaftKeys,
) -> Option<RaftReading> {
    let address = access.raft.addresses.get(place)?.to_string();
    let stream = member.transport().tcp(&address, access.raft.port);
    let (key, stream) = join(keys.get(&access.raft.password, vault), stream).await;
    raft::status(stream.ok()?, key?.as_ref()).await.ok()
}

/// The dynamic configuration, from the first member that answers.
pub(super) async fn config(
    hosts: &Hosts,
    access: &PatroniAccess,
    vault: &Vault,
) -> Result<Option<Value>, String> {
    let mut silent = Vec::new();
    for host in &access.members {
        let member = member(hosts, access, vault, host)?;
        let answer = member.get("/config").await;
        let config = answer.map_err(|error| error.to_string());
        match config.and_then(|answer| configuration(&answer)) {
            Ok(config) => return Ok(config),
            Err(why) => silent.push(format!("{host}: {why}")),
        }
    }
    Err(format!("no member answers ({})", silent.join("; ")))
}

/// What a member says of the configuration; `None` where it says that the cluster has none. What
/// is no configuration is no answer.
fn configuration(answer: &Answer) -> Result<Option<Value>, String> {
    let config = answer.json().filter(Value::is_object);
    match (answer.status, config) {
        (200, Some(config)) => Ok(Some(config)),
        // What Patroni says while the cluster has none.
        (502 | 404, _) => Ok(None),
        (status, _) => Err(format!("its REST API says {status} {}", answer.text())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(name: &str, role: &str) -> ClusterMember {
        let member =
            json!({"name": name, "role": role, "state": "streaming", "lag": 0, "timeline": 3});
        member_of(&member).unwrap()
    }

    fn view(host: &str, members: Vec<ClusterMember>) -> View {
        let leader = members
            .iter()
            .find(|member| member.role == MemberRole::Leader);
        View {
            host: HostName::new(host).unwrap(),
            leader: leader.map(|leader| leader.name.clone()),
            raft: None,
            members,
            paused: false,
        }
    }

    #[test]
    fn a_member_as_different_versions_list_it() {
        let member = member_of(&json!({
            "name": "db-slave-01", "role": "sync_standby", "state": "streaming",
            "timeline": 2, "lag": "unknown", "pending_restart": true, "new_in_5": {},
        }))
        .unwrap();
        assert_eq!((member.role, member.lag), (MemberRole::SyncStandby, None));
        assert!(member.pending_restart);
        assert_eq!(member_of(&json!("nonsense")), None);
    }

    #[test]
    fn what_is_no_configuration_is_no_answer() {
        let said = |status, body: &str| {
            configuration(&Answer {
                status,
                body: body.to_owned().into(),
            })
        };
        assert_eq!(said(200, r#"{"ttl": 30}"#), Ok(Some(json!({"ttl": 30}))));
        assert_eq!(said(502, "none yet"), Ok(None));
        assert_eq!(said(404, "{}"), Ok(None));
        for body in ["<html>hello</html>", "", r#"{"ttl": 3"#, "null", "[]"] {
            assert_eq!(
                said(200, body),
                Err(format!("its REST API says 200 {body}"))
            );
        }
        assert!(said(500, r#"{"ttl": 30}"#).is_err());
    }

    #[test]
    fn the_list_is_that_of_the_fullest_view_with_the_majoritys_leader() {
        let old = view(
            "one",
            vec![
                listed("one", "leader"),
                listed("two", "replica"),
                listed("three", "replica"),
            ],
        );
        let new = || vec![listed("two", "leader"), listed("three", "sync_standby")];
        let reading = summary(vec![old, view("two", new()), view("three", new())]);
        assert_eq!(reading.members, new());
        assert_eq!(reading.agreed_leader(3), Some("two"));
        assert_eq!(reading.seen_by.len(), 3);
    }
}
