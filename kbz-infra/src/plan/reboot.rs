//! A reboot comes after everything else that is done on its host.

use std::collections::BTreeSet;

use super::order::following;
use super::step::{Step, StepId};
use crate::effect::Action;
use crate::probe::Site;

/// Lets each reboot wait for all other steps with an effect on its host that do not wait for it.
pub(super) fn last(steps: &mut [Step]) {
    let reboots: Vec<(StepId, Site)> = steps.iter().filter_map(rebooted).collect();
    for (id, site) in reboots {
        let behind = following(&BTreeSet::from([id]), steps);
        let there = |step: &&Step| step.effects.iter().any(|effect| effect.site == site);
        let others = steps.iter().filter(there).map(|step| step.id);
        let others: BTreeSet<StepId> = others.filter(|other| !behind.contains(other)).collect();
        if let Some(step) = steps.iter_mut().find(|step| step.id == id) {
            step.after.extend(others);
        }
    }
}

/// The host that a step starts anew.
fn rebooted(step: &Step) -> Option<(StepId, Site)> {
    let mut effects = step.effects.iter();
    let effect = effects.find(|effect| matches!(effect.action, Action::Reboot { .. }))?;
    Some((step.id, effect.site.clone()))
}
