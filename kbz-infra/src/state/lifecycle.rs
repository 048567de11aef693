//! What may follow what: the one place that decides it.
//!
//! [`RunStatus::next`] and [`StepStatus::next`] are total: every event in every status has an
//! answer. The live run and the replay of a journal go through the same two functions, so a
//! journal that a run has written is one that the next run can read.

use serde::{Deserialize, Serialize};

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// Nothing has been done for it.
    Waiting,
    /// Some effects are done, none is under way.
    Between {
        /// How many are done.
        done: u32,
        /// How many there are.
        of: u32,
    },
    /// Effects may be happening, in order.
    Doing {
        /// The first of them, from 0.
        effect: u32,
        /// The first one that is not among them.
        until: u32,
        /// How many there are.
        of: u32,
    },
    /// All its effects are done.
    Done,
    /// An effect said no.
    Failed,
    /// An effect was left, and what became of it is not known.
    Abandoned,
}

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEvent {
    /// It begins, with so many effects.
    Start(u32),
    /// An effect is about to begin.
    Intent(u32),
    /// An effect is done.
    Completed(u32),
    /// An effect said no.
    Failed(u32),
    /// An effect was left.
    Abandoned(u32),
    /// The step is done.
    Finish,
}

/// An event that cannot follow what was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow {now}")]
pub struct IllegalTransition {
    now: String,
    event: String,
}

impl StepStatus {
    /// The first effect that is under way, or comes next, from 0; 0 where there is none.
    pub fn effect(self) -> u32 {
        match self {
            Self::Between { done, .. } => done,
            Self::Doing { effect, .. } => effect,
            Self::Waiting | Self::Done | Self::Failed | Self::Abandoned => 0,
        }
    }

    /// The status after `event`.
    pub fn next(self, event: StepEvent) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Waiting, StepEvent::Start(of)) => Ok(Self::Between { done: 0, of }),
            (Self::Between { done, of }, StepEvent::Intent(effect))
                if effect == done && effect < of =>
            {
                let until = effect + 1;
                Ok(Self::Doing { effect, until, of })
            }
            (Self::Doing { effect, until, of }, StepEvent::Intent(next))
                if next == until && next < of =>
            {
                let until = next + 1;
                Ok(Self::Doing { effect, until, of })
            }
            (Self::Doing { effect, until, of }, StepEvent::Completed(completed))
                if completed == effect =>
            {
                let done = effect + 1;
                if done == until {
                    return Ok(Self::Between { done, of });
                }
                let effect = done;
                Ok(Self::Doing { effect, until, of })
            }
            (Self::Doing { effect, .. }, StepEvent::Failed(failed)) if failed == effect => {
                Ok(Self::Failed)
            }
            (Self::Doing { effect, .. }, StepEvent::Abandoned(left)) if left == effect => {
                Ok(Self::Abandoned)
            }
            (Self::Between { done, .. }, StepEvent::Abandoned(left)) if left == done => {
                Ok(Self::Abandoned)
            }
            (Self::Between { done, of }, StepEvent::Finish) if done == of => Ok(Self::Done),
            (
                Self::Waiting
                | Self::Between { .. }
                | Self::Doing { .. }
                | Self::Done
                | Self::Failed
                | Self::Abandoned,
                StepEvent::Start(_)
                | StepEvent::Intent(_)
                | StepEvent::Completed(_)
                | StepEvent::Failed(_)
                | StepEvent::Abandoned(_)
                | StepEvent::Finish,
            ) => Err(illegal(&self, &event)),
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// There is none.
    Idle,
    /// It goes on, or its process is gone.
    Running,
    /// It was left on purpose, with effects under way.
    Abandoned,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// It begins.
    Start,
    /// One of its steps moves on.
    Step,
    /// Something is remembered or forgotten without a step.
    Remember,
    /// It ends, and knows how.
    Finish,
    /// It is left.
    Abandon,
    /// A later run has looked at what it left open.
    Recover,
}

impl RunStatus {
    /// The status after `event`.
    pub fn next(self, event: RunEvent) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Idle, RunEvent::Start)
            | (Self::Running, RunEvent::Step | RunEvent::Remember) => Ok(Self::Running),
            (Self::Idle, RunEvent::Remember)
            | (Self::Running, RunEvent::Finish)
            | (Self::Running | Self::Abandoned, RunEvent::Recover) => Ok(Self::Idle),
            (Self::Running, RunEvent::Abandon) => Ok(Self::Abandoned),
            (
                Self::Idle,
                RunEvent::Step | RunEvent::Finish | RunEvent::Abandon | RunEvent::Recover,
            )
            | (Self::Running, RunEvent::Start)
            | (
                Self::Abandoned,
                RunEvent::Start
                | RunEvent::Step
                | RunEvent::Remember
                | RunEvent::Finish
                | RunEvent::Abandon,
            ) => Err(illegal(&self, &event)),
        }
    }
}

fn illegal(now: &impl std::fmt::Debug, event: &impl std::fmt::Debug) -> IllegalTransition {
    IllegalTransition {
        now: format!("{now:?}"),
        event: format!("{event:?}"),
    }
}
