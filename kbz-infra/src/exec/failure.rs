//! Why a step failed.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::EffectError;
use crate::secret::Vault;

/// The longest error text that is kept: a host may say more than anybody reads.
const LONGEST: usize = 4000;

/// The sorts of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The site does not answer; what became of the effect is not known.
    Unreachable,
    /// The world has moved since the plan was made.
    Moved,
    /// The site said no.
    Refused,
    /// A gate did not open in time.
    GateClosed,
    /// It took longer than it may; what became of the effect is not known.
    TimedOut,
    /// It was given up; what became of the effect is not known.
    Cancelled,
    /// A defect of this program; what became of the effect is not known.
    Defect,
}

impl FailureKind {
    /// Whether it may pass by itself, so that trying again makes sense.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::Unreachable | Self::Refused => true,
            Self::Moved | Self::GateClosed | Self::TimedOut | Self::Cancelled | Self::Defect => {
                false
            }
        }
    }

    /// Whether the effect may have happened all the same.
    pub(super) fn leaves_doubt(self) -> bool {
        match self {
            Self::Unreachable | Self::TimedOut | Self::Cancelled | Self::Defect => true,
            Self::Moved | Self::Refused | Self::GateClosed => false,
        }
    }
}

/// Why a step failed, with the secrets taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The sort.
    pub kind: FailureKind,
    /// What a person reads.
    pub error: String,
    /// The site that does not answer, where that is why.
    pub silent: Option<String>,
}

impl Failure {
    pub(super) fn of(error: &EffectError, vault: &Vault) -> Self {
        let (kind, silent) = match error {
            EffectError::Unreachable(outage) => {
                (FailureKind::Unreachable, Some(outage.site.clone()))
            }
            EffectError::Moved { .. } | EffectError::Held { .. } => (FailureKind::Moved, None),
            EffectError::Failed { .. } => (FailureKind::Refused, None),
            EffectError::GateClosed { .. } => (FailureKind::GateClosed, None),
            EffectError::Cancelled => (FailureKind::Cancelled, None),
        };
        Self {
            kind,
            error: shown(&chain(error), vault),
            silent,
        }
    }

    pub(super) fn timed_out(limit: Duration) -> Self {
        Self {
            kind: FailureKind::TimedOut,
            error: format!("took longer than {} s", limit.as_secs()),
            silent: None,
        }
    }

    pub(super) fn defect(what: &str, vault: &Vault) -> Self {
        Self {
            kind: FailureKind::Defect,
            error: shown(&format!("the step broke off: {what}"), vault),
            silent: None,
        }
    }
}

/// An error with all that led to it. A source whose text its error already shows is left out.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            write!(text, ": {cause_text}").expect("writing to a String cannot fail");
        }
        source = cause.source();
    }
    text
}

/// `text` without secrets, and not longer than anybody reads. Secrets go first, so that none is
/// cut in two and shown in part.
fn shown(text: &str, vault: &Vault) -> String {
    let text = vault.redact(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
