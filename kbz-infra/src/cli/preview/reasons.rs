//! Why a step is in a plan, in as few lines as say it.

use super::title::title;
use crate::ident::{HostName, Urn};
use crate::plan::Step;
use crate::resource::{Op, Reason};

/// The reasons of a step that its mark and its details do not tell already. What belongs to the
/// step's own host is named without it.
pub(super) fn lines(step: &Step) -> Vec<String> {
    if matches!(step.op, Op::Create | Op::Delete) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let mut used: Vec<Urn> = Vec::new();
    let mut lacking: Vec<&str> = Vec::new();
    for reason in &step.reasons {
        match reason {
            Reason::Content => {}
            Reason::Unmarked if step.op == Op::Adopt => {}
            Reason::Undeclared | Reason::Destroy if step.op == Op::Forget => {}
            Reason::LackingOn { host } => lacking.push(host.as_str()),
            Reason::Stale { uses } => match uses.parse() {
                Ok(urn) => used.push(urn),
                Err(_) => lines.push(reason.to_string()),
            },
            Reason::Missing
            | Reason::Field { .. }
            | Reason::SecretField { .. }
            | Reason::Unmarked
            | Reason::Renamed { .. }
            | Reason::NotRunning { .. }
            | Reason::Unmet { .. }
            | Reason::Undeclared
            | Reason::Destroy => lines.push(reason.to_string()),
        }
    }
    if !lacking.is_empty() {
        lines.push(format!("missing on {}", lacking.join(", ")));
    }
    if !used.is_empty() {
        let what = if used.len() == 1 {
            "a change"
        } else {
            "changes"
        };
        lines.push(format!("after {what} of {}", named(step, &used)));
    }
    lines
}

/// Objects by their names, those of one component on several hosts together.
fn named(step: &Step, used: &[Urn]) -> String {
    let mut names: Vec<(String, Vec<&str>)> = Vec::new();
    for urn in used {
        let host = urn.host().filter(|host| step.urn.host() != Some(*host));
        let (name, host) = match host {
            None => (format!("{} {}", urn.kind(), urn.name()), None),
            Some(host) if urn.name() == host.as_str() => (urn.kind().to_string(), Some(host)),
            Some(_) => (title(urn), None),
        };
        let place = names.iter().position(|(known, _)| *known == name);
        let place = place.unwrap_or_else(|| {
            names.push((name, Vec::new()));
            names.len() - 1
        });
        names[place].1.extend(host.map(HostName::as_str));
    }
    let names = names
        .into_iter()
        .map(|(name, hosts)| match hosts.as_slice() {
            [] => name,
            hosts => format!("{name} on {}", hosts.join(", ")),
        });
    names.collect::<Vec<_>>().join("; ")
}
