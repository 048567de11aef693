//! The order of groups: members that must not be disturbed together.
//!
//! The leader comes last, after it has handed over; or first, where it stands, when a step says
//! that its change must hold there before it can anywhere else. A member that can be drained is
//! drained before it is disturbed, and put back into service after.

use std::collections::{BTreeMap, BTreeSet};

use super::order::following;
use super::step::{Outcome, Step, StepId};
use crate::effect::{Action, Effect};
use crate::ident::{HostName, Urn};
use crate::probe::{LoadBalancerReading, Observation, Reading, Seen};
use crate::resource::{Group, Impact, Op};

/// Orders the steps that disturb members of groups: one member at a time, the leader last and
/// after a switchover, a gate before the first and after each.
pub(super) fn order(groups: &[Group], observation: &Observation, steps: &mut Vec<Step>) {
    for group in groups {
        if protects_nobody(group, observation) {
            continue;
        }
        let leader = group.leader(observation);
        let roll = Roll::new(group, observation, steps);
        roll.lay(leader.as_ref(), steps);
    }
}

/// Which gate comes before the first member.
const BEFORE: &str = "before";

/// Whether a group stands behind a balancer that is still to be made: nobody is served by it, and
/// its gate could not open.
fn protects_nobody(group: &Group, observation: &Observation) -> bool {
    let gate = group.gate.as_ref();
    let seen = gate.and_then(|gate| observation.get(&gate.probe));
    matches!(
        seen,
        Some(Seen::Read(Reading::LoadBalancer(LoadBalancerReading(None))))
    )
}

/// One group's disturbing steps by member.
struct Roll<'a> {
    group: &'a Group,
    observation: &'a Observation,
    /// The members that commits wait for.
    confirming: BTreeSet<HostName>,
    disturbing: BTreeMap<HostName, BTreeSet<StepId>>,
    all: BTreeMap<HostName, BTreeSet<StepId>>,
    next_id: u32,
}

impl<'a> Roll<'a> {
    fn new(group: &'a Group, observation: &'a Observation, steps: &[Step]) -> Self {
        let mut disturbing: BTreeMap<HostName, BTreeSet<StepId>> = BTreeMap::new();
        let mut all: BTreeMap<HostName, BTreeSet<StepId>> = BTreeMap::new();
        for step in steps {
            let Some((name, member)) = &step.disturbs else {
                continue;
            };
            if *name != group.name {
                continue;
            }
            all.entry(member.clone()).or_default().insert(step.id);
            if step.impact >= Impact::Restart {
                disturbing
                    .entry(member.clone())
                    .or_default()
                    .insert(step.id);
            }
        }
        let next_id = steps
            .iter()
            .map(|step| step.id.0 + 1)
            .max()
            .unwrap_or_default();
        Self {
            group,
            observation,
            confirming: group.confirming(observation),
            disturbing,
            all,
            next_id,
        }
    }

    /// Adds gates and the switchover, and makes each member wait for the one before.
    fn lay(mut self, leader: Option<&HostName>, steps: &mut Vec<Step>) {
        if self.disturbing.is_empty() {
            return;
        }
        let leader_first = self.leader_goes_first(steps);
        let mut last = self.gate(BEFORE, self.repairs(steps), steps);
        for member in self.members_in_turn(leader, leader_first) {
            if Some(&member) == leader && self.group.members.len() > 1 && !leader_first {
                last = self.switchover(&member, last, steps);
            }
            let drained = self.drain(&member, last, steps);
            last = drained.map(|(step, _)| step).or(last);
            let disturbing = self.disturbing[&member].clone();
            for step in steps
                .iter_mut()
                .filter(|step| disturbing.contains(&step.id))
            {
                step.after.extend(last);
            }
            let mut after = self.all[&member].clone();
            after.extend(drained.map(|(_, port)| self.put_back(&member, port, steps)));
            last = self.gate(&format!("after {member}"), after, steps).or(last);
        }
    }

    /// Whether a change must hold on the leader before it can on anybody else.
    fn leader_goes_first(&self, steps: &[Step]) -> bool {
        let ids: BTreeSet<&StepId> = self.disturbing.values().flatten().collect();
        let mut steps = steps.iter().filter(|step| ids.contains(&step.id));
        steps.any(Step::is_leader_first)
    }

    /// Replicas in the reverse of the program's order, those that commits wait for after the
    /// others, then the leader, or the leader before.
    fn members_in_turn(&self, leader: Option<&HostName>, leader_first: bool) -> Vec<HostName> {
        let disturbed = self
            .group
            .members
            .iter()
            .rev()
            .filter(|m| self.disturbing.contains_key(*m));
        let (leading, mut following): (Vec<_>, Vec<_>) = disturbed
            .cloned()
            .partition(|member| Some(member) == leader);
        // Stable: each of the two keeps its order.
        following.sort_by_key(|member| self.confirming.contains(member));
        if leader_first {
            leading.into_iter().chain(following).collect()
        } else {
            following.into_iter().chain(leading).collect()
        }
    }

    /// What should be done first: the steps of members that are not disturbed, and those that put
    /// into service who was left drained.
    fn repairs(&self, steps: &[Step]) -> BTreeSet<StepId> {
        let members = self
            .all
            .iter()
            .filter(|(member, _)| !self.disturbing.contains_key(*member));
        let untouched = members.flat_map(|(_, ids)| ids.iter().copied());
        let own = |step: &&Step| {
            let group = step.disturbs.as_ref().map(|(name, _)| name);
            group == Some(&self.group.name) && puts_back(step)
        };
        let left = steps.iter().filter(own).map(|step| step.id);
        untouched.chain(left).collect()
    }

