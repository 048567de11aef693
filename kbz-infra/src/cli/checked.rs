//! A program, run and checked, before any host is asked.

use std::collections::BTreeSet;

use super::error::Failed;
use crate::diag::{Finding, Report, Severity, SourceLocation};
use crate::graph::Graph;
use crate::ident::StackName;
use crate::lint;
use crate::program::{Program, Result, Settings, Stack};

/// A program with nothing in it that stops a run.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What it said; what is only odd about it is among its warnings.
    pub program: Program,
    /// What it declares.
    pub graph: Graph,
}

/// Runs a program and checks what it declares, or gives everything that is wrong. Nothing is
/// asked of any host, and nothing is written but credentials that do not exist yet.
pub fn checked(
    name: &StackName,
    settings: Settings,
    declare: impl FnOnce(&mut Stack) -> Result<()>,
) -> Result<Checked, Report> {
    let mut stack = Stack::new(name.clone(), settings);
    let run = declare(&mut stack).and_then(|()| stack.finish());
    let mut program = run.map_err(|error| error.0)?;
    let found = lint::claims(program.declarations.claims());
    let graph = Graph::new(program.declarations.clone());
    let graph = graph.map_err(|errors| told_once(Failed::from(errors).0, &found))?;
    if found.has_errors() {
        return Err(found);
    }
    program.warnings.extend(found);
    Ok(Checked { program, graph })
}

/// What is wrong with the graph, less what may follow from what the lint says of one of the same
/// declarations: two services on one port declare one rule of the firewall twice.
fn told_once(graph: Report, lint: &Report) -> Report {
    let explained: Vec<BTreeSet<&SourceLocation>> = lint
        .findings()
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(places)
        .collect();
    let new = graph.into_iter().filter(|finding| {
        let places = places(finding);
        explained.iter().all(|known| places.is_disjoint(known))
    });
    lint.clone().into_iter().chain(new).collect()
}

fn places(finding: &Finding) -> BTreeSet<&SourceLocation> {
    finding.labels.iter().map(|label| &label.location).collect()
}
