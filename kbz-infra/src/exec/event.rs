//! What a run tells while it goes on: for the live tree, for plain lines, for machines.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::effect::Deed;
use crate::ident::{StackName, Urn};
use crate::plan::StepId;
use crate::resource::Op;
use crate::state::{Ended, Tally};

/// The version of the format of events.
pub const SCHEMA: u32 = 1;

/// One thing that happened in a run. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of the format.
    pub schema: u32,
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The run begins.
    RunStarted {
        /// Its number.
        run: u64,
        /// The stack.
        stack: StackName,
        /// How many steps it has.
        steps: u32,
        /// How many effects they have together.
        effects: u32,
    },
    /// A step could begin, but a site has no slot free.
    StepWaiting {
        /// The step.
        step: StepId,
        /// Its object.
        urn: Urn,
        /// The site that it waits for.
        site: String,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: StepId,
        /// Its object.
        urn: Urn,
        /// What kind of change it is.
        op: Op,
        /// How many effects it has.
        effects: u32,
    },
    /// An effect begins; its intent is on the disk.
    EffectStarted {
        /// The step.
        step: StepId,
        /// The effect, from 0.
        effect: u32,
        /// Where.
        site: String,
        /// What.
        deed: Deed,
    },
    /// An effect tells how far it is.
    Progress {
        /// The step.
        step: StepId,
        /// The effect, from 0.
        effect: u32,
        /// What it is at.
        text: String,
        /// Bytes done and in all, where there are any.
        bytes: Option<(u64, u64)>,
    },
    /// An effect is done.
    EffectDone {
        /// The step.
        step: StepId,
        /// The effect, from 0.
        effect: u32,
        /// How long it took, in milliseconds; of effects that went together, all of them.
        elapsed_ms: u64,
    },
    /// A step is done.
    StepDone {
        /// The step.
        step: StepId,
        /// Its object.
        urn: Urn,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: StepId,
        /// Its object.
        urn: Urn,
        /// Why.
        failure: Failure,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A step will not begin.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Its object.
        urn: Urn,
        /// Why.
        because: Because,
    },
    /// The run was asked to stop: it finishes what it has begun.
    Stopping {
        /// How many steps are under way.
        running: u32,
    },
    /// The run is over.
    RunFinished {
        /// How it ended.
        ended: Ended,
        /// In numbers.
        tally: Tally,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
}

/// Why a step did not begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// Something that it depends on failed, or was itself not begun.
    Dependency {
        /// The step at the root of it.
        step: StepId,
        /// That step's object.
        urn: Urn,
    },
    /// A site that it needs stopped answering earlier in the run.
    Silent {
        /// Which.
        site: String,
    },
    /// Another step failed, and the run was to stop at the first failure.
    FailFast {
        /// Which.
        step: StepId,
    },
    /// The run was asked to stop.
    Stopped,
    /// The journal could not be written, so that nothing more may be begun.
    NoJournal,
}
