//! A plan without some of its steps: those that are done already, and those that must not be
//! done any more.

use std::collections::{BTreeMap, BTreeSet};

use super::order;
use super::step::{Outcome, Plan, Step, StepId, Stuck, StuckBy};

impl Plan {
    /// The same plan without the steps that are `done`, and without those that are `refused` and
    /// all that waits for them. What is left keeps its order: what waited for a step that is done
    /// waits for what that one waited for.
    pub fn reduced(self, done: &BTreeSet<StepId>, refused: &BTreeMap<StepId, StuckBy>) -> Self {
        let mut plan = self;
        let mut waits: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
        let mut held: BTreeMap<StepId, Step> = BTreeMap::new();
        let mut left: Vec<Step> = Vec::new();
        for mut step in std::mem::take(&mut plan.steps) {
            let through = step
                .after
                .iter()
                .flat_map(|earlier| match waits.get(earlier) {
                    Some(before) => before.clone(),
                    None => BTreeSet::from([*earlier]),
                });
            step.after = through.collect();
            let root = step.after.iter().find_map(|earlier| held.get(earlier));
            if done.contains(&step.id) {
                waits.insert(step.id, step.after.clone());
                plan.note_done(step);
            } else if let Some(why) = refused.get(&step.id) {
                plan.stuck.push(stuck(&step, why.clone()));
                held.insert(step.id, step);
            } else if let Some(root) = root {
                let why = StuckBy::DependsOn(root.urn.clone());
                plan.stuck.push(stuck(&step, why));
                held.insert(step.id, step);
            } else {
                left.push(step);
            }
        }
        plan.steps = order::numbered(left);
        plan
    }

    fn note_done(&mut self, step: Step) {
        match step.outcome {
            Outcome::Remember(record) => drop(self.kept.insert(step.urn, *record)),
            Outcome::Forget => drop(self.forgotten.insert(step.urn)),
            Outcome::Nothing => {}
        }
    }
}

fn stuck(step: &Step, why: StuckBy) -> Stuck {
    Stuck {
        urn: step.urn.clone(),
        why,
    }
}
