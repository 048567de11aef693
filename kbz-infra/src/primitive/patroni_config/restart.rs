//! A member of a Patroni cluster whose parameters are all in effect.
//!
//! Read: whether a parameter waits for a restart on the member, the cluster's dynamic
//! configuration and, where it is named, the file with the member's own settings. A step is
//! needed when a parameter waits, or when a change that is planned will make one wait. Its impact
//! is a restart, so in a group the planner orders the members: one at a time, a gate between,
//! the leader last after a switchover. Where a standby must not have less than its leader
//! (`max_connections` and its like), a smaller value has to hold on the leader before a standby
//! can take it: then the leader restarts first, where it stands.
//!
//! A change of the cluster's configuration notes in it what waits for a restart of which member, and
//! the restart takes the note away: a member notices the change only in its next round, so an
//! operator who is killed between the two, and comes back at once, would find nothing waiting.
//!
//! Members that the same plan starts anew for another reason are left to that: where a parameter
//! waits afterwards, the next plan restarts them. A cluster that is still to be made starts with
//! its parameters in effect.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::config::{self, PatroniConfig, is_leader_first, reason};
use super::parameters::{ImpactClass, RestartParameters};
use crate::effect::{Action, Effect, Impact, Removal};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Cluster, Path, PathReading, Probe, Site};
use crate::resource::{
    Change, Content, Context, FieldNames, Op, PlanError, Planned, Reason, Resource,
};

/// A member of a Patroni cluster whose parameters are all in effect.
#[derive(Debug, Clone)]
pub struct MemberRestart {
    config: PatroniConfig,
    member: HostName,
    settings: Option<(String, Content)>,
    started_by: BTreeSet<Urn>,
}

impl MemberRestart {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "member-restart";

    /// A member of the cluster that `config` configures. It has to come after the configuration.
    pub fn of(config: &PatroniConfig, member: &HostName) -> Self {
        Self {
            config: config.clone(),
            member: member.clone(),
            settings: None,
            started_by: BTreeSet::new(),
        }
    }

    /// The file of its host with the member's own settings, and what is to be in it.
    pub fn settings(mut self, path: impl Into<String>, content: Content) -> Self {
        self.settings = Some((path.into(), content));
        self
    }

    /// What starts members anew when it changes: their containers and units.
    pub fn started_by(mut self, resources: impl IntoIterator<Item = Urn>) -> Self {
        self.started_by.extend(resources);
        self
    }

    fn host(&self) -> Site {
        Site::Host(self.member.clone())
    }

    /// The parameters that wait, or will, for a restart; each with the reason.
    fn waiting(&self, context: &Context<'_>) -> Result<BTreeMap<String, Reason>, PlanError> {
        if context.read(&self.config.site(), &Cluster {})?.is_none() || self.is_started(context) {
            return Ok(BTreeMap::new());
        }
        let noted = self.config.noted(context, &self.member)?;
        let mut waiting: BTreeMap<String, Reason> = noted
            .into_keys()
            .map(|name| (name, waits_already()))
            .collect();
        let shared = self.config.restarting(context)?;
        let shared = shared.iter();
        waiting.extend(shared.map(|change| (change.name().to_owned(), reason(change))));
        waiting.extend(self.own(context)?);
        Ok(waiting)
    }

    /// Whether the same plan starts the member anew for another reason.
    fn is_started(&self, context: &Context<'_>) -> bool {
        let upstream = context.upstream();
        let starts = |urn: &Urn| upstream.impact(urn) >= Impact::Restart;
        self.started_by.iter().any(starts)
    }

    /// Whether a change, this plan's or an earlier one's, notes what waits for the restart.
    fn is_noted(&self, context: &Context<'_>) -> Result<bool, PlanError> {
        let noted = self.config.noted(context, &self.member)?;
        Ok(!noted.is_empty() || !self.config.restarting(context)?.is_empty())
    }

    /// A member that is started anew with a configuration that was in force before has nothing
    /// waiting then.
    fn outlived(&self, context: &Context<'_>) -> Result<Option<Change>, PlanError> {
        let noted = self.config.noted(context, &self.member)?;
        let is_settled = self.is_started(context) && self.config.restarting(context)?.is_empty();
        if noted.is_empty() || !is_settled {
            return Ok(None);
        }
        Ok(Some(Change {
            op: Op::Run,
            reasons: vec![waits_already()],
            impact: Impact::None,
            effects: vec![self.config.forget_noted(&self.member)],
            details: Vec::new(),
        }))
    }

