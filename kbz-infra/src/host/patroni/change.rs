//! Changes of a cluster. An uncertain answer is resolved by looking again, never by guessing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::member::{Answer, Member, NoAnswer};
use super::view;
use crate::effect::{Action, EffectError, RunContext};
use crate::host::pool::Hosts;
use crate::host::run::{failed, tidy};
use crate::ident::HostName;
use crate::probe::{ClusterReading, Outage, PatroniAccess, Site};
use crate::secret::Vault;

/// How long Patroni may take to move the leader, and to be seen to have done so.
const SWITCHOVER: Duration = Duration::from_mins(2);
/// How long a restart of PostgreSQL may take: a checkpoint, a shutdown, a start.
const RESTART: Duration = Duration::from_mins(10);
/// The longest round of a member that is usual.
const LONG_ROUND: Duration = Duration::from_secs(10);
/// How often a member is restarted while a parameter waits all the same.
const RESTARTS: u32 = 3;
/// How long a standby gets to replay what its leader has changed.
const REPLAY: Duration = Duration::from_secs(3);
/// How often a change of the configuration is tried while others change it too.
const RACES: u32 = 5;
/// How often an uncertain outcome is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Carries an action out; `None` for one that no cluster can.
pub(in crate::host) async fn run(
    hosts: &Hosts,
    access: &PatroniAccess,
    vault: &Vault,
    action: &Action,
    run: &RunContext,
) -> Option<Result<(), EffectError>> {
    let cluster = Cluster {
        hosts,
        access,
        vault,
        run,
    };
    Some(match action {
        Action::PatchDcs { patch } => cluster.patch(patch).await,
        Action::Switchover { leader, candidate } => {
            cluster.switchover(leader, candidate.as_deref()).await
        }
        // In which turn is the plan's business.
        Action::RestartMember {
            member, parameters, ..
        } => cluster.restart(member, parameters).await,
        _ => return None,
    })
}

struct Cluster<'a> {
    hosts: &'a Hosts,
    access: &'a PatroniAccess,
    vault: &'a Vault,
    run: &'a RunContext,
}

