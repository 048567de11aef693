//! Findings about the steps of a plan.

use std::collections::BTreeSet;

use crate::diag::{Finding, SourceLocation};
use crate::lint::label::and;
use crate::plan::Step;

/// What a person can do about a plan that is wrong in itself.
pub(super) const CURE: &str = "nothing was changed; this is a defect of the planner: please report it with the \
                    output of `preview --json`";

/// A finding at the declarations of steps, with the steps' names below it.
pub(super) fn at(finding: Finding, steps: &[&Step]) -> Finding {
    let names = and(steps
        .iter()
        .map(|step| format!("{} {}", step.op.mark(), step.urn)));
    let places = steps.iter().filter_map(|step| step.declared.as_ref());
    let places: BTreeSet<_> = places.collect();
    let finding = places.into_iter().fold(finding, |finding, place| {
        finding.label(SourceLocation::from(place), "declared here")
    });
    finding.note("steps", names).help(CURE)
}
