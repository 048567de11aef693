//! What an earlier run left open, as a person is told.

use std::collections::BTreeMap;

use super::row::{Row, Style, screen};
use crate::state::{Fate, Left, OpId, Recovery};

/// What was open when the last run broke off, and what became of it.
pub(super) fn draw(recovery: &Recovery, fates: &BTreeMap<OpId, Fate>, style: Style) -> String {
    let holder = &recovery.holder;
    let open = recovery.open.len();
    let mut rows = vec![
        Row::text(match recovery.left {
            Left::Silently => format!("the last run ended without saying so ({holder})"),
            Left::OnPurpose => format!("the last run was left at once ({holder})"),
        }),
        Row::text(match open {
            1 => "1 of its effects was open; looked at the hosts:".to_owned(),
            many => format!("{many} of its effects were open; looked at the hosts:"),
        })
        .indent(1),
    ];
    rows.extend(recovery.open.iter().map(|open| {
        let fate = fates.get(&open.intent.op).map_or("is not known", told);
        Row::text(open.intent.urn.to_string()).note(fate).indent(2)
    }));
    screen(&rows, style)
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
