//! The body of a preview: steps under their components, alike ones folded.

use std::collections::BTreeMap;

use super::super::row::Row;
use super::{Detail, diff};
use crate::graph::Graph;
use crate::ident::{HostName, Urn};
use crate::plan::{Plan, Step};
use crate::resource::{self, Op, Reason};

/// A component or a step, with what is under it.
enum Branch<'a> {
    Component { urn: Urn, branches: Vec<Branch<'a>> },
    Step(&'a Step),
}

/// The rows of all steps.
pub(super) fn rows(plan: &Plan, graph: &Graph, detail: Detail) -> Vec<Row> {
    let mut drawing = Drawing {
        graph,
        detail,
        rows: Vec::new(),
    };
    drawing.branches(&branches(plan, graph), 0);
    drawing.rows
}

/// Hangs each step under its components, in the order of the plan.
fn branches<'a>(plan: &'a Plan, graph: &Graph) -> Vec<Branch<'a>> {
    let mut roots = Vec::new();
    for step in &plan.steps {
        let mut path = Vec::new();
        let mut above = step.parent.clone();
        while let Some(urn) = above {
            above = graph
                .component(&urn)
                .and_then(|component| component.parent.clone());
            path.push(urn);
        }
        path.reverse();
        hang(&mut roots, &path, step);
    }
    roots
}

fn hang<'a>(branches: &mut Vec<Branch<'a>>, path: &[Urn], step: &'a Step) {
    let Some((first, rest)) = path.split_first() else {
        branches.push(Branch::Step(step));
        return;
    };
    let known = branches.iter_mut().find_map(|branch| match branch {
        Branch::Component { urn, branches } if urn == first => Some(branches),
        Branch::Component { .. } | Branch::Step(_) => None,
    });
    if let Some(inner) = known {
        return hang(inner, rest, step);
    }
    let mut inner = Vec::new();
    hang(&mut inner, rest, step);
    branches.push(Branch::Component {
        urn: first.clone(),
        branches: inner,
    });
}

impl Branch<'_> {
    fn urn(&self) -> &Urn {
        match self {
            Branch::Component { urn, .. } => urn,
            Branch::Step(step) => &step.urn,
        }
    }

    fn op(&self) -> Op {
        match self {
            Branch::Step(step) => step.op,
            Branch::Component { branches, .. } => {
                let mut ops = branches.iter().map(Branch::op);
                let first = ops.next().unwrap_or(Op::Update);
                let same = |a: Op, b: Op| a == b || (a == Op::Create && b == Op::Run);
                if ops.all(|op| same(first, op)) {
                    first
                } else {
                    Op::Update
                }
            }
        }
    }

    /// What two branches must share to be shown once, their hosts aside.
    fn likeness(&self) -> String {
        match self {
            Branch::Component { urn, branches } => {
                let inner: Vec<String> = branches.iter().map(Branch::likeness).collect();
                format!("{} [{}]", urn.kind(), inner.join(", "))
            }
            Branch::Step(step) => step_likeness(step),
        }
    }
}

fn step_likeness(step: &Step) -> String {
    let own_host = step.urn.host().map_or("", HostName::as_str);
    let name = if own_host.is_empty() {
        step.urn.name().to_owned()
    } else {
        step.urn.name().replace(own_host, "HOST")
    };
    let details: Vec<String> = step
        .details
        .iter()
        .map(|detail| match detail {
            // New files differ by their host's own name and address; what counts is alike.
            resource::Detail::Text { old, .. } if old.is_empty() => "new".to_owned(),
            resource::Detail::Text { old, new } => diff::lines(old, new).join("\n"),
            resource::Detail::Note(note) => note.clone(),
        })
        .collect();
    let reasons: Vec<String> = step.reasons.iter().map(ToString::to_string).collect();
    format!(
        "{:?} {} {name} {} {} {details:?} {}",
        step.op,
        step.urn.kind(),
        step.impact,
        step.summary,
        reasons.join(";").replace(own_host, "HOST"),
    )
}

struct Drawing<'a> {
    graph: &'a Graph,
    detail: Detail,
    rows: Vec<Row>,
}

