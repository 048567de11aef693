//! How a run ends: by itself, or left where it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Consequences, Dispatcher};
use crate::exec::emitter::millis;
use crate::exec::event::{Because, What};
use crate::exec::failure::{Failure, FailureKind};
use crate::exec::outcome::{RunError, RunOutcome, tally};
use crate::exec::worker::Report;
use crate::plan::StepId;
use crate::state::{Durability, Ended, Entry, LockedStore, StoreError};

impl Dispatcher {
    pub(super) async fn finish(mut self) -> Result<RunOutcome, RunError> {
        self.skip_the_rest();
        let ended = match self.stopping {
            Some(Because::Stopped) => Ended::Stopped,
            _ => Ended::Complete,
        };
        let tally = tally(self.done.len(), self.failed.len(), self.skipped.len());
        if !self.plan.steps.is_empty() {
            self.unwritten.push(Entry::RunFinished {
                run: self.bench.context.run,
                ended,
                tally,
            });
        }
        if self.trouble.is_none() {
            self.trouble = self.settle().await.err();
        }
        self.outcome(ended)
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        self.append(Durability::Now).await?;
        self.with_store(LockedStore::fold).await
    }

    /// Drops everything where it is. What was under way stays open in the journal.
    pub(super) async fn leave(mut self) -> Result<RunOutcome, RunError> {
        self.workers.abort_all();
        let mut batch = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            // Leave is not given any more; what is done is still noted.
            if !matches!(report, Report::Wants { .. }) {
                batch.push(report);
            }
        }
        self.take_in(&mut batch).await;
        self.stop(Because::Stopped);
        let plan = Arc::clone(&self.plan);
        let left: Vec<usize> = self.running.keys().copied().collect();
        for place in left {
            let effect = self.effect_under_way(place);
            let failure = Failure {
                kind: FailureKind::Cancelled,
                error: "it was left under way".to_owned(),
                silent: None,
            };
            let mut consequences = Consequences::default();
            self.step_failed(place, effect, (failure, true), &mut consequences);
            for event in consequences.events {
                self.emitter.emit(event);
            }
        }
        self.skip_the_rest();
        if !plan.steps.is_empty() {
            self.unwritten.push(Entry::RunAbandoned {
                run: self.bench.context.run,
            });
        }
        if self.trouble.is_none() {
            self.trouble = self.append(Durability::Now).await.err();
        }
        self.outcome(Ended::Abandoned)
    }

    /// What is ready or stands in a line when nothing more is started.
    fn skip_the_rest(&mut self) {
        let Some(because) = self.stopping.clone() else {
            return;
        };
        let plan = Arc::clone(&self.plan);
        let handled: BTreeSet<StepId> = self
            .done
            .iter()
            .chain(self.failed.keys())
            .chain(self.skipped.keys())
            .copied()
            .collect();
        for step in plan.steps.iter().filter(|step| !handled.contains(&step.id)) {
            self.note_skipped(step, because.clone());
        }
    }

    fn outcome(self, ended: Ended) -> Result<RunOutcome, RunError> {
        let elapsed = self.emitter.elapsed();
        self.emitter.emit(What::RunFinished {
            ended,
            tally: tally(self.done.len(), self.failed.len(), self.skipped.len()),
            elapsed_ms: millis(elapsed),
        });
        if let Some(error) = self.trouble {
            return Err(error.into());
        }
        let store = self.store.ok_or(StoreError::Poisoned)?;
        Ok(RunOutcome {
            ended,
            done: self.done,
            failed: self.failed,
            skipped: self.skipped,
            elapsed,
            records: store.records().clone(),
            store,
        })
    }
}
