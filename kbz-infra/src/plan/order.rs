//! The final order of steps.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{Step, StepId};

/// Some steps, with all that wait for one of them, directly or not.
pub(super) fn following(some: &BTreeSet<StepId>, steps: &[Step]) -> BTreeSet<StepId> {
    let mut found = some.clone();
    loop {
        let known = found.len();
        let waiting = steps.iter().filter(|step| !step.after.is_disjoint(&found));
        let waiting: Vec<StepId> = waiting.map(|step| step.id).collect();
        found.extend(waiting);
        if found.len() == known {
            return found;
        }
    }
}

/// Sorts steps so that each comes after all that it waits for, otherwise in the order given,
/// and numbers them by their place.
///
/// # Panics
/// When steps wait for each other: the planner only adds waits that follow the graph's order.
pub(super) fn numbered(steps: Vec<Step>) -> Vec<Step> {
    let mut waiting: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    let mut followers: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for step in &steps {
        waiting.insert(step.id, step.after.clone());
        for earlier in &step.after {
            followers.entry(*earlier).or_default().push(step.id);
        }
    }
    let mut ready: BTreeSet<StepId> = waiting
        .iter()
        .filter(|(_, after)| after.is_empty())
        .map(|(id, _)| *id)
        .collect();
    let mut numbers: BTreeMap<StepId, StepId> = BTreeMap::new();
    while let Some(id) = ready.pop_first() {
        let number = u32::try_from(numbers.len()).expect("a plan has fewer than 2^32 steps");
        numbers.insert(id, StepId(number));
        for follower in followers.get(&id).into_iter().flatten() {
            let left = waiting
                .get_mut(follower)
                .expect("every step waits for something known");
            left.remove(&id);
            if left.is_empty() {
                ready.insert(*follower);
            }
        }
    }
    assert_eq!(
        numbers.len(),
        steps.len(),
        "steps of a plan wait for each other"
    );
    let mut renumbered: Vec<Step> = steps
        .into_iter()
        .map(|step| Step {
            id: numbers[&step.id],
            after: step.after.iter().map(|earlier| numbers[earlier]).collect(),
            ..step
        })
        .collect();
    renumbered.sort_by_key(|step| step.id);
    renumbered
}
