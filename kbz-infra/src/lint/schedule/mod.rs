//! The proof of a plan: whatever schedule it allows, members of a group are disturbed one at a
//! time, and the group is whole again before the next.
//!
//! The proof is by reachability over what each step waits for. For any two steps that disturb
//! different members of a group, one must come before the other on every schedule, and a gate of
//! the group between them. The first disturbance has a gate before it. The leader is disturbed
//! last, after a switchover, with gates before and after that; or first, where a change must hold
//! on it before it can on others. A gate comes after the last disturbance too. What cannot be
//! proved is a finding; a plan with one must not run.
//!
//! Who can be drained is drained before it is disturbed, until nobody sends it new connections, and
//! is put back into service before it is waited for.
//!
//! What a step says of itself, whom it disturbs and how badly, is checked against its effects.
//!
//! Limits: a container or a unit counts as ended where the observation saw it run, and who leads
//! is known where the plan moves the leader or the observation tells.

mod closed;
mod drain;
mod effects;
mod finding;
mod leader;
mod order;
#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::diag::{Finding, Report};
use crate::effect::{Action, Gate};
use crate::ident::HostName;
use crate::plan::{Plan, Step};
use crate::probe::{Observation, Reading, Seen};
use crate::resource::{Group, Impact, Op};
use finding::at;
use order::Order;

/// Everything about a plan that cannot be proved safe.
pub fn plan(plan: &Plan, groups: &[Group]) -> Report {
    plan_observed(plan, groups, &Observation::default())
}

/// The same, with what was observed: it tells who leads where the plan itself does not.
pub fn plan_observed(plan: &Plan, groups: &[Group], observation: &Observation) -> Report {
    let (order, mut findings) = Order::of(plan);
    for group in groups.iter().filter(|group| serves(group, observation)) {
        let roll = Roll::of(group, plan, observation);
        findings.extend(roll.strangers());
        findings.extend(roll.overlaps(&order));
        findings.extend(roll.ungated(&order));
        findings.extend(roll.leader_findings(&order));
        findings.extend(roll.unclaimed(plan));
        findings.extend(roll.closed(observation));
        findings.extend(roll.undrained(&order, plan, observation));
    }
    findings.extend(effects::findings(plan, groups, observation));
    findings.into_iter().collect()
}

/// What a plan does to one group.
struct Roll<'a> {
    group: &'a Group,
    disturbing: Vec<(&'a HostName, &'a Step)>,
    gates: Vec<&'a Step>,
    switchovers: Vec<(&'a str, &'a Step)>,
    leader: Option<String>,
}

impl<'a> Roll<'a> {
    fn of(group: &'a Group, plan: &'a Plan, observation: &Observation) -> Self {
        let disturbing = plan.steps.iter().filter_map(|step| {
            let (name, member) = step.disturbs.as_ref()?;
            // Who is drained serves no more than who is stopped.
            let disturbs = step.impact >= Impact::Restart || drain::drains(step, member);
            let counts = *name == group.name && disturbs;
            counts.then_some((member, step))
        });
        let gates = plan.steps.iter();
        let gates = gates.filter(|step| group.gate.as_ref().is_some_and(|gate| waits(step, gate)));
        let switchovers = plan.steps.iter().filter_map(|step| moved(step, group));
        Self {
            group,
            disturbing: disturbing.collect(),
            gates: gates.collect(),
            switchovers: switchovers.collect(),
            leader: leader(group, observation),
        }
    }

    /// Steps that disturb somebody who is no member.
    fn strangers(&self) -> Vec<Finding> {
        let strange = self
            .disturbing
            .iter()
            .filter(|(member, _)| !self.group.members.contains(member));
        strange
            .map(|(member, step)| {
                let message = format!(
                    "`{}` disturbs {member}, no member of {}",
                    step.urn, self.group.name
                );
                at(Finding::error("kbz::plan::member", message), &[step])
                    .help("name one of the group's members: .member_of(&group, &host)")
            })
            .collect()
    }

    /// Pairs of disturbances of different members that can happen together.
    fn overlaps(&self, order: &Order) -> Vec<Finding> {
        let mut seen = BTreeSet::new();
        let mut findings = Vec::new();
        for ((a, first), (b, second)) in self.pairs() {
            if !order.ordered(first.id, second.id) && seen.insert((a, b)) {
                let message = format!(
                    "{a} and {b} of {} can be disturbed at the same time",
                    self.group.name
                );
                let finding = Finding::error("kbz::plan::overlap", message);
                findings.push(at(finding, &[first, second]));
            }
        }
        findings
    }

