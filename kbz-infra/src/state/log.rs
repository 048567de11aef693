//! What a journal amounts to, entry by entry.
//!
//! The live run and the replay feed the same [`Log::apply`], which asks
//! [`lifecycle`](super::lifecycle) what may follow. Pure: no clock, no files.

use std::collections::BTreeMap;

use super::entry::{Entry, Intent, OpId};
use super::lifecycle::{IllegalTransition, RunEvent, RunStatus, StepEvent, StepStatus};
use super::lock::Holder;
use super::recovery::{Left, OpenEffect, Recovery};
use super::snapshot::LAST;
use crate::effect::Record;
use crate::ident::Urn;
use crate::plan::{Outcome, StepId};

/// Why an entry does not fit what was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The run or step is not where the entry says.
    #[error("{subject}: {source}")]
    Transition {
        /// Which run or step.
        subject: String,
        /// What does not follow.
        source: IllegalTransition,
    },
    /// An entry of a run that is not the current one.
    #[error("an entry of run {found} in run {current}")]
    Run {
        /// The run that the entry names.
        found: u64,
        /// The run that is current.
        current: u64,
    },
    /// The number of a new run is not above all before it.
    #[error("run {found} cannot follow run {last}: the numbers of runs must rise")]
    Order {
        /// The new run's number.
        found: u64,
        /// The last run's number.
        last: u64,
    },
    /// The number of a new run is larger than any that is given.
    #[error("run {0}: no run has so large a number")]
    TooLarge(u64),
    /// A step of no run.
    #[error("no run goes on")]
    NoRun,
    /// A second first line.
    #[error("a second beginning")]
    Reopened,
}

/// One step of the current run.
#[derive(Debug, Clone, PartialEq)]
struct StepLog {
    urn: Urn,
    status: StepStatus,
    outcome: Outcome,
}

/// The run that goes on or was left.
#[derive(Debug, Clone, PartialEq)]
struct RunLog {
    holder: Holder,
    status: RunStatus,
    steps: BTreeMap<StepId, StepLog>,
    open: BTreeMap<OpId, Intent>,
}

impl RunLog {
    fn step_status(&self, step: StepId) -> StepStatus {
        self.steps
            .get(&step)
            .map_or(StepStatus::Waiting, |log| log.status)
    }

    /// Moves a step that has begun; an event that cannot follow changes nothing.
    fn move_step(&mut self, step: StepId, event: StepEvent) -> Result<(), Misfit> {
        let next = next_of(step, self.step_status(step), event)?;
        if let Some(log) = self.steps.get_mut(&step) {
            log.status = next;
        }
        Ok(())
    }
}

/// What is known: what exists, and where the current run is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    run: u64,
    records: BTreeMap<Urn, Record>,
    /// `None` while no run goes on and none was left.
    current: Option<RunLog>,
}

impl Log {
    pub(super) fn new(run: u64, records: BTreeMap<Urn, Record>) -> Self {
        Self {
            run,
            records,
            current: None,
        }
    }

    /// The number of the last run.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// What exists, or may exist because its making has begun.
    pub(super) fn records(&self) -> &BTreeMap<Urn, Record> {
        &self.records
    }

    /// The same, where nothing is added any more.
    pub(super) fn into_records(self) -> BTreeMap<Urn, Record> {
        self.records
    }

    /// Where a step of the current run is.
    pub(super) fn step_status(&self, step: StepId) -> Option<StepStatus> {
        let log = self.current.as_ref()?.steps.get(&step)?;
        Some(log.status)
    }

    /// What the last run left open, when it did not end.
    pub(super) fn recovery(&self) -> Option<Recovery> {
        let current = self.current.as_ref()?;
        let left = match current.status {
            RunStatus::Idle => return None,
            RunStatus::Running => Left::Silently,
            RunStatus::Abandoned => Left::OnPurpose,
        };
        Some(Recovery {
            run: self.run,
            holder: current.holder.clone(),
            left,
            open: current
                .open
                .values()
                .cloned()
                .map(OpenEffect::new)
                .collect(),
        })
    }

