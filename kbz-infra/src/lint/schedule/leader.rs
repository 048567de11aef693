//! The leader's turn: last and after a switchover, or first where a change must hold on it first.

use super::Roll;
use super::finding::at;
use super::order::Order;
use crate::diag::Finding;
use crate::effect::Action;
use crate::plan::Step;

impl Roll<'_> {
    /// What is wrong about the leader's turn.
    pub(super) fn leader_findings(&self, order: &Order) -> Vec<Finding> {
        if self.group.leadership.is_none() || self.group.members.len() < 2 {
            return Vec::new();
        }
        match self.switchovers.as_slice() {
            [] if self.disturbing.iter().any(|(_, step)| leader_first(step)) => {
                self.not_first(order)
            }
            [] => self.unmoved().into_iter().collect(),
            [(_, switchover)] if self.disturbing.iter().any(|(_, step)| leader_first(step)) => {
                let message = format!(
                    "a change that must hold on the leader of {} first waits for its switchover",
                    self.group.name
                );
                vec![at(
                    Finding::error("kbz::plan::leader", message),
                    &[switchover],
                )]
            }
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
        findings.extend(self.misdirected(leader, switchover));
        let mut gates = self.gates.iter();
        if self.group.gate.is_some() && !gates.any(|gate| order.precedes(gate.id, switchover.id)) {
            let message = format!(
                "the leader of {} can move before the group is known to be whole",
                self.group.name
            );
            let finding = Finding::error("kbz::plan::leader", message);
            findings.push(at(finding, &[switchover]));
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

    /// A switchover to the leader itself, or to somebody who is no member.
    fn misdirected(&self, leader: &str, switchover: &Step) -> Option<Finding> {
        let mut actions = switchover.effects.iter().map(|effect| &effect.action);
        let candidate = actions.find_map(|action| match action {
            Action::Switchover { candidate, .. } => candidate.as_deref(),
            _ => None,
        })?;
        let member = |name: &str| self.group.members.iter().any(|own| own.as_str() == name);
        if candidate != leader && member(candidate) {
            return None;
        }
        let message = format!(
            "{leader} hands over to {candidate}, no other member of {}",
            self.group.name
        );
        let finding = Finding::error("kbz::plan::leader", message);
        Some(at(finding, &[switchover]))
    }
}

/// Whether a step's change must hold on the leader before it can on others.
fn leader_first(step: &Step) -> bool {
    let first = |action: &Action| matches!(action, Action::RestartMember { leader_first, .. } if *leader_first);
    step.effects.iter().any(|effect| first(&effect.action))
}
