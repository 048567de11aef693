//! Why a resource is in the program, and in the plan.

use serde::Serialize;

use super::error::Failed;
use super::row::{Row, Style, screen};
use crate::diag::{did_you_mean, listed};
use crate::effect::Impact;
use crate::graph::Graph;
use crate::ident::{Place, Urn};
use crate::plan::{Plan, Step, StuckBy};
use crate::resource::Op;

/// What there is to say of a resource.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    resource: Urn,
    declared: Option<Place>,
    part_of: Option<Urn>,
    /// What a component consists of.
    parts: Vec<Urn>,
    after: Vec<Urn>,
    /// What is planned; `None` when nothing is.
    planned: Option<Planned>,
    /// Why it is left alone, when it is.
    stuck: Option<String>,
}

#[derive(Debug, Serialize)]
struct Planned {
    op: Op,
    impact: Impact,
    because: Vec<String>,
}

/// The declared resource of this address, or what may be meant by it.
pub(super) fn declared(graph: &Graph, resource: &str) -> Result<Urn, Failed> {
    let urn: Option<Urn> = resource.parse().ok();
    if let Some(urn) = urn.filter(|urn| graph.node(urn).is_some() || graph.component(urn).is_some())
    {
        return Ok(urn);
    }
    let components = graph.components().map(|(urn, _)| urn.to_string());
    let known = graph.in_order().map(|(urn, _)| urn.to_string());
    let help = meant(resource, &known.chain(components).collect::<Vec<_>>()).unwrap_or_else(|| {
        "an address reads KIND@HOST:NAME or KIND:NAME; `graph` shows all".into()
    });
    let what = format!("the program declares no `{resource}`");
    Err(Failed::with_help("kbz::cli::resource", what, help))
}

/// Which of the known addresses may be meant by a text: one that is almost the same, or a few
/// that hold it.
pub(super) fn meant(text: &str, known: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    if let Some(meant) = did_you_mean(text, known.iter().map(String::as_str)) {
        return Some(format!("did you mean `{meant}`?"));
    }
    let holding: Vec<&str> = known
        .iter()
        .filter(|urn| !text.is_empty() && urn.contains(text))
        .map(String::as_str)
        .collect();
    let named = listed(holding.iter().take(SHOWN).copied());
    match holding.len() {
        0 => None,
        1 => Some(format!("did you mean {named}?")),
        2..=SHOWN => Some(format!("did you mean one of {named}?")),
        many => Some(format!("{many} addresses hold it, such as {named}")),
    }
}

impl Answer {
    /// What the program and the plan say of a declared resource, or of a component.
    pub(super) fn of(urn: &Urn, graph: &Graph, plan: &Plan) -> Self {
        let node = graph.node(urn);
        let component = graph.component(urn);
        let parent = node.map(|node| &node.parent);
        let parent = parent.or(component.map(|component| &component.parent));
        let declared = node.map(|node| &node.declared);
        let declared = declared.or(component.map(|component| &component.declared));
        let parts = graph.in_order().filter_map(|(part, node)| {
            let inside = node.parent.as_ref() == Some(urn);
            inside.then(|| part.clone())
        });
        let step = plan.steps.iter().find(|step| step.urn == *urn);
        let stuck = plan.stuck.iter().find(|stuck| stuck.urn == *urn);
        Self {
            resource: urn.clone(),
            declared: declared.cloned(),
            part_of: parent.cloned().flatten(),
            parts: parts.collect(),
            after: graph.dependencies(urn).iter().cloned().collect(),
            planned: step.map(Planned::of),
            stuck: stuck.map(|stuck| match &stuck.why {
                StuckBy::Unreachable(outage) => outage.to_string(),
                StuckBy::Moved(what) => format!("changed since: {}", what.join(", ")),
                StuckBy::DependsOn(other) => format!("it depends on {other}, which is left alone"),
            }),
        }
    }

    /// The answer as a person reads it.
    pub(super) fn draw(&self, style: Style) -> String {
        let line = |text: String| Row::text(text).indent(1);
        let mut rows = vec![Row::text(self.resource.to_string())];
        rows.extend(
            self.declared
                .iter()
                .map(|place| line(format!("declared at {place}"))),
        );
        rows.extend(
            self.part_of
                .iter()
                .map(|part| line(format!("part of {part}"))),
        );
        rows.extend(
            self.after
                .iter()
                .map(|after| line(format!("after {after}"))),
        );
        match (&self.planned, &self.stuck) {
            (Some(planned), _) => rows.extend(planned.rows()),
            (None, Some(why)) => rows.push(line(format!("left alone: {why}"))),
            (None, None) if self.parts.is_empty() => rows.push(line("as declared".to_owned())),
            (None, None) => rows.extend(self.parts.iter().map(|part| line(format!("has {part}")))),
        }
        screen(&rows, style)
    }
}

impl Planned {
    fn of(step: &Step) -> Self {
        Self {
            op: step.op,
            impact: step.impact,
            because: step.reasons.iter().map(ToString::to_string).collect(),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let head = format!("{}, impact {}", self.op, self.impact);
        let because = self.because.iter();
        std::iter::once(Row::change(self.op, head).indent(1))
            .chain(because.map(|reason| Row::text(format!("because {reason}")).indent(3)))
            .collect()
    }
}
