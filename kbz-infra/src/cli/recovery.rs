//! What an earlier run left, and that another goes on, as a person is told.

use std::collections::BTreeMap;

use super::preview::counted;
use super::row::{Row, Style, screen};
use crate::diag::cleaned;
use crate::state::{Cut, Fate, Holder, Left, Liveness, OpId, Recovery};

/// How the state was found when its lock was taken: who had held it to the death, and what was cut
/// from its journal. Nothing where it was given back whole.
pub(super) fn draw_found(predecessor: Option<&Holder>, cut: Option<Cut>, style: Style) -> String {
    let mut rows = Vec::new();
    rows.extend(predecessor.map(|holder| {
        Row::text(format!(
            "the lock is taken over: who held it has died ({holder})"
        ))
    }));
    if let Some(cut) = cut {
        let bytes = usize::try_from(cut.bytes).unwrap_or(usize::MAX);
        let bytes = counted(bytes, "byte");
        rows.push(Row::text(format!(
            "cut from the end of the journal: {bytes} of a write that did not finish"
        )));
        rows.extend((cut.lines > 0).then(|| {
            let lines = counted(cut.lines, "whole line");
            let why = "the power failed, or the disk is damaged";
            Row::text(format!("{lines} among them, which no kill leaves: {why}")).indent(1)
        }));
    }
    screen(&rows, style)
}

/// That the state is held while it is only looked at.
pub(super) fn held(holder: &Holder) -> String {
    cleaned(&match holder.liveness() {
        Liveness::Elsewhere => {
            format!("another run says to hold the state ({holder}): look there whether it lives")
        }
        Liveness::Alive | Liveness::Dead => {
            format!("another run goes on ({holder}): what it changes from now on is not shown here")
        }
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        width: 100,
        color: false,
    };

    fn holder(host: &str, pid: u32) -> Holder {
        Holder {
            host: host.to_owned(),
            pid,
            started: "2026-11-21T09:14:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn who_died_with_the_lock_is_told() {
        let died = holder("install-01", 4121);
        assert_eq!(
            draw_found(Some(&died), None, STYLE),
            "the lock is taken over: who held it has died (pid 4121 on install-01, since \
             2026-11-21 09:14:00 UTC)\n"
        );
        assert_eq!(draw_found(None, None, STYLE), "");
    }

    #[test]
    fn what_was_cut_is_told_and_whether_a_kill_explains_it() {
        let cut = |lines| Cut {
            bytes: 17,
            remain: 300,
            lines,
        };
        let torn = "cut from the end of the journal: 17 bytes of a write that did not finish\n";
        assert_eq!(draw_found(None, Some(cut(0)), STYLE), torn);
        assert_eq!(
            draw_found(None, Some(cut(2)), STYLE),
            format!(
                "{torn}  2 whole lines among them, which no kill leaves: the power failed, or the \
                 disk is damaged\n"
            )
        );
    }

    #[test]
    fn a_run_that_goes_on_is_told_to_who_looks() {
        let host = rustix::system::uname();
        let here = holder(&host.nodename().to_string_lossy(), std::process::id());
        assert!(held(&here).starts_with("another run goes on (pid "));
        let elsewhere = held(&holder("elsewhere", 1));
        assert!(elsewhere.contains("look there whether it lives"));
    }
}
