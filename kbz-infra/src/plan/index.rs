//! Plans that change what is remembered, and nothing else: `import`, `state mv`, `state rm`.

use std::collections::{BTreeMap, BTreeSet};

use super::order;
use super::step::{Outcome, Plan, Step, StepId};
use crate::effect::{Action, Effect, Record};
use crate::ident::{StackName, Urn};
use crate::resource::{Impact, Op, Reason};

impl Plan {
    /// A plan that changes nothing.
    fn nothing(stack: &StackName) -> Self {
        Self {
            stack: stack.clone(),
            steps: Vec::new(),
            kept: BTreeMap::new(),
            stuck: Vec::new(),
            forgotten: BTreeSet::new(),
            left_out: BTreeSet::new(),
        }
    }

    /// A plan by which objects are no longer this stack's, and stay as they are.
    pub fn forgetting<'a>(
        stack: &StackName,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Self {
        let mut plan = Self::nothing(stack);
        for record in records {
            let Some(host) = record.urn.host() else {
                plan.forgotten.insert(record.urn.clone());
                continue;
            };
            let unmark = Effect::on(host, Action::Unmark(record.urn.clone()));
            let mut step = noting(record, Op::Forget, Reason::Undeclared, vec![unmark]);
            step.outcome = Outcome::Forget;
            plan.steps.push(step);
        }
        plan.numbered()
    }

    /// A plan by which a remembered object has another address, and what depends on it knows.
    /// There is none for an object that is not remembered.
    pub fn renaming(
        stack: &StackName,
        remembered: &BTreeMap<Urn, Record>,
        from: &Urn,
        to: &Urn,
    ) -> Self {
        let mut plan = Self::nothing(stack);
        let reason = Reason::Renamed { from: from.clone() };
        if let Some(known) = remembered.get(from) {
            let renamed = Record {
                urn: to.clone(),
                ..known.clone()
            };
            let unmark = from.host().map(|host| {
                let unmark = Action::Unmark(from.clone());
                Effect::on(host, unmark)
            });
            plan.note(&renamed, &reason, unmark);
            plan.forgotten.insert(from.clone());
        }
        for user in remembered
            .values()
            .filter(|user| user.depends_on.contains(from))
        {
            let mut user = user.clone();
            user.depends_on.remove(from);
            user.depends_on.insert(to.clone());
            plan.note(&user, &reason, None);
        }
        plan.numbered()
    }

    /// Of a plan, what takes over objects that are there, as they are: they are marked and
    /// remembered, and what differs is left for the next plan. Or those that are not there.
    pub fn importing(self, is_meant: &dyn Fn(&Urn) -> bool) -> Result<Self, Vec<Urn>> {
        let mut plan = Self::nothing(&self.stack);
        let kept = self.kept.into_iter();
        plan.kept = kept.filter(|(urn, _)| is_meant(urn)).collect();
        let stuck = self.stuck.into_iter();
        plan.stuck = stuck.filter(|stuck| is_meant(&stuck.urn)).collect();
        let mut missing = Vec::new();
        for step in self.steps.iter().filter(|step| is_meant(&step.urn)) {
            match (&step.outcome, step.op) {
                (Outcome::Remember(_), Op::Create) => missing.push(step.urn.clone()),
                // What is run again, such as a gate, is no object.
                (Outcome::Remember(record), op) if op != Op::Run => {
                    plan.note(record, &Reason::Unmarked, None);
                }
                _ => {}
            }
        }
        if missing.is_empty() {
            Ok(plan.numbered())
        } else {
            Err(missing)
        }
    }

    /// Adds what marks an object on its host, or remembers it where no host does.
    fn note(&mut self, record: &Record, reason: &Reason, more: Option<Effect>) {
        let Some(host) = record.urn.host() else {
            self.kept.insert(record.urn.clone(), record.clone());
            return;
        };
        let mark = Effect::on(host, Action::Mark(Box::new(record.clone())));
        let effects = std::iter::once(mark).chain(more).collect();
        let step = noting(record, Op::Adopt, reason.clone(), effects);
        self.steps.push(step);
    }

    fn numbered(mut self) -> Self {
        for (id, step) in (0..).zip(&mut self.steps) {
            step.id = StepId(id);
        }
        self.steps = order::numbered(self.steps);
        self
    }
}

/// A step that changes a mark alone.
fn noting(record: &Record, op: Op, reason: Reason, effects: Vec<Effect>) -> Step {
    Step {
        id: StepId(0),
        urn: record.urn.clone(),
        op,
        reasons: vec![reason],
        impact: Impact::None,
        details: Vec::new(),
        summary: String::new(),
        effects,
        after: BTreeSet::new(),
        outcome: Outcome::Remember(Box::new(record.clone())),
        parent: None,
        declared: None,
        disturbs: None,
        timeout: None,
        retries: 0,
    }
}
