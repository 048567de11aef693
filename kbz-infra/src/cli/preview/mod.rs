//! A plan as a person reads it: grouped by component, alike hosts folded, the impact last.

mod diff;
mod tree;

use std::time::Duration;

use super::row::{Row, Style, screen};
use crate::graph::Graph;
use crate::plan::{Plan, StuckBy};
use crate::resource::{Impact, Op};

/// What the head of a preview tells besides the plan.
#[derive(Debug, Clone)]
pub struct Heading {
    /// The command: `preview` or `up`.
    pub command: String,
    /// The environment's name.
    pub environment: String,
    /// How many hosts were looked at.
    pub hosts: usize,
    /// How many objects were looked at.
    pub objects: usize,
    /// How long that took; `None` leaves it out, for snapshots.
    pub elapsed: Option<Duration>,
    /// A remark on where the answers come from, such as that the hosts are simulated.
    pub remark: Option<String>,
}

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detail {
    /// Every host by itself, also where several are alike.
    pub expand: bool,
    /// The whole content of new files.
    pub contents: bool,
}

/// Draws a plan.
pub fn draw(plan: &Plan, graph: &Graph, heading: &Heading, detail: Detail, style: Style) -> String {
    let mut rows = vec![head(plan, heading)];
    if let Some(remark) = &heading.remark {
        rows.push(Row::text(remark.clone()));
    }
    if plan.is_empty() {
        rows.push(no_changes(plan, heading));
        return screen(&rows[rows.len() - 1..], style);
    }
    rows.push(Row::default());
    rows.extend(tree::rows(plan, graph, detail));
    rows.extend(stuck(plan));
    rows.push(Row::default());
    rows.push(total(plan));
    screen(&rows, style)
}

fn head(plan: &Plan, heading: &Heading) -> Row {
    let Heading {
        command,
        environment,
        hosts,
        objects,
        ..
    } = heading;
    let row = Row::text(format!(
        "{command} · {} · environment {environment} · {}",
        plan.stack,
        counted(*hosts, "host")
    ));
    match heading.elapsed {
        Some(elapsed) => row.place(format!(
            "observed {}, {} in {:.1} s",
            counted(*hosts, "host"),
            counted(*objects, "object"),
            elapsed.as_secs_f64()
        )),
        None => row,
    }
}

/// The line of a stack that is as declared.
fn no_changes(plan: &Plan, heading: &Heading) -> Row {
    let seen = match heading.elapsed {
        Some(elapsed) => format!(", observed in {:.1} s", elapsed.as_secs_f64()),
        None => String::new(),
    };
    Row::text(format!(
        "✓ no changes · {} · {}",
        plan.stack, heading.environment
    ))
    .note(format!(
        "{} on {} as declared{seen}",
        counted(plan.kept.len(), "object"),
        counted(heading.hosts, "host"),
    ))
}

/// What is left alone because something does not answer, one line for each cause.
fn stuck(plan: &Plan) -> Vec<Row> {
    let mut causes: Vec<(String, usize)> = Vec::new();
    let mut waiting = 0;
    for stuck in &plan.stuck {
        match &stuck.why {
            StuckBy::DependsOn(_) => waiting += 1,
            StuckBy::Unreachable(outage) => {
                let cause = outage.to_string();
                match causes.iter_mut().find(|(known, _)| *known == cause) {
                    Some((_, count)) => *count += 1,
                    None => causes.push((cause, 1)),
                }
            }
        }
    }
    let mut rows = Vec::new();
    for (cause, count) in causes {
        rows.push(Row::text(format!("× {cause}")).impact(Impact::DataLoss));
        let unknown = format!("{} unknown, not absent", are(count, "object"));
        rows.push(Row::text(unknown).indent(1));
    }
    if waiting > 0 {
        let text = format!("{} for them and left alone", waits(waiting));
        rows.push(Row::text(text).indent(1));
    }
    rows
}

fn total(plan: &Plan) -> Row {
    let created = plan.count(Op::Create);
    let changed = plan.count(Op::Update) + plan.count(Op::Replace);
    let deleted = plan.count(Op::Delete);
    let mut counts = vec![
        format!("{created} to create"),
        format!("{changed} to change"),
        format!("{deleted} to delete"),
    ];
    for (op, word) in [(Op::Adopt, "to adopt"), (Op::Run, "to run")] {
        if plan.count(op) > 0 {
            counts.push(format!("{} {word}", plan.count(op)));
        }
    }
    let text = counts.join(" · ");
    let impact = plan.impact();
    let switchovers = plan.count(Op::Switchover);
    let said = if impact == Impact::None && plan.kept.is_empty() && deleted == 0 {
        "impact: none, nothing serves yet".to_owned()
    } else if switchovers > 0 {
        format!("impact: {impact} · {}", counted(switchovers, "switchover"))
    } else {
        format!("impact: {impact}")
    };
    Row::text(text).note(said).impact(impact)
}

/// `1 host`, `2 hosts`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn are(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what} is")
    } else {
        format!("{count} {what}s are")
    }
}

fn waits(count: usize) -> String {
    if count == 1 {
        "1 object waits".to_owned()
    } else {
        format!("{count} objects wait")
    }
}