    /// Takes a member out of service, where that can be done, once all is ready for what disturbs
    /// it. The step, and the port on which it is told.
    fn drain(
        &mut self,
        member: &HostName,
        last: Option<StepId>,
        steps: &mut Vec<Step>,
    ) -> Option<(StepId, u16)> {
        let (port, drained) = self.group.drainable(member, self.observation)?;
        let mut after = ready(&self.disturbing[member], steps);
        after.extend(last);
        let effects = [
            set_drain(member, port, true),
            Effect::new(drained.probe.site.clone(), Action::Gate(drained.clone())),
        ];
        let step = self.of_member(
            "drain",
            member,
            "the balancer sends it no new connections",
            effects.into(),
            after,
            steps,
        );
        Some((step, port))
    }

    /// Puts a member back into service. What waits for its change from outside the group, such as
    /// a look at the balancer, waits for this too.
    fn put_back(&mut self, member: &HostName, port: u16, steps: &mut Vec<Step>) -> StepId {
        let own = self.all[member].clone();
        let waits = |step: &Step| !step.after.is_disjoint(&own) && !own.contains(&step.id);
        let leads_back = |step: &Step| !following(&[step.id].into(), steps).is_disjoint(&own);
        let outside = steps.iter().filter(|step| waits(step) && !leads_back(step));
        let outside: BTreeSet<StepId> = outside.map(|step| step.id).collect();
        let effects = vec![set_drain(member, port, false)];
        let back = self.of_member("undrain", member, "in service again", effects, own, steps);
        for step in steps.iter_mut().filter(|step| outside.contains(&step.id)) {
            step.after.insert(back);
        }
        back
    }

    fn of_member(
        &mut self,
        what: &str,
        member: &HostName,
        summary: &str,
        effects: Vec<Effect>,
        after: BTreeSet<StepId>,
        steps: &mut Vec<Step>,
    ) -> StepId {
        let urn = Urn::global(what, member.as_str());
        let id = self.add(urn, Op::Run, Impact::None, effects, after, steps);
        if let Some(step) = steps.last_mut() {
            step.disturbs = Some((self.group.name.clone(), member.clone()));
            summary.clone_into(&mut step.summary);
        }
        id
    }

    fn gate(
        &mut self,
        when: &str,
        after: BTreeSet<StepId>,
        steps: &mut Vec<Step>,
    ) -> Option<StepId> {
        let mut gate = self.group.gate.clone()?;
        if when == BEFORE {
            // Nothing has just been done.
            gate.settle = 0;
        }
        let name = format!("{} {when}", self.group.name);
        let effect = Effect::new(gate.probe.site.clone(), Action::Gate(gate));
        Some(self.add(
            Urn::global("gate", name),
            Op::Run,
            Impact::None,
            vec![effect],
            after,
            steps,
        ))
    }

    fn switchover(
        &mut self,
        leader: &HostName,
        after: Option<StepId>,
        steps: &mut Vec<Step>,
    ) -> Option<StepId> {
        let Some(leadership) = &self.group.leadership else {
            return after;
        };
        let action = Action::Switchover {
            leader: leader.to_string(),
            candidate: None,
        };
        let effect = Effect::new(leadership.site.clone(), action);
        let urn = Urn::global("switchover", format!("{} from {leader}", self.group.name));
        let waits = after.into_iter().collect();
        let moved = self.add(
            urn,
            Op::Switchover,
            Impact::Switchover,
            vec![effect],
            waits,
            steps,
        );
        self.gate("after the switchover", BTreeSet::from([moved]), steps)
            .or(Some(moved))
    }

    fn add(
        &mut self,
        urn: Urn,
        op: Op,
        impact: Impact,
        effects: Vec<Effect>,
        after: BTreeSet<StepId>,
        steps: &mut Vec<Step>,
    ) -> StepId {
        let id = StepId(self.next_id);
        self.next_id += 1;
        steps.push(Step {
            id,
            urn,
            op,
            reasons: Vec::new(),
            impact,
            details: Vec::new(),
            summary: String::new(),
            effects,
            after,
            outcome: Outcome::Nothing,
            parent: None,
            declared: None,
            disturbs: None,
            timeout: None,
            retries: 0,
        });
        id
    }
}

/// What the steps that disturb a member wait for, as far as it does not wait for one of them.
fn ready(disturbing: &BTreeSet<StepId>, steps: &[Step]) -> BTreeSet<StepId> {
    let following = following(disturbing, steps);
    let disturbing = steps.iter().filter(|step| disturbing.contains(&step.id));
    let waits = disturbing.flat_map(|step| &step.after);
    waits
        .filter(|id| !following.contains(id))
        .copied()
        .collect()
}

fn set_drain(member: &HostName, port: u16, drained: bool) -> Effect {
    Effect::on(member, Action::SetDrain { port, drained })
}

/// Whether a step puts somebody into service.
fn puts_back(step: &Step) -> bool {
    let mut effects = step.effects.iter();
    effects.any(|effect| matches!(effect.action, Action::SetDrain { drained: false, .. }))
}
