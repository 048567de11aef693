//! Why a program has no result.

use super::input::InputErrors;
use crate::diag::{Finding, Report};
use crate::ident::InvalidName;

/// Why a program has no result; holds every finding.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the program cannot be read: {}", .0.summary())]
pub struct ProgramError(pub Report);

impl From<InputErrors> for ProgramError {
    fn from(errors: InputErrors) -> Self {
        Self(errors.into())
    }
}

impl From<Finding> for ProgramError {
    fn from(finding: Finding) -> Self {
        Self(Report::from(finding))
    }
}

impl From<InvalidName> for ProgramError {
    #[track_caller]
    fn from(error: InvalidName) -> Self {
        Finding::error("kbz::program::name", error.to_string()).into()
    }
}

/// What a program returns.
pub type Result<T, E = ProgramError> = std::result::Result<T, E>;