    /// Takes one entry in, if it may follow what was before; otherwise nothing changes.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), Misfit> {
        match entry {
            Entry::Opened { .. } => Err(Misfit::Reopened),
            Entry::RunStarted { run, holder, .. } => self.start(*run, holder),
            Entry::StepStarted {
                step,
                urn,
                effects,
                outcome,
            } => self.start_step(*step, urn, *effects, outcome),
            Entry::Intent(intent) => {
                let run = self.effect(intent.op, StepEvent::Intent(intent.op.effect))?;
                run.open.insert(intent.op, Intent::clone(intent));
                Ok(())
            }
            Entry::Completed { op } => {
                let run = self.effect(*op, StepEvent::Completed(op.effect))?;
                run.open.remove(op);
                Ok(())
            }
            Entry::Failed { op, .. } => {
                let run = self.effect(*op, StepEvent::Failed(op.effect))?;
                // Those that were to follow it in one go were not begun.
                let begun = |open: &OpId| open.step != op.step || open.effect < op.effect;
                run.open.retain(|open, _| begun(open));
                Ok(())
            }
            // What became of it is not known, so it stays open until a later run has looked.
            Entry::Abandoned { op, .. } => {
                self.effect(*op, StepEvent::Abandoned(op.effect)).map(drop)
            }
            Entry::StepDone { step } => self.finish_step(*step),
            Entry::Remember { record } => {
                self.may(RunEvent::Remember)?;
                self.records
                    .insert(record.urn.clone(), Record::clone(record));
                Ok(())
            }
            Entry::Forget { urn } => {
                self.may(RunEvent::Remember)?;
                self.records.remove(urn);
                Ok(())
            }
            Entry::RunFinished { run, .. } => self.end(*run, RunEvent::Finish),
            Entry::RunAbandoned { run } => self.end(*run, RunEvent::Abandon),
            Entry::Recovered { run, .. } => self.end(*run, RunEvent::Recover),
        }
    }

    fn start(&mut self, run: u64, holder: &Holder) -> Result<(), Misfit> {
        if run <= self.run {
            return Err(Misfit::Order {
                found: run,
                last: self.run,
            });
        }
        if run > LAST {
            return Err(Misfit::TooLarge(run));
        }
        let status = self.may(RunEvent::Start)?;
        self.run = run;
        self.current = Some(RunLog {
            holder: holder.clone(),
            status,
            steps: BTreeMap::new(),
            open: BTreeMap::new(),
        });
        Ok(())
    }

    fn start_step(
        &mut self,
        step: StepId,
        urn: &Urn,
        effects: u32,
        outcome: &Outcome,
    ) -> Result<(), Misfit> {
        let run = self.running()?;
        let status = next_of(step, run.step_status(step), StepEvent::Start(effects))?;
        let log = StepLog {
            urn: urn.clone(),
            status,
            outcome: outcome.clone(),
        };
        run.steps.insert(step, log);
        // From here on something of it may exist. What is known of an older form stays until
        // the new one is whole; but what the new one depends on must not go before it any more.
        if let Outcome::Remember(record) = outcome {
            self.records
                .entry(urn.clone())
                .and_modify(|known| known.depend_also_on(&record.depends_on))
                .or_insert_with(|| Record::clone(record));
        }
        Ok(())
    }

    fn effect(&mut self, op: OpId, event: StepEvent) -> Result<&mut RunLog, Misfit> {
        self.is_current(op.run)?;
        let run = self.running()?;
        run.move_step(op.step, event)?;
        Ok(run)
    }

    fn finish_step(&mut self, step: StepId) -> Result<(), Misfit> {
        let run = self.running()?;
        run.move_step(step, StepEvent::Finish)?;
        let Some(log) = run.steps.get_mut(&step) else {
            return Ok(());
        };
        let urn = log.urn.clone();
        match std::mem::replace(&mut log.outcome, Outcome::Nothing) {
            Outcome::Remember(record) => {
                self.records.insert(urn, *record);
            }
            Outcome::Forget => {
                self.records.remove(&urn);
            }
            Outcome::Nothing => {}
        }
        Ok(())
    }

    /// Ends the current run in the way of `event`.
    fn end(&mut self, run: u64, event: RunEvent) -> Result<(), Misfit> {
        self.is_current(run)?;
        match (self.may(event)?, &mut self.current) {
            (RunStatus::Idle, current) => *current = None,
            (status, Some(current)) => current.status = status,
            (RunStatus::Running | RunStatus::Abandoned, None) => {}
        }
        Ok(())
    }

    fn status(&self) -> RunStatus {
        self.current
            .as_ref()
            .map_or(RunStatus::Idle, |current| current.status)
    }

    /// The status that `event` leads to, if it may happen now.
    fn may(&self, event: RunEvent) -> Result<RunStatus, Misfit> {
        self.status()
            .next(event)
            .map_err(|source| Misfit::Transition {
                subject: format!("run {}", self.run),
                source,
            })
    }

    /// The current run, if its steps may move.
    fn running(&mut self) -> Result<&mut RunLog, Misfit> {
        self.may(RunEvent::Step)?;
        self.current.as_mut().ok_or(Misfit::NoRun)
    }

    fn is_current(&self, run: u64) -> Result<(), Misfit> {
        if run == self.run {
            Ok(())
        } else {
            Err(Misfit::Run {
                found: run,
                current: self.run,
            })
        }
    }
}

fn next_of(step: StepId, now: StepStatus, event: StepEvent) -> Result<StepStatus, Misfit> {
    now.next(event).map_err(|source| Misfit::Transition {
        subject: format!("step {step}"),
        source,
    })
}
