//! The body of a preview: steps under their components, alike ones folded.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::row::Row;
use super::title::title;
use super::{Detail, diff, reasons};
use crate::graph::Graph;
use crate::ident::{HostName, Urn};
use crate::plan::{Cause, Forecast, Pause, Plan, Step};
use crate::resource::{self, Op};

/// A component or a step, with what is under it.
enum Branch<'a> {
    Component { urn: Urn, branches: Vec<Branch<'a>> },
    Step(&'a Step),
}

/// The rows of all steps.
pub(in crate::cli) fn rows(
    plan: &Plan,
    graph: &Graph,
    forecast: &Forecast,
    detail: Detail,
) -> Vec<Row> {
    let mut drawing = Drawing {
        graph,
        forecast,
        detail,
        standing: standing(plan, graph),
        within_fold: false,
        rows: Vec::new(),
    };
    drawing.branches(&branches(plan, graph), 0);
    drawing.rows
}

/// The components of which something is there as declared already.
fn standing(plan: &Plan, graph: &Graph) -> BTreeSet<Urn> {
    let mut standing = BTreeSet::new();
    for kept in plan.kept.keys() {
        let mut above = graph.node(kept).and_then(|node| node.parent.clone());
        while let Some(urn) = above {
            above = graph
                .component(&urn)
                .and_then(|component| component.parent.clone());
            standing.insert(urn);
        }
    }
    standing
}

/// Hangs each step under its components, in the order of the plan. What belongs to no host, such
/// as an image that is built here for many, does not hang under a host.
fn branches<'a>(plan: &'a Plan, graph: &Graph) -> Vec<Branch<'a>> {
    let mut roots = Vec::new();
    for step in &plan.steps {
        let mut path = Vec::new();
        let mut above = step.parent.clone();
        while let Some(urn) = above {
            above = graph
                .component(&urn)
                .and_then(|component| component.parent.clone());
            if urn.host().is_none() || step.urn.host().is_some() {
                path.push(urn);
            }
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

    /// The mark of a step, and for a component what becomes of it as a whole: it is new when
    /// parts of it are made and none is there as declared.
    fn op(&self, standing: &BTreeSet<Urn>) -> Op {
        let (urn, branches) = match self {
            Branch::Step(step) => return step.op,
            Branch::Component { urn, branches } => (urn, branches),
        };
        let ops: BTreeSet<Op> = branches.iter().map(|branch| branch.op(standing)).collect();
        let mut all = ops.iter();
        match (all.next(), all.next()) {
            (Some(only), None) => *only,
            _ if ops.contains(&Op::Create)
                && !standing.contains(urn)
                && !ops.contains(&Op::Delete) =>
            {
                Op::Create
            }
            _ => Op::Update,
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
    format!(
        "{:?} {} {} {} {} {details:?} {}",
        step.op,
        step.urn.kind(),
        any_host(step),
        step.impact,
        step.summary,
        reasons::lines(step).join(";"),
    )
}

/// The name of a step as that of any of several hosts that are alike: without its own name and
/// without the addresses of the others.
fn any_host(step: &Step) -> String {
    let name = step.urn.name();
    let name = match step.urn.host() {
        Some(host) => name.replace(host.as_str(), "this host"),
        None => name.to_owned(),
    };
    let words = name.split(' ').map(|word| {
        let address = word.strip_suffix("/32").or(word.strip_suffix("/128"));
        if address.is_some_and(|address| address.parse::<IpAddr>().is_ok()) {
            "another host"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

struct Drawing<'a> {
    graph: &'a Graph,
    forecast: &'a Forecast,
    detail: Detail,
    /// The components of which something is there as declared.
    standing: BTreeSet<Urn>,
    /// Whether what is drawn stands for several hosts.
    within_fold: bool,
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

    /// Branches in their order, those that are alike together: of different hosts, or of any
    /// where one host is shown for several.
    fn folded<'b, 's>(&self, branches: &'b [Branch<'s>]) -> Vec<Vec<&'b Branch<'s>>> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<&Branch<'_>>> = Vec::new();
        for branch in branches {
            let host = branch.urn().host();
            if self.detail.expand || host.is_none() {
                groups.push(vec![branch]);
                continue;
            }
            let next = groups.len();
            let place = places.entry(branch.likeness()).or_insert(next);
            let shown = |alike: &[&Branch<'_>]| alike.iter().any(|one| one.urn().host() == host);
            if groups
                .get(*place)
                .is_some_and(|alike| !self.within_fold && shown(alike))
            {
                *place = next;
            }
            let place = *place;
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
            Row::change(alike[0].op(&self.standing), title)
                .note(note)
                .place(place)
                .indent(indent),
        );
        let around = self.within_fold;
        self.within_fold |= alike.len() > 1;
        self.branches(branches, indent + 1);
        self.within_fold = around;
    }

    fn step(&mut self, step: &Step, alike: &[&Branch<'_>], indent: usize) {
        let hosts = hosts(alike);
        let title = if self.within_fold {
            format!("{} {}", step.urn.kind(), any_host(step))
        } else if alike.len() > 1 {
            format!("{} {} on {hosts}", step.urn.kind(), step.urn.name())
        } else if indent == 0 {
            title(&step.urn)
        } else {
            format!("{} {}", step.urn.kind(), step.urn.name())
        };
        let mut notes = vec![step.summary.clone()];
        notes.extend(new_lines(step));
        if self.within_fold && alike.len() > 1 {
            notes.push(format!("{} on each", alike.len()));
        }
        notes.retain(|note| !note.is_empty());
        let mut note = notes.join(", ");
        if step.impact > resource::Impact::None {
            let gap = if note.is_empty() { "" } else { " · " };
            note = format!("{note}{gap}{}", step.impact);
        }
        if let Some(pause) = self.forecast.pause(step.id) {
            note = format!("{note} · {}", pause_words(pause));
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
        let reasons = reasons::lines(step).into_iter();
        self.rows
            .extend(reasons.map(|reason| Row::text(reason).indent(indent + 2)));
        self.details(step, indent);
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

/// What a step does to writes. Several steps that are alike are shown once, so of a wait for a
/// standby only the bound is told.
fn pause_words(pause: &Pause) -> String {
    match pause.cause {
        Cause::Switchover | Cause::LeaderRestarts => format!("writes stop for {}", pause.span),
        Cause::StandbyRestarts => format!("commits wait for at most {}", pause.span.at_most()),
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

fn hosts(alike: &[&Branch<'_>]) -> String {
    let names: Vec<&str> = alike
        .iter()
        .filter_map(|branch| branch.urn().host())
        .map(HostName::as_str)
        .collect();
    names.join(", ")
}