impl Drawing<'_> {
    fn branches(&mut self, branches: &[Branch<'_>], indent: usize) {
        for alike in self.folded(branches) {
            match alike[0] {
                Branch::Step(step) => self.step(step, &alike, indent),
                Branch::Component { urn, branches } => {
                    self.component(urn, branches, &alike, indent);
                }
            }
        }
    }

    /// Branches in their order, those that are alike together.
    fn folded<'b, 's>(&self, branches: &'b [Branch<'s>]) -> Vec<Vec<&'b Branch<'s>>> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<&Branch<'_>>> = Vec::new();
        for branch in branches {
            if self.detail.expand || branch.urn().host().is_none() {
                groups.push(vec![branch]);
                continue;
            }
            let place = *places.entry(branch.likeness()).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(branch);
        }
        groups
    }

    fn component(
        &mut self,
        urn: &Urn,
        branches: &[Branch<'_>],
        alike: &[&Branch<'_>],
        indent: usize,
    ) {
        let known = self.graph.component(urn);
        let place = known
            .map(|component| component.declared.to_string())
            .unwrap_or_default();
        let summary = known
            .map(|component| component.summary.clone())
            .unwrap_or_default();
        let title = if alike.len() > 1 {
            format!("{} on {}", urn.kind(), hosts(alike))
        } else {
            title(urn)
        };
        let note = if alike.len() > 1 {
            format!("{} alike, shown once", alike.len())
        } else {
            summary
        };
        self.rows.push(
            Row::change(alike[0].op(), title)
                .note(note)
                .place(place)
                .indent(indent),
        );
        self.branches(branches, indent + 1);
    }

    fn step(&mut self, step: &Step, alike: &[&Branch<'_>], indent: usize) {
        let title = if alike.len() > 1 {
            format!(
                "{} {} on {}",
                step.urn.kind(),
                step.urn.name(),
                hosts(alike)
            )
        } else if indent == 0 {
            title(&step.urn)
        } else {
            format!("{} {}", step.urn.kind(), step.urn.name())
        };
        let mut note = step.summary.clone();
        if let Some(lines) = new_lines(step) {
            note = if note.is_empty() {
                lines
            } else {
                format!("{note}, {lines}")
            };
        }
        if step.impact > resource::Impact::None {
            let impact = step.impact.to_string();
            note = if note.is_empty() {
                impact
            } else {
                format!("{note} · {impact}")
            };
        }
        let place = match (&step.declared, indent) {
            (Some(place), 0) => place.to_string(),
            _ => String::new(),
        };
        self.rows.push(
            Row::change(step.op, title)
                .note(note)
                .place(place)
                .indent(indent),
        );
        self.reasons(step, indent);
        self.details(step, indent);
    }

    fn reasons(&mut self, step: &Step, indent: usize) {
        if matches!(step.op, Op::Create | Op::Delete) {
            return;
        }
        for reason in &step.reasons {
            if *reason != Reason::Content {
                self.rows
                    .push(Row::text(reason.to_string()).indent(indent + 2));
            }
        }
    }

    fn details(&mut self, step: &Step, indent: usize) {
        for detail in &step.details {
            match detail {
                resource::Detail::Note(note) => {
                    self.rows.push(Row::text(note.clone()).indent(indent + 2));
                }
                resource::Detail::Text { old, .. } if old.is_empty() && !self.detail.contents => {}
                resource::Detail::Text { old, new } => {
                    let lines = diff::lines(old, new);
                    self.rows
                        .extend(lines.iter().map(|line| Row::diff(line).indent(indent + 2)));
                }
            }
        }
    }
}

fn new_lines(step: &Step) -> Option<String> {
    step.details.iter().find_map(|detail| match detail {
        resource::Detail::Text { old, new } if old.is_empty() => {
            Some(super::counted(new.lines().count(), "line"))
        }
        resource::Detail::Text { .. } | resource::Detail::Note(_) => None,
    })
}

fn title(urn: &Urn) -> String {
    match urn.host() {
        Some(host) if urn.name() == host.as_str() => format!("{} on {host}", urn.kind()),
        Some(host) => format!("{} {} on {host}", urn.kind(), urn.name()),
        None => format!("{} {}", urn.kind(), urn.name()),
    }
}

fn hosts(alike: &[&Branch<'_>]) -> String {
    let names: Vec<&str> = alike
        .iter()
        .filter_map(|branch| branch.urn().host())
        .map(HostName::as_str)
        .collect();
    names.join(", ")
}
