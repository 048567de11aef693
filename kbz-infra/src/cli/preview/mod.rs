//! A plan as a person reads it: grouped by component, alike hosts folded, the impact last.

pub(super) mod diff;
mod reasons;
pub(super) mod title;
pub(super) mod tree;

use std::time::Duration;

use super::row::{Row, Style, screen};
use crate::graph::Graph;
use crate::plan::{Forecast, Plan, StuckBy};
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
    /// What the plan does to writes.
    pub forecast: Forecast,
    /// Whether the order of the plan is proved.
    pub proved: bool,
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
    if plan.is_empty() {
        let mut rows = vec![no_changes(plan, heading)];
        rows.extend(remark(heading));
        rows.extend(left_out(plan, detail));
        return screen(&rows, style);
    }
    let mut rows = vec![head(plan, heading)];
    rows.extend(remark(heading));
    rows.push(Row::default());
    rows.extend(tree::rows(plan, graph, &heading.forecast, detail));
    rows.extend(stuck(plan));
    rows.extend(left_out(plan, detail));
    rows.push(Row::default());
    rows.push(total(plan, heading));
    screen(&rows, style)
}

pub(super) fn remark(heading: &Heading) -> Option<Row> {
    heading.remark.as_ref().map(Row::text)
}

pub(super) fn head(plan: &Plan, heading: &Heading) -> Row {
    let Heading {
        command,
        environment,
        hosts,
        objects,
        ..
    } = heading;
    let looked_at = format!(
        "{} on {} observed{}",
        counted(*objects, "object"),
        counted(*hosts, "host"),
        elapsed(heading),
    );
    Row::text(format!("{command} · {} · {environment}", plan.stack)).place(looked_at)
}

fn elapsed(heading: &Heading) -> String {
    heading.elapsed.map_or(String::new(), |elapsed| {
        format!(" in {:.1} s", elapsed.as_secs_f64())
    })
}

/// The line of a stack that is as declared.
fn no_changes(plan: &Plan, heading: &Heading) -> Row {
    Row::text(format!(
        "✓ no changes · {} · {}",
        plan.stack, heading.environment
    ))
    .note(format!(
        "{} on {} as declared, observed{}",
        counted(plan.kept.len(), "object"),
        counted(heading.hosts, "host"),
        elapsed(heading),
    ))
}

/// What is left alone because something does not answer, one line for each cause.
pub(super) fn stuck(plan: &Plan) -> Vec<Row> {
    let mut causes: Vec<(String, usize)> = Vec::new();
    let mut waiting = 0;
    let mut moved: Vec<Row> = Vec::new();
    for stuck in &plan.stuck {
        match &stuck.why {
            StuckBy::DependsOn(_) => waiting += 1,
            StuckBy::Moved(what) => {
                let name = title::title(&stuck.urn);
                let text = format!("× {name} is not as it was when the plan was made");
                moved.push(Row::text(text).impact(Impact::DataLoss));
                moved.push(Row::text(format!("changed: {}", what.join(", "))).indent(1));
            }
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
    if !moved.is_empty() {
        moved.push(Row::text("it is not touched: preview again").indent(1));
    }
    rows.extend(moved);
    if waiting > 0 {
        let text = format!("{} for them and left alone", waits(waiting));
        rows.push(Row::text(text).indent(1));
    }
    rows
}

/// How many names of what is left out are shown.
const NAMED: usize = 3;

/// What was not chosen: it stays as it is.
fn left_out(plan: &Plan, detail: Detail) -> Vec<Row> {
    let count = plan.left_out.len();
    if count == 0 {
        return Vec::new();
    }
    let shown = if detail.expand { count } else { NAMED };
    let names = plan.left_out.iter().take(shown).map(title::title);
    let mut names: Vec<String> = names.collect();
    if count > shown {
        names.push(format!("and {} more (--expand for all)", count - shown));
    }
    let head = format!("· {} not chosen and left alone", are(count, "object"));
    let names = names.into_iter().map(|name| Row::text(name).indent(1));
    std::iter::once(Row::text(head)).chain(names).collect()
}

fn total(plan: &Plan, heading: &Heading) -> Row {
    let created = plan.count(Op::Create);
    let changed = plan.count(Op::Update) + plan.count(Op::Replace);
    let deleted = plan.count(Op::Delete);
    let mut counts = vec![
        format!("{created} to create"),
        format!("{changed} to change"),
        format!("{deleted} to delete"),
    ];
    for (op, word) in [
        (Op::Forget, "to forget"),
        (Op::Adopt, "to adopt"),
        (Op::Run, "to run"),
    ] {
        if plan.count(op) > 0 {
            counts.push(format!("{} {word}", plan.count(op)));
        }
    }
    if !plan.left_out.is_empty() {
        counts.push(format!("{} not chosen", plan.left_out.len()));
    }
    let disturbances = disturbances(plan).into_iter();
    let said: Vec<String> = disturbances.chain(outlook(heading)).collect();
    let said = match said.as_slice() {
        [] if plan.kept.is_empty() && plan.left_out.is_empty() && deleted == 0 => {
            "none, nothing serves yet".to_owned()
        }
        [] => Impact::None.to_string(),
        some => some.join(" · "),
    };
    Row::text(counts.join(" · "))
        .note(format!("impact: {said}"))
        .impact(plan.impact())
}

/// What a plan does to writes, and whether the quorum is kept.
pub(super) fn outlook(heading: &Heading) -> Vec<String> {
    let forecast = &heading.forecast;
    let mut said = Vec::new();
    if !forecast.writes_stop.is_none() {
        said.push(format!("writes stop for {}", forecast.writes_stop));
    }
    if !forecast.commits_wait.is_none() {
        said.push(format!(
            "commits wait for a standby for {}",
            forecast.commits_wait
        ));
    }
    if forecast.rolls && heading.proved {
        said.push("quorum kept at every step".to_owned());
    }
    said
}

/// What a plan does to services, the worst first.
fn disturbances(plan: &Plan) -> Vec<String> {
    let words = [
        (Impact::DataLoss, "loss", " of data"),
        (Impact::ServiceEnds, "end", " of service"),
        (Impact::Recreate, "recreation", ""),
        (Impact::Switchover, "switchover", ""),
        (Impact::Restart, "restart", ""),
        (Impact::Reload, "reload", ""),
    ];
    let said = words.into_iter().filter_map(|(impact, word, of)| {
        let steps = plan.steps.iter().filter(|step| step.impact == impact);
        // What waits for a switchover is part of that one.
        let count = match plan.count(Op::Switchover) {
            moves if moves > 0 && impact == Impact::Switchover => moves,
            _ => steps.count(),
        };
        let plural = if impact == Impact::DataLoss {
            "es"
        } else {
            "s"
        };
        let plural = if count == 1 { "" } else { plural };
        (count > 0).then(|| format!("{count} {word}{plural}{of}"))
    });
    said.collect()
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
