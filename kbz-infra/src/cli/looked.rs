//! What a look at the world gave: what was seen, what is to be done, and whether the order of it
//! is proved.

use std::time::Duration;

use super::error::Failed;
use crate::diag::Report;
use crate::lint;
use crate::plan::{Forecast, Plan, Problem};
use crate::probe::Observation;
use crate::resource::{Group, LeaderSearch};
use crate::state::Holder;

/// What looking at the world gave.
pub(super) struct Looked {
    pub(super) plan: Plan,
    pub(super) observation: Observation,
    pub(super) elapsed: Duration,
    /// Who held the state meanwhile, where it was looked at without the lock.
    pub(super) held_by: Option<Holder>,
    /// What the plan does to writes.
    pub(super) forecast: Forecast,
    /// Why there is no plan; then the one here is empty.
    pub(super) problems: Vec<Problem>,
    /// What stands against the order of the plan.
    proof: Report,
}

impl Looked {
    /// A plan, made for `groups` from what was seen; `searches` are the ways in to their leaders.
    pub(super) fn new(
        plan: Plan,
        observation: Observation,
        groups: &[Group],
        searches: &[LeaderSearch],
    ) -> Self {
        let forecast = Forecast::of(&plan, groups, searches, &observation);
        let proof = lint::plan_observed(&plan, groups, &observation);
        Self {
            plan,
            observation,
            elapsed: Duration::ZERO,
            held_by: None,
            forecast,
            problems: Vec::new(),
            proof,
        }
    }

    /// The same, seen in so much time.
    pub(super) fn taking(self, elapsed: Duration) -> Self {
        Self { elapsed, ..self }
    }

    /// The same, while somebody held the state.
    pub(super) fn held_by(self, held_by: Option<Holder>) -> Self {
        Self { held_by, ..self }
    }

    /// The same, with more to tell.
    pub(super) fn telling(mut self, more: Report) -> Self {
        self.proof.extend(more);
        self
    }

    /// The same look, with a plan that changes what is remembered and nothing else.
    pub(super) fn noting(self, plan: Plan) -> Self {
        Self { plan, ..self }
    }

    /// The same, where no plan could be made.
    pub(super) fn refused(self, problems: Vec<Problem>) -> Self {
        Self { problems, ..self }
    }

    /// The same, if there is a plan.
    pub(super) fn agreed(self) -> Result<Self, Failed> {
        if self.problems.is_empty() {
            return Ok(self);
        }
        Err(self.problems.into())
    }

    /// Whether the order of the plan is proved.
    pub(super) fn is_proved(&self) -> bool {
        !self.proof.has_errors()
    }

    /// Refuses a plan whose order cannot be proved safe; gives what is only odd about it.
    pub(super) fn proved(&self) -> Result<&Report, Failed> {
        if self.proof.has_errors() {
            return Err(Failed(self.proof.clone()));
        }
        Ok(&self.proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::testkit::{GOOD, group, parsed};

    fn refused(lines: &str) -> Vec<String> {
        let plan = parsed(lines);
        let looked = Looked::new(plan, Observation::default(), &[group()], &[]);
        match looked.proved() {
            Ok(_) => Vec::new(),
            Err(Failed(report)) => {
                let codes = report.findings().iter();
                codes.map(|finding| finding.code.to_string()).collect()
            }
        }
    }

    #[test]
    fn a_plan_goes_on_only_with_its_proof() {
        assert_eq!(refused(GOOD), [""; 0]);
        let two_at_once = "gate\nrestart db-3 after 0\nrestart db-2 after 0\ngate after 1,2";
        assert_eq!(refused(two_at_once), ["kbz::plan::overlap"]);
    }

    #[test]
    fn what_is_only_odd_stops_nothing() {
        assert_eq!(refused("docker db-2"), [""; 0]);
    }
}
