//! An operator in a test: a modelled world, what is remembered, and the rounds of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use ::stories::names::{host, stack};
use kbz_infra::diag::{Renderer, Severity};
use kbz_infra::effect::Record;
use kbz_infra::effect::{Interpreter, Progress, RunContext};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, Urn};
use kbz_infra::lint;
use kbz_infra::observe::{follow_up, observe};
use kbz_infra::plan::{
    Outcome, Pattern, Plan, Planner, Problem, Request, Selection, StepId, probes,
};
use kbz_infra::probe::Observation;
use kbz_infra::program::Program;
use kbz_infra::secret::Vault;
use kbz_infra::sim::World;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// An operator with a world of its own.
pub(crate) struct Rig {
    pub(crate) world: Arc<World>,
    pub(crate) remembered: BTreeMap<Urn, Record>,
    /// What the operator says is to be adopted.
    pub(crate) adopted: Vec<Pattern>,
    pub(crate) vault: Arc<Vault>,
    hosts: BTreeSet<HostName>,
    run: u64,
    runtime: Runtime,
}

impl Rig {
    pub(crate) fn new(world: World, hosts: impl IntoIterator<Item = HostName>) -> Self {
        let mut vault = Vault::new();
        for name in ["SUPER", "APP"] {
            vault.insert(name, SecretString::from(format!("{name}-value")));
        }
        Self {
            world: Arc::new(world),
            remembered: BTreeMap::new(),
            adopted: Vec::new(),
            vault: Arc::new(vault),
            hosts: hosts.into_iter().collect(),
            run: 0,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    /// Another operator, who remembers the same, with a copy of the world as it is.
    pub(crate) fn copy(&self) -> Self {
        let world = World::of(self.world.snapshot());
        Self {
            remembered: self.remembered.clone(),
            run: self.run,
            ..Self::new(world, self.hosts.iter().cloned())
        }
    }

    /// Reads the world as `up` does.
    pub(crate) fn observe(&self, graph: &Graph) -> Observation {
        let interpreter: Arc<dyn Interpreter> = self.world.clone();
        let wanted = probes(graph, &self.hosts, &self.remembered);
        let known = |urn: &Urn| graph.node(urn).is_some() || self.remembered.contains_key(urn);
        self.runtime.block_on(async {
            let seen = observe(&interpreter, wanted, &|_| {}).await;
            follow_up(&interpreter, seen, &known, &|_| {}).await
        })
    }

    pub(crate) fn try_plan(
        &self,
        program: &Program,
        request: Request,
    ) -> Result<Plan, Vec<Problem>> {
        self.plan_for(program, request, &Selection::default())
    }

    /// Plans for what is chosen alone.
    pub(crate) fn plan_for(
        &self,
        program: &Program,
        request: Request,
        selection: &Selection,
    ) -> Result<Plan, Vec<Problem>> {
        let graph = Graph::new(program.declarations.clone()).unwrap();
        let observation = self.observe(&graph);
        let planner = Planner::new(&graph, &observation, &self.vault, &self.remembered);
        let mut selection = selection.clone();
        selection.adopted.clone_from(&self.adopted);
        let plan = planner.choosing(&selection).plan(request)?;
        let proof = lint::plan_observed(&plan, graph.groups(), &observation);
        let against = Renderer::plain(&proof);
        assert!(!proof.has_errors(), "{against}\n{}", shown(&plan));
        Ok(plan)
    }

    pub(crate) fn plan(&self, program: &Program) -> Plan {
        self.try_plan(program, Request::Up).unwrap()
    }

    /// Whether the order of a plan for `program` is proved in the world as it is.
    pub(crate) fn is_proved(&self, plan: &Plan, program: &Program) -> bool {
        let graph = Graph::new(program.declarations.clone()).unwrap();
        let observation = self.observe(&graph);
        !lint::plan_observed(plan, graph.groups(), &observation).has_errors()
    }

    /// What the proof of a plan for `program` says in the world as it is: the code and the
    /// message of each finding.
    pub(crate) fn objections(&self, plan: &Plan, program: &Program) -> Vec<String> {
        let graph = Graph::new(program.declarations.clone()).unwrap();
        let observation = self.observe(&graph);
        let report = lint::plan_observed(plan, graph.groups(), &observation);
        let errors = report.findings().iter();
        let errors = errors.filter(|finding| finding.severity == Severity::Error);
        errors
            .map(|finding| format!("{} {}", finding.code, finding.message))
            .collect()
    }

    /// What a run of the next number has at hand.
    pub(crate) fn context(&mut self) -> RunContext {
        self.run += 1;
        RunContext {
            stack: stack(),
            run: self.run,
            vault: Arc::clone(&self.vault),
            progress: Progress::none(),
            cancel: CancellationToken::new(),
        }
    }

    /// Carries a plan out, one step after the other; says which steps failed, and why.
    pub(crate) fn apply(&mut self, plan: &Plan) -> BTreeMap<StepId, String> {
        let context = self.context();
        let mut failed: BTreeMap<StepId, String> = BTreeMap::new();
        self.remembered.extend(
            plan.kept
                .iter()
                .map(|(urn, record)| (urn.clone(), record.clone())),
        );
        self.remembered
            .retain(|urn, _| !plan.forgotten.contains(urn));
        for step in &plan.steps {
            if let Some(earlier) = step.after.iter().find(|id| failed.contains_key(id)) {
                failed.insert(step.id, format!("waits for {earlier}"));
                continue;
            }
            let outcome = step
                .effects
                .iter()
                .try_for_each(|effect| self.runtime.block_on(self.world.run(effect, &context)));
            if let Err(error) = outcome {
                failed.insert(step.id, format!("{}: {error}", step.urn));
                continue;
            }
            match &step.outcome {
                Outcome::Remember(record) => {
                    self.remembered.insert(step.urn.clone(), (**record).clone());
                }
                Outcome::Forget => drop(self.remembered.remove(&step.urn)),
                Outcome::Nothing => {}
            }
        }
        failed
    }

    /// Plans and applies; nothing may fail, and nothing may be left over to do.
    pub(crate) fn up(&mut self, program: &Program) -> Plan {
        let plan = self.plan(program);
        assert_eq!(self.apply(&plan), BTreeMap::new(), "\n{}", shown(&plan));
        let rest = self.plan(program);
        assert!(
            rest.is_empty(),
            "not done by\n{}\nleft:\n{}",
            shown(&plan),
            shown(&rest)
        );
        plan
    }

    /// Destroys everything; nothing may fail.
    pub(crate) fn destroy(&mut self, program: &Program) -> Plan {
        let plan = self.try_plan(program, Request::Destroy).unwrap();
        assert_eq!(self.apply(&plan), BTreeMap::new(), "\n{}", shown(&plan));
        plan
    }

    /// What the world has that a fresh one does not.
    pub(crate) fn traces(&self) -> BTreeSet<String> {
        self.world
            .change(|world| world.traces())
            .into_iter()
            .collect()
    }
}

/// A plan as a person can compare it.
pub(crate) fn shown(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|step| {
        let reasons: Vec<String> = step.reasons.iter().map(ToString::to_string).collect();
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        format!(
            "{:>3} {} {} [{}] after [{}] because {}\n",
            step.id.to_string(),
            step.op.mark(),
            step.urn,
            step.impact,
            after.join(" "),
            reasons.join("; "),
        )
    });
    let stuck = plan
        .stuck
        .iter()
        .map(|stuck| format!("    stuck {}: {:?}\n", stuck.urn, stuck.why));
    let forgotten = plan
        .forgotten
        .iter()
        .map(|urn| format!("    forgotten {urn}\n"));
    steps.chain(stuck).chain(forgotten).collect()
}
