//! A setting of the running kernel together with the file that keeps it over a reboot.

use crate::effect::Effect;
use crate::resource::{Change, Impact, Op, Reason};

/// The change of the file with the change of what runs added.
pub(super) fn with_runtime(
    kept: Option<Change>,
    runtime: Option<(Reason, Effect)>,
) -> Option<Change> {
    let Some((reason, effect)) = runtime else {
        return kept;
    };
    let mut change = kept.unwrap_or(Change {
        op: Op::Update,
        reasons: Vec::new(),
        impact: Impact::None,
        effects: Vec::new(),
        details: Vec::new(),
    });
    change.reasons.push(reason);
    change.effects.push(effect);
    Some(change)
}
