//! An operator without a terminal: what `preview` and `up` do, through the library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kbz_infra::effect::{Interpreter, Progress, Record, RunContext};
use kbz_infra::exec::{Cancel, Limits, Run};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, Urn};
use kbz_infra::lint;
use kbz_infra::observe::{follow_up, observe};
use kbz_infra::plan::{Plan, Planner, Request, probes};
use kbz_infra::probe::Observation;
use kbz_infra::program::Program;
use kbz_infra::secret::Vault;
use kbz_infra::state::Store;
use tokio_util::sync::CancellationToken;

/// Why a measurement came to nothing.
pub type Failure = Box<dyn std::error::Error>;

/// An operator of some hosts.
pub struct Desk {
    /// The way to the hosts.
    pub interpreter: Arc<dyn Interpreter>,
    /// Their names.
    pub hosts: BTreeSet<HostName>,
    /// The secrets of the program.
    pub vault: Vault,
}

/// The graph of a program that no check refuses.
pub fn checked(program: &Program) -> Result<Graph, Failure> {
    let graph = Graph::new(program.declarations.clone());
    let graph = graph.map_err(|errors| format!("{errors:?}"))?;
    if lint::lint(&graph).has_errors() {
        return Err("the program is refused".into());
    }
    Ok(graph)
}

/// Figures of a wrong result are worth nothing.
pub fn expect(steps: usize, expected: usize) -> Result<(), Failure> {
    if steps == expected {
        return Ok(());
    }
    Err(format!("{steps} steps were planned, and {expected} are right").into())
}

impl Desk {
    /// Reads the hosts.
    pub async fn observe(&self, graph: &Graph, remembered: &BTreeMap<Urn, Record>) -> Observation {
        let known = |urn: &Urn| graph.node(urn).is_some() || remembered.contains_key(urn);
        let asked = probes(graph, &self.hosts, remembered);
        let seen = observe(&self.interpreter, asked, &|_| {}).await;
        follow_up(&self.interpreter, seen, &known, &|_| {}).await
    }

    /// Reads the hosts and plans.
    pub async fn plan(
        &self,
        graph: &Graph,
        remembered: &BTreeMap<Urn, Record>,
    ) -> Result<Plan, Failure> {
        let observation = self.observe(graph, remembered).await;
        let planner = Planner::new(graph, &observation, &self.vault, remembered);
        let plan = planner.plan(Request::Up);
        plan.map_err(|problems| format!("{problems:?}").into())
    }

    /// Carries a plan out, with the state in `folder`, and tells what is remembered then.
    pub async fn apply(&self, plan: Plan, folder: &Path) -> Result<BTreeMap<Urn, Record>, Failure> {
        let stack = plan.stack.clone();
        let context = RunContext {
            stack: stack.clone(),
            run: 1,
            vault: Arc::new(self.vault.clone()),
            progress: Progress::none(),
            cancel: CancellationToken::new(),
        };
        let store = Store::open(folder, stack).lock()?;
        let interpreter = Arc::clone(&self.interpreter);
        let run = Run::new(plan, interpreter, store, context, Limits::default());
        let (events, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let listening = async { while heard.recv().await.is_some() {} };
        let (outcome, ()) = tokio::join!(run.start(events, Cancel::new()), listening);
        let outcome = outcome?;
        if outcome.is_success() {
            Ok(outcome.records)
        } else {
            Err(format!("{:?}", outcome.failed).into())
        }
    }
}

/// Whether the order of a plan is proved safe, as before each `up`.
pub fn proved(plan: &Plan, graph: &Graph) -> Result<(), Failure> {
    let report = lint::plan_observed(plan, graph.groups(), &Observation::default());
    if report.has_errors() {
        return Err("the plan is refused".into());
    }
    Ok(())
}
