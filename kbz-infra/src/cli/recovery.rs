//! What an earlier run left open, as a person is told.

use std::collections::BTreeMap;

use crate::state::{Fate, OpId, Recovery};

/// The lines of `screens.md`'s "after a crash": what was open, and what became of it.
pub(super) fn draw(recovery: &Recovery, fates: &BTreeMap<OpId, Fate>) -> String {
    let holder = &recovery.holder;
    let mut lines = vec![
        format!(
            "the last run ({}, pid {} on {}) ended without saying so",
            holder.started, holder.pid, holder.host
        ),
        format!(
            "  {} of its effects were open; looked at the hosts:",
            recovery.open.len()
        ),
    ];
    for open in &recovery.open {
        let intent = &open.intent;
        let fate = fates.get(&intent.op).map_or("is not known", told);
        lines.push(format!("    {}    {fate}", intent.urn));
    }
    lines.join("\n")
}

fn told(fate: &Fate) -> &'static str {
    match fate {
        Fate::Happened => "had been done",
        Fate::NotHappened => "had not been done; will be done now",
        Fate::Different => "is neither as before nor as intended; planned anew",
        Fate::Untraceable => "leaves no trace; done again where it is still needed",
        Fate::Unknown { .. } => "cannot be told: who could tell does not answer",
    }
}