    /// Disturbances that nothing keeps apart from the one before, or from a sick start.
    fn ungated(&self, order: &Order) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.group.gate.is_none() && self.members().len() > 1 {
            let message = format!(
                "{} has no gate: nothing tells that a member is back before the next is disturbed",
                self.group.name
            );
            let first: Vec<&Step> = self.disturbing.iter().map(|(_, step)| *step).collect();
            return vec![
                at(Finding::error("kbz::plan::no-gate", message), &first)
                    .help("say what must hold before the next member: the `gate` of the group"),
            ];
        }
        if self.group.gate.is_none() {
            return findings;
        }
        let mut seen = BTreeSet::new();
        for ((a, first), (b, second)) in self.pairs() {
            let (earlier, later) = if order.precedes(first.id, second.id) {
                ((a, first), (b, second))
            } else {
                ((b, second), (a, first))
            };
            let apart = !order.precedes(earlier.1.id, later.1.id)
                || self.gate_between(earlier.1, later.1, order);
            if !apart && seen.insert((earlier.0, later.0)) {
                let message = format!(
                    "{} of {} can be disturbed before {} is back",
                    later.0, self.group.name, earlier.0
                );
                let finding = Finding::error("kbz::plan::no-gate", message);
                findings.push(at(finding, &[earlier.1, later.1]));
            }
        }
        findings.extend(self.sick_start(order));
        findings.extend(self.open_end(order));
        findings
    }

    /// A disturbance that no gate follows: nothing tells that the member is back.
    fn open_end(&self, order: &Order) -> Option<Finding> {
        let followed = |step: &Step| {
            let mut gates = self.gates.iter().filter(|gate| self.settles(gate));
            gates.any(|gate| order.precedes(step.id, gate.id))
        };
        let (member, step) = self.disturbing.iter().find(|(_, step)| !followed(step))?;
        let message = format!(
            "nothing tells that {member} of {} is back after it is disturbed",
            self.group.name
        );
        Some(at(Finding::error("kbz::plan::no-gate", message), &[step]))
    }

    /// A first disturbance without a gate before it: the group may not be whole to begin with.
    fn sick_start(&self, order: &Order) -> Option<Finding> {
        let gated = |step: &Step| {
            self.gates
                .iter()
                .any(|gate| order.precedes(gate.id, step.id))
        };
        let (member, step) = self.disturbing.iter().find(|(_, step)| !gated(step))?;
        let message = format!(
            "{member} of {} can be disturbed before the group is known to be whole",
            self.group.name
        );
        Some(at(Finding::error("kbz::plan::no-gate", message), &[step]))
    }

    fn gate_between(&self, earlier: &Step, later: &Step, order: &Order) -> bool {
        let between =
            |gate: &&Step| order.precedes(earlier.id, gate.id) && order.precedes(gate.id, later.id);
        self.gates
            .iter()
            .any(|gate| between(gate) && self.settles(gate))
    }

    /// Whether a gate looks only once what was done before can show.
    fn settles(&self, gate: &Step) -> bool {
        let wanted = self.group.gate.as_ref().map_or(0, |gate| gate.settle);
        let mut actions = gate.effects.iter().map(|effect| &effect.action);
        actions.any(|action| matches!(action, Action::Gate(found) if found.settle >= wanted))
    }

    /// Steps on a member's host that end services and name no group.
    fn unclaimed(&self, plan: &Plan) -> Vec<Finding> {
        // What is taken away is no longer declared, and so of no group any more.
        let ends = |step: &&Step| {
            step.disturbs.is_none()
                && step.op != Op::Delete
                && step.impact >= Impact::Restart
                && step
                    .urn
                    .host()
                    .is_some_and(|host| self.group.members.contains(host))
        };
        plan.steps
            .iter()
            .filter(ends)
            .map(|step| {
                let message = format!(
                    "`{}` has the impact {} on a member of {}, and is not rolled with it",
                    step.urn, step.impact, self.group.name
                );
                at(Finding::warning("kbz::plan::unclaimed", message), &[step])
                    .help("if it disturbs the member, say so: .member_of(&group, &host)")
            })
            .collect()
    }

    /// The members that are disturbed.
    fn members(&self) -> BTreeSet<&'a HostName> {
        self.disturbing.iter().map(|(member, _)| *member).collect()
    }

    /// All pairs of disturbances of different members.
    fn pairs(&self) -> impl Iterator<Item = (Disturbance<'a>, Disturbance<'a>)> {
        let all = self.disturbing.iter().enumerate();
        all.flat_map(|(index, first)| {
            let later = self.disturbing[index + 1..].iter();
            later
                .filter(move |second| second.0 != first.0)
                .map(move |second| (*first, *second))
        })
    }
}

/// A member and the step that disturbs it.
type Disturbance<'a> = (&'a HostName, &'a Step);

/// Whether a step waits at the group's own gate: one that asks less would open too early.
fn waits(step: &Step, gate: &Gate) -> bool {
    let same = |action: &Action| matches!(action, Action::Gate(found) if found.probe == gate.probe && found.condition == gate.condition);
    step.effects.iter().any(|effect| same(&effect.action))
}

/// Whether a group serves anybody: one behind a balancer that does not exist does not.
fn serves(group: &Group, observation: &Observation) -> bool {
    let seen = group
        .gate
        .as_ref()
        .and_then(|gate| observation.get(&gate.probe));
    match seen {
        Some(Seen::Read(Reading::LoadBalancer(balancer))) => balancer.0.is_some(),
        Some(Seen::Read(_) | Seen::Unreachable(_)) | None => true,
    }
}

/// The leader that a step moves away from, if it moves this group's.
fn moved<'a>(step: &'a Step, group: &Group) -> Option<(&'a str, &'a Step)> {
    let site = &group.leadership.as_ref()?.site;
    step.effects.iter().find_map(|effect| match &effect.action {
        Action::Switchover { leader, .. } if effect.site == *site => Some((leader.as_str(), step)),
        _ => None,
    })
}

/// Who leads, as a majority of the members says.
fn leader(group: &Group, observation: &Observation) -> Option<String> {
    let probe = &group.leadership.as_ref()?.probe;
    match observation.get(probe) {
        Some(Seen::Read(Reading::Cluster(cluster))) => cluster
            .agreed_leader(group.members.len())
            .map(str::to_owned),
        _ => None,
    }
}
