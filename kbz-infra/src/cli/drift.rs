//! Drift as a person reads it.

use std::collections::BTreeMap;

use super::preview::title::title;
use super::preview::{Detail, Heading, counted, diff, head, outlook, remark, stuck, tree};
use super::row::{Row, Style, screen};
use crate::graph::Graph;
use crate::ident::Urn;
use crate::plan::{NeededBy, Plan, Step};
use crate::resource::{self, Op, Reason};

/// What is told of drift besides the plan that puts it right.
pub(super) struct Told<'a> {
    /// How many objects have drifted.
    pub(super) drifted: usize,
    /// Those that can be put right only after a change that the program wants.
    pub(super) waiting: Vec<&'a Urn>,
    /// How many changes the program wants.
    pub(super) pending: usize,
}

/// Draws drift: found values first, declared ones after the arrow.
pub(super) fn drift(
    plan: &Plan,
    graph: &Graph,
    heading: &Heading,
    detail: Detail,
    told: &Told<'_>,
    style: Style,
) -> String {
    let pending = (told.pending > 0).then(|| {
        let changes = counted(told.pending, "change");
        format!("{changes} of the program to carry out: `preview`")
    });
    let mut rows = Vec::new();
    if told.drifted == 0 && plan.stuck.is_empty() {
        let text = format!("✓ no drift · {} · {}", plan.stack, heading.environment);
        rows.push(Row::text(text).note(pending.unwrap_or_default()));
        rows.extend(remark(heading));
        return screen(&rows, style);
    }
    rows.push(head(plan, heading));
    rows.extend(remark(heading));
    rows.push(Row::default());
    rows.extend(tree::rows(plan, graph, &heading.forecast, detail));
    for urn in &told.waiting {
        let text = format!("{} waits for a change of the program: `up`", title(urn));
        rows.push(Row::change(Op::Update, text));
    }
    rows.extend(stuck(plan));
    rows.push(Row::default());
    rows.extend(pending.map(Row::text));
    let has = if told.drifted == 1 { "has" } else { "have" };
    let total = format!("{} {has} drifted", counted(told.drifted, "object"));
    let mut ways = vec!["drift --revert puts it right · drift --adopt keeps it".to_owned()];
    ways.extend(outlook(heading));
    rows.push(
        Row::text(total)
            .note(ways.join(" · "))
            .impact(plan.impact()),
    );
    screen(&rows, style)
}

/// What became of an adoption.
pub(super) struct Adopted<'a> {
    /// Command, stack and environment.
    pub(super) title: String,
    /// What stays as it is found, with the values.
    pub(super) fields: &'a BTreeMap<Urn, BTreeMap<String, String>>,
    /// What cannot, and what is otherwise with it.
    pub(super) refused: &'a BTreeMap<&'a Urn, Vec<&'a Reason>>,
    /// What of it could stay but for who needs it.
    pub(super) needed: &'a BTreeMap<Urn, NeededBy>,
    /// The file that says so, where one was written.
    pub(super) file: Option<&'a str>,
}

/// Draws what was adopted as the change of the program that would say the same.
pub(super) fn adopted(plan: &Plan, told: &Adopted<'_>, style: Style) -> String {
    if told.fields.is_empty() && told.refused.is_empty() {
        return screen(&[Row::text(format!("✓ no {}", told.title))], style);
    }
    let mut rows = vec![Row::text(&told.title), Row::default()];
    for step in &plan.steps {
        if told.fields.contains_key(&step.urn) {
            rows.extend(as_program(step));
        } else if let Some(reasons) = told.refused.get(&step.urn) {
            rows.extend(refused(step, reasons, told.needed.get(&step.urn)));
        }
    }
    rows.push(Row::default());
    let objects = counted(told.fields.len(), "object");
    rows.push(match told.file {
        Some(file) => {
            let text = format!("✓ {objects} adopted, written to {file}");
            Row::text(text).note("better say it in the program, and take the entry out")
        }
        None => Row::text(format!("{objects} would be adopted; nothing was written")),
    });
    if !told.refused.is_empty() {
        let count = counted(told.refused.len(), "object");
        let cure = "put it right with drift --revert, or take it out of the program";
        rows.push(Row::check(false, format!("{count} not adopted")).note(cure));
    }
    screen(&rows, style)
}

/// Why something cannot stay as it is found; where it is not there, what the program would have to
/// say instead.
fn refused(step: &Step, reasons: &[&Reason], needed: Option<&NeededBy>) -> Vec<Row> {
    let mut why: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    why.extend(needed.map(|by| match by {
        NeededBy::Group(group) => format!("and its group ({group}) needs it"),
        NeededBy::Object(urn) => format!("and {} waits for it", title(urn)),
    }));
    let text = format!("{} cannot stay so: {}", title(&step.urn), why.join(", "));
    let mut rows = vec![Row::check(false, text).place(declared(step))];
    if step.op == Op::Create {
        rows.push(Row::text(without(step)).indent(2));
    }
    rows
}

/// The change of the program for an object that is to stay away.
fn without(step: &Step) -> String {
    let whose = match &step.parent {
        Some(component) => format!(
            "the declaration of {}, which it is part of,",
            title(component)
        ),
        None => "its declaration".to_owned(),
    };
    let (place, urn) = (declared(step), &step.urn);
    format!("to keep it so, take out {whose} at {place}, then `state rm '{urn}'`")
}

/// A step read the other way: what the program would have to say for it to be none.
fn as_program(step: &Step) -> Vec<Row> {
    let mut rows = vec![Row::change(Op::Adopt, title(&step.urn)).place(declared(step))];
    for reason in &step.reasons {
        if let Some((name, old, new)) = reason.as_field() {
            rows.push(Row::text(format!("{name}  {new} → {old}")).indent(2));
        }
    }
    for detail in &step.details {
        if let resource::Detail::Text { old, new } = detail {
            let lines = diff::lines(new, old);
            rows.extend(lines.iter().map(|line| Row::diff(line).indent(2)));
        }
    }
    rows
}

fn declared(step: &Step) -> String {
    step.declared
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}
