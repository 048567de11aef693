//! The ways in which the model says no.

use crate::effect::EffectError;

/// A site that said no.
pub(super) fn failed(what: impl Into<String>, said: impl Into<String>) -> EffectError {
    EffectError::Failed {
        what: what.into(),
        said: said.into(),
    }
}

/// A world that is not as the plan saw it.
pub(super) fn moved(what: impl Into<String>, found: impl Into<String>) -> EffectError {
    EffectError::Moved {
        what: what.into(),
        found: found.into(),
    }
}
