//! The dynamic configuration itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::merge::Difference;
use super::parameters::{ImpactClass, RestartParameters, leader_first};
use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Contexts, Dcs, PatroniAccess, PgAccess, Probe, Site};
use crate::resource::{
    Change, Context, Detail, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// The key of the owner's mark.
const MARK: &str = "kbz";

/// The key in the mark that says which parameters still wait for a restart of which member.
const WAITS: &str = "waits";

/// The way to the parameters of PostgreSQL.
const PARAMETERS: [&str; 2] = ["postgresql", "parameters"];

/// What Patroni's dynamic configuration knows, the older names of a key among it.
const KEYS: FieldNames = FieldNames(&[
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "maximum_lag_on_syncnode",
    "max_timelines_history",
    "primary_start_timeout",
    "primary_stop_timeout",
    "master_start_timeout",
    "master_stop_timeout",
    "synchronous_mode",
    "synchronous_mode_strict",
    "synchronous_node_count",
    "failsafe_mode",
    "check_timeline",
    "pause",
    "member_slots_ttl",
    "postgresql.*",
    "standby_cluster.*",
    "slots.*",
    "permanent_slots.*",
    "permanent_replication_slots.*",
    "ignore_slots.*",
]);

/// The dynamic configuration of a Patroni cluster.
#[derive(Debug, Clone)]
pub struct PatroniConfig {
    pub(super) access: PatroniAccess,
    pub(super) goal: Value,
    restarting: RestartParameters,
    server: Option<PgAccess>,
}

impl PatroniConfig {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "patroni-config";

    /// The configuration of a cluster; a null means that a key must not be there.
    pub fn of(cluster: &PatroniAccess, goal: Value) -> Self {
        Self {
            access: cluster.clone(),
            goal,
            restarting: RestartParameters::of_major(17),
            server: None,
        }
    }

    /// The major version whose parameters are meant. Default: 17.
    pub fn for_postgres(mut self, major: u32) -> Self {
        self.restarting = RestartParameters::of_major(major);
        self
    }

    /// A server of the cluster that tells which of its parameters need a restart. While it does
    /// not answer, the table of the version counts.
    pub fn asking(mut self, server: &PgAccess) -> Self {
        self.server = Some(server.clone());
        self
    }

    /// Which parameters need a restart, where the version alone does not tell.
    pub fn restarting_on(mut self, parameters: RestartParameters) -> Self {
        self.restarting = parameters;
        self
    }

    pub(super) fn site(&self) -> Site {
        Site::from(self.access.clone())
    }

    fn mark(&self, context: &Context<'_>) -> Value {
        json!({"stack": context.stack(), "keys": super::merge::declared(&self.goal)})
    }

    /// Whether the mark is this stack's for what is declared now; what waits is beside it.
    fn is_marked(&self, context: &Context<'_>, mark: Option<&Value>) -> bool {
        let wanted = self.mark(context);
        let same = |key| mark.and_then(|mark| mark.get(key)) == wanted.get(key);
        same("stack") && same("keys")
    }

    /// What a change of each parameter takes.
    pub(super) fn classes(&self, context: &Context<'_>) -> Result<RestartParameters, PlanError> {
        let known = self.restarting.clone();
        let Some(server) = &self.server else {
            return Ok(known);
        };
        match context.read(&Site::from(server.clone()), &Contexts {}) {
            Ok(Some(told)) => Ok(known.told_by(told)),
            Ok(None) | Err(PlanError::Blocked(_)) => Ok(known),
            Err(error) => Err(error),
        }
    }

    fn change(
        &self,
        context: &Context<'_>,
        op: Op,
        reasons: Vec<Reason>,
        differences: &[Difference],
    ) -> Change {
        let mut patch = super::merge::patch(differences);
        super::merge::put(&mut patch, &[MARK.to_owned()], self.mark(context));
        Change {
            op,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::new(self.site(), Action::PatchDcs { patch })],
            details: Vec::new(),
        }
    }

    fn create(&self, context: &Context<'_>) -> Change {
        let all = super::merge::differences(&Value::Null, &self.goal, &BTreeSet::new());
        self.change(context, Op::Create, vec![Reason::Missing], &all)
    }

    fn update(&self, context: &Context<'_>, found: &Value) -> Result<Option<Change>, PlanError> {
        let mark = found.get(MARK);
        self.judge_owner(context, mark)?;
        let differences = self.differences(context, found, mark);
        if differences.is_empty() {
            let unmarked = !self.is_marked(context, mark);
            return Ok(
                unmarked.then(|| self.change(context, Op::Adopt, vec![Reason::Unmarked], &[]))
            );
        }
        let reasons = differences.iter().map(reason).collect();
        let restarting = self.restarting(context)?;
        let details = restarting.iter().map(|difference| {
            let name = difference.name();
            Detail::Note(format!("{name} takes effect when each member restarts"))
        });
        let mut change = self.change(context, Op::Update, reasons, &differences);
        self.note(&restarting, &mut change.effects);
        Ok(Some(Change {
            impact: Impact::Reload,
            details: details.collect(),
            ..change
        }))
    }

    /// Notes with the change itself what waits for a restart of every member from then on. A
    /// member notices a change only in its next round, and the order of the restarts depends on
    /// the values before: without the note neither could be told after a crash.
    fn note(&self, restarting: &[Difference], effects: &mut [Effect]) {
        for effect in effects {
            let Action::PatchDcs { patch } = &mut effect.action else {
                continue;
            };
            for (member, difference) in pairs(&self.access.members, restarting) {
                let note = [MARK, WAITS, member.as_str(), difference.name()];
                let first = is_leader_first(difference);
                super::merge::put(patch, &note.map(str::to_owned), first.into());
            }
        }
    }

    /// The parameters that a change has left waiting for a restart of a member, as it was noted;
    /// each with whether the leader has to go first.
    pub(super) fn noted(
        &self,
        context: &Context<'_>,
        member: &HostName,
    ) -> Result<BTreeMap<String, bool>, PlanError> {
        let found = context.read(&self.site(), &Dcs {})?;
        let config = found.and_then(|found| found.0.as_ref());
        let noted = config.and_then(|config| config.get(MARK)?.get(WAITS)?.get(member.as_str()));
        let noted = noted.and_then(Value::as_object).into_iter().flatten();
        let noted = noted.map(|(name, first)| (name.clone(), first.as_bool() == Some(true)));
        Ok(noted.collect())
    }

    /// Takes the note of a member away: nothing waits for its restart any more.
    pub(super) fn forget_noted(&self, member: &HostName) -> Effect {
        let mut patch = Value::Null;
        let note = [MARK, WAITS, member.as_str()].map(str::to_owned);
        super::merge::put(&mut patch, &note, Value::Null);
        Effect::new(self.site(), Action::PatchDcs { patch })
    }

    /// The keys whose change takes effect when each member restarts.
    pub(super) fn restarting(&self, context: &Context<'_>) -> Result<Vec<Difference>, PlanError> {
        let found = context.read(&self.site(), &Dcs {})?;
        let Some(found) = found.and_then(|found| found.0.as_ref()) else {
            return Ok(Vec::new());
        };
        let mut differences = self.differences(context, found, found.get(MARK));
        let classes = self.classes(context)?;
        differences.retain(|difference| class(&classes, difference) == ImpactClass::Restart);
        Ok(differences)
    }

    fn differences(
        &self,
        context: &Context<'_>,
        found: &Value,
        mark: Option<&Value>,
    ) -> Vec<Difference> {
        let keys = mark
            .and_then(|mark| mark.get("keys"))
            .and_then(Value::as_array);
        let once: BTreeSet<String> = keys
            .into_iter()
            .flatten()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect();
        let mut differences = super::merge::differences(found, &self.goal, &once);
        differences.retain(|difference| !is_ignored(context, &difference.path));
        differences
    }

    fn judge_owner(&self, context: &Context<'_>, mark: Option<&Value>) -> Result<(), PlanError> {
        let owner = mark
            .and_then(|mark| mark.get("stack"))
            .and_then(Value::as_str);
        match owner {
            Some(owner) if owner != context.stack() => Err(PlanError::Refused {
                what: format!("cluster {} belongs to stack {owner}", self.access.scope),
                help: "give this cluster another name, or manage it by that stack".to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a key is ignored, alone or with all that stands beside it under a key above it.
fn is_ignored(context: &Context<'_>, path: &[String]) -> bool {
    (1..=path.len()).any(|depth| context.ignores(&path[..depth].join(".")))
}

/// Every member with every difference.
fn pairs<'a>(
    members: &'a [HostName],
    differences: &'a [Difference],
) -> impl Iterator<Item = (&'a HostName, &'a Difference)> {
    let with_all = |member| {
        differences
            .iter()
            .map(move |difference| (member, difference))
    };
    members.iter().flat_map(with_all)
}

/// Whether a difference has to hold on the leader before it can on a standby.
pub(super) fn is_leader_first(difference: &Difference) -> bool {
    leader_first(
        difference.name(),
        difference.old.as_ref(),
        difference.new.as_ref(),
    )
}

/// What a change of one key takes.
fn class(classes: &RestartParameters, difference: &Difference) -> ImpactClass {
    match difference.path.as_slice() {
        [first, second, parameter] if [first, second] == PARAMETERS => classes.class(parameter),
        _ => ImpactClass::Reload,
    }
}

/// A value in words.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "none".to_owned(),
    }
}

pub(super) fn reason(difference: &Difference) -> Reason {
    let (old, new) = (difference.old.as_ref(), difference.new.as_ref());
    Reason::field(difference.path.join("."), text(old), text(new))
}

impl Resource for PatroniConfig {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.access.scope)
    }

    fn probes(&self) -> Vec<Probe> {
        let server = self.server.iter();
        let contexts = server.map(|server| Probe::at(&Site::from(server.clone()), Contexts {}));
        contexts.chain([Probe::at(&self.site(), Dcs {})]).collect()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let found = context.read(&self.site(), &Dcs {})?;
        let change = match found.and_then(|found| found.0.as_ref()) {
            None => Some(self.create(context)),
            Some(found) => self.update(context, found)?,
        };
        Ok(Planned {
            goal: context.keyed(&Digest::of(self.goal.to_string())),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(KEYS)
    }

    fn summary(&self) -> String {
        format!("{} keys", super::merge::declared(&self.goal).len())
    }
}
