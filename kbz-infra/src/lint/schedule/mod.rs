//! The proof of a plan: whatever schedule it allows, members of a group are disturbed one at a
//! time, and the group is whole again before the next.
//!
//! The proof is by reachability over what each step waits for. For any two steps that disturb
//! different members of a group, one must come before the other on every schedule, and a gate of
//! the group between them. The first disturbance has a gate before it. The leader is disturbed
//! last, after a switchover, with gates before and after that; or first, where a change must hold
//! on it before it can on others. What cannot be proved is a finding; a plan with one must not
//! run.
//!
//! Limits: which steps disturb a member is what the steps say, and who leads is known where the
//! plan moves the leader or the observation tells.

mod order;
#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::label::and;
use crate::diag::{Finding, Report, SourceLocation};
use crate::effect::{Action, Gate};
use crate::ident::HostName;
use crate::plan::{Plan, Step};
use crate::probe::{Observation, Reading, Seen};
use crate::resource::{Group, Impact, Op};
use order::{CURE, Order};

/// Everything about a plan that cannot be proved safe.
pub fn plan(plan: &Plan, groups: &[Group]) -> Report {
    plan_observed(plan, groups, &Observation::default())
}

/// The same, with what was observed: it tells who leads where the plan itself does not.
pub fn plan_observed(plan: &Plan, groups: &[Group], observation: &Observation) -> Report {
    let (order, mut findings) = Order::of(plan);
    for group in groups {
        let roll = Roll::of(group, plan, observation);
        findings.extend(roll.strangers());
        findings.extend(roll.overlaps(&order));
        findings.extend(roll.ungated(&order));
        findings.extend(roll.leader_findings(&order));
        findings.extend(roll.unclaimed(plan));
    }
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
            let counts = *name == group.name && step.impact >= Impact::Restart;
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
        findings
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
        self.gates
            .iter()
            .any(|gate| order.precedes(earlier.id, gate.id) && order.precedes(gate.id, later.id))
    }

    /// What is wrong about the leader's turn.
    fn leader_findings(&self, order: &Order) -> Vec<Finding> {
        if self.group.leadership.is_none() || self.group.members.len() < 2 {
            return Vec::new();
        }
        match self.switchovers.as_slice() {
            [] if self.disturbing.iter().any(|(_, step)| leader_first(step)) => {
                self.not_first(order)
            }
            [] => self.unmoved().into_iter().collect(),
            [(leader, switchover)] => self.turn(leader, switchover, order),
            [(_, first), (_, second), ..] => {
                let message = format!("the leader of {} moves twice", self.group.name);
                vec![at(
                    Finding::error("kbz::plan::leader", message),
                    &[first, second],
                )]
            }
        }
    }

    /// A change that must hold on the leader first: others that can be disturbed before it.
    fn not_first(&self, order: &Order) -> Vec<Finding> {
        let Some(leader) = self.leader.as_deref() else {
            return vec![self.perhaps_unmoved()];
        };
        let (own, others): (Vec<_>, Vec<_>) = self
            .disturbing
            .iter()
            .partition(|(member, _)| member.as_str() == leader);
        let pairs = own.iter().flat_map(|(_, first)| {
            let late = others
                .iter()
                .filter(|(_, step)| !order.precedes(first.id, step.id));
            late.map(|(member, step)| (*first, *member, *step))
        });
        pairs
            .map(|(first, member, step)| {
                let message = format!(
                    "{member} of {} can be disturbed before {leader}, which leads and must be first",
                    self.group.name
                );
                at(Finding::error("kbz::plan::leader", message), &[first, step])
            })
            .collect()
    }

    /// The leader is disturbed where it stands.
    fn unmoved(&self) -> Option<Finding> {
        let members = self.members();
        let Some(leader) = self.leader.as_deref() else {
            let everybody = members.len() == self.group.members.len();
            return everybody.then(|| self.perhaps_unmoved());
        };
        let own = self.disturbing.iter().filter(|(m, _)| m.as_str() == leader);
        let own: Vec<&Step> = own.map(|(_, step)| *step).collect();
        if own.is_empty() {
            return None;
        }
        let message = format!(
            "{leader} leads {} and is disturbed without a switchover before",
            self.group.name
        );
        Some(at(Finding::error("kbz::plan::leader", message), &own))
    }

    /// Nobody is known to lead; but if anybody does, it is one of those that are disturbed.
    fn perhaps_unmoved(&self) -> Finding {
        let message = format!(
            "all members of {} are disturbed, and no switchover is planned",
            self.group.name
        );
        Finding::warning("kbz::plan::leader", message)
            .help("whoever leads is disturbed while it leads: writes stop until another is elected")
    }

    /// One switchover: the others before it, the leader after it, gates on both sides.
    fn turn(&self, leader: &str, switchover: &Step, order: &Order) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.leader.as_deref().is_some_and(|known| known != leader) {
            let message = format!(
                "{leader} hands over {}, which it does not lead",
                self.group.name
            );
            findings.push(at(
                Finding::error("kbz::plan::leader", message),
                &[switchover],
            ));
        }
        for (member, step) in &self.disturbing {
            let (earlier, later) = if member.as_str() == leader {
                (switchover, *step)
            } else {
                (*step, switchover)
            };
            let what = if !order.precedes(earlier.id, later.id) && member.as_str() == leader {
                format!(
                    "{member} leads {} and can be disturbed before it hands over",
                    self.group.name
                )
            } else if !order.precedes(earlier.id, later.id) {
                format!(
                    "{member} of {} can be disturbed after the leader's turn",
                    self.group.name
                )
            } else if self.group.gate.is_some() && !self.gate_between(earlier, later, order) {
                format!(
                    "no gate keeps the switchover of {} apart from {member}",
                    self.group.name
                )
            } else {
                continue;
            };
            findings.push(at(
                Finding::error("kbz::plan::leader", what),
                &[*step, switchover],
            ));
        }
        findings
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

/// Whether a step's change must hold on the leader before it can on others.
fn leader_first(step: &Step) -> bool {
    let first = |action: &Action| matches!(action, Action::RestartMember { leader_first, .. } if *leader_first);
    step.effects.iter().any(|effect| first(&effect.action))
}

/// Whether a step waits at the group's own gate: one that asks less would open too early.
fn waits(step: &Step, gate: &Gate) -> bool {
    let same = |action: &Action| matches!(action, Action::Gate(found) if found.probe == gate.probe && found.condition == gate.condition);
    step.effects.iter().any(|effect| same(&effect.action))
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

/// A finding at the declarations of steps, with the steps' names below it.
fn at(finding: Finding, steps: &[&Step]) -> Finding {
    let names = and(steps
        .iter()
        .map(|step| format!("{} {}", step.op.mark(), step.urn)));
    let places = steps.iter().filter_map(|step| step.declared.as_ref());
    let places: BTreeSet<_> = places.collect();
    let finding = places.into_iter().fold(finding, |finding, place| {
        finding.label(SourceLocation::from(place), "declared here")
    });
    finding.note("steps", names).help(CURE)
}