    /// The same of the member's own settings.
    fn own(&self, context: &Context<'_>) -> Result<BTreeMap<String, Reason>, PlanError> {
        let Some((path, wanted)) = &self.settings else {
            return Ok(BTreeMap::new());
        };
        let found = context.read(&self.host(), &settings_at(path))?;
        let Some(PathReading::File(found)) = found else {
            return Ok(BTreeMap::new());
        };
        let old = parameters(found.content.as_deref().unwrap_or_default());
        let new = parameters(&wanted.text(context)?.to_string());
        Ok(differing(&old, &new, &self.config.classes(context)?))
    }

    /// Whether the leader has to go first.
    fn leader_first(&self, context: &Context<'_>) -> Result<bool, PlanError> {
        let differences = self.config.restarting(context)?;
        let noted = self.config.noted(context, &self.member)?;
        Ok(differences.iter().any(is_leader_first) || noted.into_values().any(|first| first))
    }

    fn planned(&self, context: &Context<'_>, change: Option<Change>) -> Planned {
        Planned {
            goal: context.keyed(&Digest::of(self.member.as_str())),
            change,
        }
    }

    /// Whether a parameter waits already.
    fn pending(&self, context: &Context<'_>) -> Result<bool, PlanError> {
        let cluster = context.read(&self.config.site(), &Cluster {})?;
        let mut members = cluster.iter().flat_map(|cluster| &cluster.members);
        Ok(members.any(|member| member.name == self.member.as_str() && member.pending_restart))
    }
}

/// Why a member restarts for a change that was made before.
fn waits_already() -> Reason {
    Reason::field("pending restart", "yes", "no")
}

pub(super) fn settings_at(path: &str) -> Path {
    Path {
        path: path.to_owned(),
        content: true,
    }
}

/// `patroni.yml`, as far as it counts here.
#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    postgresql: Postgresql,
}

#[derive(Default, Deserialize)]
struct Postgresql {
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

/// The parameters of a file. One that cannot be read has none: whoever put it there, Patroni
/// could not read it either.
fn parameters(yaml: &str) -> BTreeMap<String, Value> {
    let settings: Settings = serde_saphyr::from_str(yaml).unwrap_or_default();
    settings.postgresql.parameters
}

/// What differs between two sets, as far as it takes a restart.
fn differing(
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
    restarting: &RestartParameters,
) -> BTreeMap<String, Reason> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = names.into_iter().filter(|name| {
        restarting.class(name) == ImpactClass::Restart && old.get(*name) != new.get(*name)
    });
    differ
        .map(|name| {
            let text = |value| config::text(value);
            let why = Reason::field(name, text(old.get(name)), text(new.get(name)));
            (name.clone(), why)
        })
        .collect()
}

impl Resource for MemberRestart {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, self.member.as_str())
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = self.config.probes();
        probes.push(Probe::at(&self.config.site(), Cluster {}));
        if let Some((path, content)) = &self.settings {
            probes.push(Probe::at(&self.host(), settings_at(path)));
            probes.extend(content.facts().iter().cloned());
        }
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        if let Some(change) = self.outlived(context)? {
            return Ok(self.planned(context, Some(change)));
        }
        let waiting = self.waiting(context)?;
        let parameters = waiting.keys().cloned().collect();
        let mut reasons: Vec<Reason> = waiting.into_values().collect();
        if reasons.is_empty() && self.pending(context)? {
            reasons.push(waits_already());
        }
        reasons.dedup();
        let restart = Action::RestartMember {
            member: self.member.to_string(),
            parameters,
            leader_first: self.leader_first(context)?,
        };
        let mut effects = vec![Effect::new(self.config.site(), restart)];
        if self.is_noted(context)? {
            effects.push(self.config.forget_noted(&self.member));
        }
        let change = (!reasons.is_empty()).then(|| Change {
            op: Op::Run,
            reasons,
            impact: Impact::Restart,
            effects,
            details: Vec::new(),
        });
        Ok(self.planned(context, change))
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        "all parameters in effect".to_owned()
    }
}
