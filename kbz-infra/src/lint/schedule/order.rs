//! What comes before what, on every schedule that a plan allows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::finding::CURE;
use crate::diag::Finding;
use crate::plan::{Plan, StepId};

/// The waits of a plan's steps.
pub(super) struct Order {
    waits: BTreeMap<StepId, BTreeSet<StepId>>,
    /// Everything before the steps that were asked about.
    before: RefCell<BTreeMap<StepId, Rc<BTreeSet<StepId>>>>,
}

impl Order {
    /// Reads the waits. A wait for a step that does not come earlier in the plan is a finding,
    /// and orders nothing.
    pub(super) fn of(plan: &Plan) -> (Self, Vec<Finding>) {
        let mut waits: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
        let mut findings = Vec::new();
        for step in &plan.steps {
            let known = step.after.iter().filter(|id| waits.contains_key(id));
            let known: BTreeSet<StepId> = known.copied().collect();
            if known.len() < step.after.len() {
                let message = format!(
                    "`{}` waits for a step that does not come before it",
                    step.urn
                );
                findings.push(Finding::error("kbz::plan::order", message).help(CURE));
            }
            if waits.insert(step.id, known).is_some() {
                let message = format!("two steps have the number {}", step.id);
                findings.push(Finding::error("kbz::plan::order", message).help(CURE));
            }
        }
        let before = RefCell::default();
        (Self { waits, before }, findings)
    }

    /// Whether `a` is done before `b` begins, whatever the schedule.
    pub(super) fn precedes(&self, a: StepId, b: StepId) -> bool {
        self.before(b).contains(&a)
    }

    /// Whether the two never run together.
    pub(super) fn ordered(&self, a: StepId, b: StepId) -> bool {
        self.precedes(a, b) || self.precedes(b, a)
    }

    fn before(&self, step: StepId) -> Rc<BTreeSet<StepId>> {
        if let Some(known) = self.before.borrow().get(&step) {
            return Rc::clone(known);
        }
        let mut reached = BTreeSet::new();
        let mut open: Vec<StepId> = self.waits_of(step).collect();
        while let Some(earlier) = open.pop() {
            if reached.insert(earlier) {
                open.extend(self.waits_of(earlier));
            }
        }
        let reached = Rc::new(reached);
        self.before.borrow_mut().insert(step, Rc::clone(&reached));
        reached
    }

    fn waits_of(&self, step: StepId) -> impl Iterator<Item = StepId> + '_ {
        self.waits.get(&step).into_iter().flatten().copied()
    }
}
