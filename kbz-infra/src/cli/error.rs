//! Why a command failed, as a person is told.

use crate::diag::{Finding, Report, SourceLocation};
use crate::effect::EffectError;
use crate::exec::RunError;
use crate::graph::GraphError;
use crate::ident::InvalidName;
use crate::plan::Problem;
use crate::program::{InputErrors, ProgramError};
use crate::resource::PlanError;
use crate::state::StoreError;

use super::rehearsal::NoLab;

/// What to do when another run goes on.
const HELD: &str = "wait until it has ended; one that was lost ends when its operator runs `up` \
                    again, or 20 minutes after it was heard of last";

/// Why a command failed: always findings, each with a cure where there is one.
#[derive(Debug, Clone)]
pub(super) struct Failed(pub(super) Report);

impl Failed {
    /// A failure in one sentence.
    pub(super) fn new(code: &'static str, what: impl Into<String>) -> Self {
        Finding::error(code, what).into()
    }

    /// A failure in one sentence with what cures it.
    pub(super) fn with_help(
        code: &'static str,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Finding::error(code, what).help(help).into()
    }
}

impl From<Finding> for Failed {
    fn from(finding: Finding) -> Self {
        Self(Report::from(finding))
    }
}

impl From<InputErrors> for Failed {
    fn from(errors: InputErrors) -> Self {
        Self(errors.into())
    }
}

impl From<ProgramError> for Failed {
    fn from(error: ProgramError) -> Self {
        Self(error.0)
    }
}

impl From<InvalidName> for Failed {
    fn from(error: InvalidName) -> Self {
        Self::new("kbz::cli::name", error.to_string())
    }
}

impl From<NoLab> for Failed {
    fn from(error: NoLab) -> Self {
        let finding = Finding::error("kbz::lab::missing", error.what);
        match error.help {
            Some(help) => finding.help(help).into(),
            None => finding.into(),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::new("kbz::state", crate::diag::error_chain(&error))
    }
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        if let RunError::Held(EffectError::Held { .. }) = error {
            return Self::with_help("kbz::run::held", error.to_string(), HELD);
        }
        Self::new("kbz::run", crate::diag::error_chain(&error))
    }
}

impl From<Vec<GraphError>> for Failed {
    fn from(errors: Vec<GraphError>) -> Self {
        let mut report = Report::new();
        for error in errors {
            report.push(graph_finding(&error));
        }
        Self(report)
    }
}

fn graph_finding(error: &GraphError) -> Finding {
    let message = error.to_string();
    match error {
        GraphError::Duplicate { first, second, .. } => {
            Finding::error("kbz::graph::duplicate", message)
                .label(SourceLocation::from(first), "declared here")
                .label(SourceLocation::from(second), "and again here")
                .help("give one of them another name, or declare it once")
        }
        GraphError::Unknown { declared, .. } => Finding::error("kbz::graph::unknown", message)
            .label(SourceLocation::from(declared), "declared here")
            .help("declare it, or take the dependency away"),
        GraphError::Cycle { path } => {
            let places: std::collections::BTreeSet<_> =
                path.iter().map(|(_, place)| place).collect();
            let finding = Finding::error("kbz::graph::cycle", message);
            places
                .into_iter()
                .fold(finding, |finding, place| {
                    finding.label(SourceLocation::from(place), "part of the circle")
                })
                .help("take one of these dependencies away")
        }
    }
}

impl From<Vec<Problem>> for Failed {
    fn from(problems: Vec<Problem>) -> Self {
        let mut report = Report::new();
        for problem in problems {
            report.push(problem_finding(&problem));
        }
        Self(report)
    }
}

fn problem_finding(problem: &Problem) -> Finding {
    let message = format!("{}: {}", problem.urn, problem.error);
    let mut finding = Finding::error("kbz::plan::refused", message);
    if let Some(place) = &problem.declared {
        finding = finding.label(SourceLocation::from(place), "declared here");
    }
    match cure(&problem.error) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// What cures that no plan could be made, where something is known to.
pub(super) fn cure(error: &PlanError) -> Option<&str> {
    match error {
        PlanError::Refused { help, .. } => Some(help),
        PlanError::Secret(_) => Some("add it to the credentials file"),
        PlanError::Blocked(_) | PlanError::NotAsked(_) => None,
    }
}
