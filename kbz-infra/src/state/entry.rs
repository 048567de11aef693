//! What stands in a journal.
//!
//! An entry holds no secret: contents appear as keyed hashes, texts that came from a host had
//! the secrets taken out before they get here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::lock::Holder;
use super::proof::{Fate, Proof};
use crate::effect::Deed;
use crate::effect::Record;
use crate::ident::{StackName, Urn};
use crate::plan::{Outcome, StepId};
use crate::secret::KeyedHash;

/// The version of the format of journals that this program writes. In the first, one effect of a step
/// was open at a time.
pub(super) const SCHEMA: u32 = 2;

/// One effect of one run: `RUN.STEP.EFFECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpId {
    /// The run.
    pub run: u64,
    /// The step in the run's plan.
    pub step: StepId,
    /// The effect in the step, from 0.
    pub effect: u32,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.run, self.step, self.effect)
    }
}

/// A text that names no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no effect: it must read RUN.STEP.EFFECT")]
pub struct InvalidOpId(String);

impl FromStr for OpId {
    type Err = InvalidOpId;

    fn from_str(text: &str) -> Result<Self, InvalidOpId> {
        let invalid = || InvalidOpId(text.to_owned());
        let (run, rest) = text.split_once('.').ok_or_else(invalid)?;
        let (step, effect) = rest.split_once('.').ok_or_else(invalid)?;
        Ok(Self {
            run: run.parse().map_err(|_| invalid())?,
            step: StepId(step.parse().map_err(|_| invalid())?),
            effect: effect.parse().map_err(|_| invalid())?,
        })
    }
}

impl TryFrom<String> for OpId {
    type Error = InvalidOpId;
    fn try_from(text: String) -> Result<Self, InvalidOpId> {
        text.parse()
    }
}

impl From<OpId> for String {
    fn from(op: OpId) -> String {
        op.to_string()
    }
}

/// An effect that is about to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Which effect.
    pub op: OpId,
    /// The object that its step is for.
    pub urn: Urn,
    /// Where it happens, as a person reads it.
    pub site: String,
    /// What happens.
    pub deed: Deed,
    /// What tells afterwards whether it has happened, where something does.
    pub proof: Option<Proof>,
}

/// How a run ended that ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All that could be done is done.
    Complete,
    /// It was asked to stop, finished what it had begun and started nothing more.
    Stopped,
    /// It was left at once, with effects under way.
    Abandoned,
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Steps that were done.
    pub done: u32,
    /// Steps that failed.
    pub failed: u32,
    /// Steps that were not begun.
    pub skipped: u32,
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// The first line.
    Opened {
        /// The version of the format.
        schema: u32,
        /// The stack.
        stack: StackName,
    },
    /// A run begins.
    RunStarted {
        /// Its number.
        run: u64,
        /// A hash of its plan.
        plan: KeyedHash,
        /// How many steps the plan has.
        steps: u32,
        /// Who runs it.
        holder: Holder,
    },
    /// A step begins. What it will leave behind is known from here on, so that an object whose
    /// making breaks off is found even when the program no longer declares it.
    StepStarted {
        /// The step.
        step: StepId,
        /// Its object.
        urn: Urn,
        /// How many effects it has.
        effects: u32,
        /// What is to be remembered of it.
        outcome: Outcome,
    },
    /// An effect is about to begin.
    Intent(Box<Intent>),
    /// An effect is done.
    Completed {
        /// Which.
        op: OpId,
    },
    /// An effect said no.
    Failed {
        /// Which.
        op: OpId,
        /// What it said.
        error: String,
    },
    /// An effect was left; what became of it is not known.
    Abandoned {
        /// Which.
        op: OpId,
        /// Why.
        why: String,
    },
    /// A step is done.
    StepDone {
        /// Which.
        step: StepId,
    },
    /// An object is there as declared, found so without a step.
    Remember {
        /// What is known of it.
        record: Box<Record>,
    },
    /// An object is no longer anywhere.
    Forget {
        /// Which.
        urn: Urn,
    },
    /// A run ends by itself.
    RunFinished {
        /// Which.
        run: u64,
        /// How.
        ended: Ended,
        /// In numbers.
        tally: Tally,
    },
    /// A run is left with effects under way.
    RunAbandoned {
        /// Which.
        run: u64,
    },
    /// What an earlier run left open has been looked at.
    Recovered {
        /// The earlier run.
        run: u64,
        /// What became of each open effect.
        fates: BTreeMap<OpId, Fate>,
    },
}
