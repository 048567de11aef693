//! Rehearses a program against model hosts: plan, carry out, plan again.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use kbz_infra::effect::{Interpreter, Progress, RunContext};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, StackName};
use kbz_infra::lint;
use kbz_infra::observe::observe;
use kbz_infra::plan::{Plan, Planner, Request, probes};
use kbz_infra::prelude::{Result, Stack};
use kbz_infra::program::Settings;
use kbz_infra::secret::Vault;
use kbz_infra::sim::World;
use tokio_util::sync::CancellationToken;

/// Anything that can go wrong.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// What a program plans on a host that has nothing of it, and what is left to do afterwards.
#[derive(Debug)]
pub struct Rehearsal {
    /// The first plan.
    pub first: Plan,
    /// The plan once the first is carried out.
    pub second: Plan,
}

/// Runs `program` against one model host.
pub async fn rehearse(
    host: &str,
    program: impl Fn(&mut Stack) -> Result<()>,
) -> Result<Rehearsal, AnyError> {
    let name = StackName::new("example")?;
    let host = HostName::new(host)?;
    let mut stack = Stack::new(name.clone(), Settings::new("."));
    program(&mut stack)?;
    let declared = stack.finish()?;
    let graph = Graph::new(declared.declarations).map_err(|errors| format!("{errors:?}"))?;
    let report = lint::lint(&graph);
    if report.has_errors() {
        return Err(report.summary().into());
    }
    let address = IpAddr::from([10, 0, 0, 11]);
    let world: Arc<dyn Interpreter> =
        Arc::new(World::empty(name.clone(), [(host.clone(), address)]));
    let hosts = BTreeSet::from([host]);
    let first = plan(&graph, &hosts, &world, &declared.vault).await?;
    let context = RunContext {
        stack: name,
        run: 1,
        vault: Arc::new(declared.vault.clone()),
        progress: Progress::none(),
        cancel: CancellationToken::new(),
    };
    for effect in first.steps.iter().flat_map(|step| &step.effects) {
        world.run(effect, &context).await?;
    }
    let second = plan(&graph, &hosts, &world, &declared.vault).await?;
    Ok(Rehearsal { first, second })
}

async fn plan(
    graph: &Graph,
    hosts: &BTreeSet<HostName>,
    world: &Arc<dyn Interpreter>,
    vault: &Vault,
) -> Result<Plan, AnyError> {
    let nothing = BTreeMap::new();
    let observation = observe(world, probes(graph, hosts, &nothing), &|_| {}).await;
    let plan = Planner::new(graph, &observation, vault, &nothing).plan(Request::Up);
    plan.map_err(|problems| format!("{problems:?}").into())
}