impl Cluster<'_> {
    fn outage(&self, why: impl Into<String>) -> EffectError {
        EffectError::Unreachable(Outage::new(&Site::from(self.access.clone()), why))
    }

    fn refused(&self, what: &str, answer: &Answer) -> EffectError {
        let said = match answer.status {
            401 | 403 => format!("the REST API refuses the login {}", self.access.user),
            status => format!("{} ({status})", tidy(self.run, &answer.text())),
        };
        failed(what, said)
    }

    fn member(&self, name: &str) -> Result<Member, EffectError> {
        let host = HostName::new(name).map_err(|error| failed(name, error.to_string()))?;
        let member = view::member(self.hosts, self.access, self.vault, &host);
        member.map_err(|why| self.outage(why))
    }

    async fn view(&self) -> Result<ClusterReading, EffectError> {
        let cluster = view::cluster(self.hosts, self.access, self.vault, None).await;
        cluster.map_err(|why| self.outage(why))
    }

    /// Merges a patch into the configuration, through the first member that does it.
    async fn patch(&self, patch: &Value) -> Result<(), EffectError> {
        let what = "PATCH /config";
        for _ in 0..RACES {
            if self.holds(patch).await? {
                return Ok(());
            }
            match self.patch_once(patch).await? {
                answer if answer.status == 200 => return Ok(()),
                // Somebody else changed it, or the leader moved: look, and try again.
                answer if answer.status == 409 || answer.status == 503 => {
                    tokio::time::sleep(LOOK).await;
                }
                answer => return Err(self.refused(what, &answer)),
            }
        }
        Err(failed(what, "others change the configuration all the time"))
    }

    /// Whether the configuration is as the patch wants it.
    async fn holds(&self, patch: &Value) -> Result<bool, EffectError> {
        let config = view::config(self.hosts, self.access, self.vault).await;
        let config = config.map_err(|why| self.outage(why))?;
        let Some(config) = config else {
            return Err(failed(
                "PATCH /config",
                "the cluster has no configuration yet",
            ));
        };
        Ok(is_merged(&config, patch))
    }

    async fn patch_once(&self, patch: &Value) -> Result<Answer, EffectError> {
        let mut silent = Vec::new();
        for host in &self.access.members {
            let member = view::member(self.hosts, self.access, self.vault, host);
            let member = member.map_err(|why| self.outage(why))?;
            let deadline = super::member::SOON;
            match member.send("PATCH", "/config", Some(patch), deadline).await {
                Ok(answer) => return Ok(answer),
                Err(error) => silent.push(format!("{host}: {error}")),
            }
        }
        Err(self.outage(format!("no member answers ({})", silent.join("; "))))
    }

    /// Moves the leader, unless it has moved already.
    async fn switchover(&self, leader: &str, candidate: Option<&str>) -> Result<(), EffectError> {
        let what = format!("switchover from {leader}");
        match self.leader().await?.as_deref() {
            Some(now) if now == leader => {}
            Some(now) if candidate.is_none_or(|candidate| candidate == now) => return Ok(()),
            now => {
                return Err(EffectError::Moved {
                    what: format!("the leader of {}", self.access.scope),
                    found: now.unwrap_or("there is none").to_owned(),
                });
            }
        }
        let mut body = json!({ "leader": leader });
        if let Some(candidate) = candidate {
            body["candidate"] = candidate.into();
        }
        let answer = self
            .member(leader)?
            .send("POST", "/switchover", Some(&body), SWITCHOVER)
            .await;
        match answer {
            Ok(answer) if answer.status == 200 => {
                self.led_by_another(&what, leader, candidate).await
            }
            // "failed" or "status unknown": only the cluster itself knows.
            Ok(answer) if answer.status == 503 => {
                match self.led_by_another(&what, leader, candidate).await {
                    Err(EffectError::Failed { .. }) => Err(self.refused(&what, &answer)),
                    outcome => outcome,
                }
            }
            Ok(answer) => Err(self.refused(&what, &answer)),
            Err(error) => self.uncertain(&what, leader, candidate, &error).await,
        }
    }

    async fn uncertain(
        &self,
        what: &str,
        leader: &str,
        candidate: Option<&str>,
        error: &NoAnswer,
    ) -> Result<(), EffectError> {
        if error.may_have_run {
            return self.led_by_another(what, leader, candidate).await;
        }
        Err(self.outage(error.to_string()))
    }

    async fn leader(&self) -> Result<Option<String>, EffectError> {
        let cluster = self.view().await?;
        let leader = cluster.agreed_leader(self.access.members.len());
        Ok(leader.map(str::to_owned))
    }

    /// Waits until a majority names another leader.
    async fn led_by_another(
        &self,
        what: &str,
        leader: &str,
        candidate: Option<&str>,
    ) -> Result<(), EffectError> {
        let deadline = Instant::now() + SWITCHOVER;
        loop {
            match self.leader().await {
                Ok(Some(now)) if now != leader => {
                    return match candidate {
                        Some(candidate) if candidate != now => Err(failed(
                            what,
                            format!("{now} took over instead of {candidate}"),
                        )),
                        _ => Ok(()),
                    };
                }
                // While it moves, members may not answer, or not agree.
                Ok(_) | Err(EffectError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                return Err(failed(what, format!("{leader} still leads")));
            }
            self.run.progress.say("waits for a new leader");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Restarts PostgreSQL on a member, unless nothing waits for it any more.
    async fn restart(&self, name: &str, parameters: &[String]) -> Result<(), EffectError> {
        let what = format!("restart of PostgreSQL on {name}");
        let member = self.member(name)?;
        if !self.waits_for_restart(&member, parameters).await? {
            return Ok(());
        }
        for _ in 0..RESTARTS {
            self.restart_once(&what, &member).await?;
            if self.pending(&member).await?.is_empty() {
                return Ok(());
            }
            // A standby keeps a larger value until it has replayed the leader's smaller one.
            self.run
                .progress
                .say("a parameter still waits; restarts it again");
            tokio::time::sleep(REPLAY).await;
        }
        let pending = self.pending(&member).await?.into_iter();
        let pending: Vec<String> = pending.collect();
        let why = "still waits for a restart; a standby cannot have less of it than its leader has";
        Err(failed(what, format!("{} {why}", pending.join(", "))))
    }

    async fn restart_once(&self, what: &str, member: &Member) -> Result<(), EffectError> {
        let body = json!({ "restart_pending": true });
        match member.send("POST", "/restart", Some(&body), RESTART).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) if answer.status == 503 || answer.status == 202 => self
                .restarted(what, member)
                .await
                .map_err(|_| self.refused(what, &answer)),
            Ok(answer) => Err(self.refused(what, &answer)),
            Err(error) if error.may_have_run => self.restarted(what, member).await,
            Err(error) => Err(self.outage(error.to_string())),
        }
    }

    /// Whether a parameter of the member waits for a restart. A member notices a change of the
    /// cluster's configuration in its next round, so it gets time to notice all `parameters`.
    async fn waits_for_restart(
        &self,
        member: &Member,
        parameters: &[String],
    ) -> Result<bool, EffectError> {
        let deadline = Instant::now() + self.notice().await;
        loop {
            let pending = self.pending(member).await?;
            let noticed = parameters.iter().all(|name| pending.contains(name));
            if noticed || Instant::now() >= deadline {
                return Ok(!pending.is_empty());
            }
            self.run
                .progress
                .say("waits for the member to notice the change");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How long a member may take to notice a change of the configuration: two of its rounds.
    async fn notice(&self) -> Duration {
        let config = view::config(self.hosts, self.access, self.vault).await;
        let config = config.ok().flatten();
        let round = config.and_then(|config| config.get("loop_wait")?.as_u64());
        round.map_or(LONG_ROUND, Duration::from_secs) * 2
    }

    /// The parameters of the member that wait for a restart.
    async fn pending(&self, member: &Member) -> Result<BTreeSet<String>, EffectError> {
        let answer = member.get("/patroni").await;
        let answer = answer.map_err(|error| self.outage(error.to_string()))?;
        let status = answer
            .json()
            .ok_or_else(|| self.refused("GET /patroni", &answer))?;
        Ok(pending(&status))
    }

    /// Waits until nothing waits for a restart any more, and PostgreSQL runs.
    async fn restarted(&self, what: &str, member: &Member) -> Result<(), EffectError> {
        let deadline = Instant::now() + RESTART;
        while Instant::now() < deadline {
            if let Ok(answer) = member.get("/patroni").await
                && let Some(status) = answer.json()
            {
                let running = status.get("state").and_then(Value::as_str) == Some("running");
                if running && pending(&status).is_empty() {
                    return Ok(());
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(failed(
            what,
            format!("not done within {} s", RESTART.as_secs()),
        ))
    }
}

/// The parameters that wait for a restart, as `GET /patroni` lists them.
fn pending(status: &Value) -> BTreeSet<String> {
    let reasons = status.get("pending_restart_reason");
    let names = reasons.and_then(Value::as_object);
    let names = names.into_iter().flat_map(|names| names.keys().cloned());
    let waits = status.get("pending_restart").and_then(Value::as_bool) == Some(true);
    // Patroni before 4.0 does not say which.
    let unnamed = (waits && reasons.is_none()).then(|| "a parameter".to_owned());
    names.chain(unnamed).collect()
}

/// Whether merging `patch` into `config` would change nothing.
fn is_merged(config: &Value, patch: &Value) -> bool {
    let Some(patch) = patch.as_object() else {
        return config == patch;
    };
    patch
        .iter()
        .all(|(key, wanted)| match (config.get(key), wanted) {
            (None, Value::Null) => true,
            (None, _) | (Some(_), Value::Null) => false,
            (Some(found), wanted) => is_merged(found, wanted),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_that_is_in_already() {
        let config = json!({"ttl": 30, "postgresql": {"parameters": {"work_mem": "8MB"}}});
        for (patch, merged) in [
            (json!({"ttl": 30}), true),
            (json!({"ttl": 20}), false),
            (json!({"loop_wait": null}), true),
            (json!({"ttl": null}), false),
            (
                json!({"postgresql": {"parameters": {"work_mem": "8MB", "jit": null}}}),
                true,
            ),
            (
                json!({"postgresql": {"parameters": {"work_mem": "9MB"}}}),
                false,
            ),
            (json!({"postgresql": {"use_slots": true}}), false),
        ] {
            assert_eq!(is_merged(&config, &patch), merged, "{patch}");
        }
    }
}
