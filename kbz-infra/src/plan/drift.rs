//! Drift: what has to be done although the program says what it said when that was done last.

use std::collections::{BTreeMap, BTreeSet};

use super::order::following;
use super::step::{Outcome, Plan, Step};
use serde::Serialize;

use crate::effect::{Effect, Record};
use crate::ident::Urn;
use crate::resource::{Change, Group, GroupName, Options, Reason, found};

/// Who cannot do without something that is out of service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeededBy {
    /// The group that it is a member of.
    Group(GroupName),
    /// An object that waits for it.
    Object(Urn),
}

impl Plan {
    /// What has drifted: objects that this plan would change, and that are remembered to be what
    /// the program still wants of them. What the program wants otherwise by now is not among it,
    /// nor what follows from that alone.
    pub fn drifted(&self, remembered: &BTreeMap<Urn, Record>) -> BTreeSet<Urn> {
        let pending = self.pending(remembered);
        let objects = self.steps.iter().filter(|step| is_of_an_object(step));
        let objects = objects.map(|step| step.urn.clone());
        objects.filter(|urn| !pending.contains(urn)).collect()
    }

    /// What of `drifted` is otherwise than it was left, and not there only because of others of it,
    /// or of what is `pending`, that change before: a restart and a gate that follow are no drift of
    /// their own.
    pub fn drifted_itself(
        &self,
        drifted: &BTreeSet<Urn>,
        pending: &BTreeSet<Urn>,
    ) -> BTreeSet<Urn> {
        let mut itself = BTreeSet::new();
        // Steps come after what they depend on.
        let mut changed: BTreeSet<&Urn> = BTreeSet::new();
        for step in &self.steps {
            let is_drift = drifted.contains(&step.urn);
            if is_drift && !follows(step, &changed) {
                itself.insert(step.urn.clone());
            }
            if is_drift || pending.contains(&step.urn) {
                changed.insert(&step.urn);
                changed.extend(&step.parent);
            }
        }
        itself
    }

    /// What the program wants otherwise than it was done last: what is new, changed, or no longer
    /// declared, and what has to be done again for it.
    pub fn pending(&self, remembered: &BTreeMap<Urn, Record>) -> BTreeSet<Urn> {
        let mut pending = BTreeSet::new();
        // With the components that they are part of. Steps come after what they depend on.
        let mut changed: BTreeSet<&Urn> = BTreeSet::new();
        for step in self.steps.iter().filter(|step| is_of_an_object(step)) {
            if !is_as_remembered(step, remembered) || follows(step, &changed) {
                pending.insert(step.urn.clone());
                changed.insert(&step.urn);
                changed.extend(&step.parent);
            }
        }
        pending
    }

    /// What this plan brings into service and cannot stay as it is found, each with one who needs
    /// it: no `up` would come to its end.
    ///
    /// Its group does, where it has a gate, whatever that says by now: who balances before a
    /// member that has stopped takes a while to notice. So does who waits for it and is not
    /// served: its gate stays closed, or it cannot be reached, in the plan `kept`, which leaves as
    /// it is found what can be.
    pub fn needed(&self, kept: &Plan, groups: &[Group]) -> BTreeMap<Urn, NeededBy> {
        let unmet = kept.steps.iter().filter(|step| is_unmet(step));
        let stuck = kept.stuck.iter().map(|stuck| &stuck.urn);
        let left: BTreeSet<&Urn> = unmet.map(|step| &step.urn).chain(stuck).collect();
        let brings = |step: &&Step| step.effects.iter().any(Effect::brings_into_service);
        let bringing = self.steps.iter().filter(brings);
        let needed = bringing.filter_map(|step| {
            let by = by_its_group(step, groups).or_else(|| self.by_another(step, &left));
            Some((step.urn.clone(), by?))
        });
        needed.collect()
    }

    /// Who waits for a step, of those that are `left` waiting.
    fn by_another(&self, step: &Step, left: &BTreeSet<&Urn>) -> Option<NeededBy> {
        let mut after = following(&BTreeSet::from([step.id]), &self.steps);
        after.remove(&step.id);
        let waits = |other: &&Step| after.contains(&other.id) && left.contains(&other.urn);
        let waiting = self.steps.iter().find(waits)?;
        Some(NeededBy::Object(waiting.urn.clone()))
    }
}

/// The group, one with a gate, of which a step brings back a member that has stopped.
fn by_its_group(step: &Step, groups: &[Group]) -> Option<NeededBy> {
    let (name, _) = step.disturbs.as_ref()?;
    let stopped = step.reasons.iter().any(Reason::is_of_a_stop);
    let gated = |group: &Group| group.name == *name && group.gate.is_some();
    (stopped && groups.iter().any(gated)).then(|| NeededBy::Group(name.clone()))
}

/// Whether a step waits for a condition that does not hold.
fn is_unmet(step: &Step) -> bool {
    let mut reasons = step.reasons.iter();
    reasons.any(|reason| matches!(reason, Reason::Unmet { .. }))
}

fn is_of_an_object(step: &Step) -> bool {
    step.outcome != Outcome::Nothing
}

fn is_as_remembered(step: &Step, remembered: &BTreeMap<Urn, Record>) -> bool {
    match &step.outcome {
        Outcome::Remember(record) => {
            let known = remembered.get(&step.urn);
            known.is_some_and(|known| known.goal == record.goal)
        }
        Outcome::Forget | Outcome::Nothing => false,
    }
}

/// Whether a step is there only because of what changes before it.
fn follows(step: &Step, changed: &BTreeSet<&Urn>) -> bool {
    let mut reasons = step.reasons.iter();
    !step.reasons.is_empty()
        && reasons.all(|reason| match reason {
            Reason::Stale { uses } => uses.parse().is_ok_and(|urn: Urn| changed.contains(&urn)),
            _ => false,
        })
}

/// What a resource ignores once the drift that was adopted is added; `None` where a change holds
/// nothing of it.
pub(super) fn left_alone(options: &Options, change: Option<&Change>) -> Option<BTreeSet<String>> {
    if options.adopted.is_empty() {
        return None;
    }
    let change = change?;
    let found = found(&change.reasons, &change.details).into_iter();
    let adopted = found.filter(|(name, value)| options.adopted.get(name) == Some(value));
    let mut ignored: BTreeSet<String> = adopted.map(|(name, _)| name).collect();
    if ignored.is_empty() {
        return None;
    }
    ignored.extend(options.ignore_changes.iter().cloned());
    Some(ignored)
}
