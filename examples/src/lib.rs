//! What the examples share: a rehearsal against model hosts (plan, carry out, plan again), and
//! the module of Redis.

pub mod redis;

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
use kbz_infra::prelude::{Host, Result, Stack};
use kbz_infra::program::Settings;
use kbz_infra::resource::Claim;
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

/// Runs `program` against model hosts: those that its declarations name.
pub async fn rehearse(program: impl Fn(&mut Stack) -> Result<()>) -> Result<Rehearsal, AnyError> {
    rehearse_with(Settings::new("."), program).await
}

/// The same for a program that reads files: `settings` say where they are.
pub async fn rehearse_with(
    settings: Settings,
    program: impl Fn(&mut Stack) -> Result<()>,
) -> Result<Rehearsal, AnyError> {
    let name = StackName::new("example")?;
    let mut stack = Stack::new(name.clone(), settings);
    program(&mut stack)?;
    let declared = stack.finish()?;
    let graph = Graph::new(declared.declarations).map_err(|errors| format!("{errors:?}"))?;
    let report = lint::lint(&graph);
    if report.has_errors() {
        return Err(report.summary().into());
    }
    let hosts: BTreeSet<HostName> = graph
        .in_order()
        .filter_map(|(urn, _)| urn.host().cloned())
        .collect();
    let world: Arc<dyn Interpreter> = Arc::new(model(&name, &hosts, &declared.hosts, &graph));
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

/// Hosts that have nothing yet but their data disks.
fn model(
    stack: &StackName,
    hosts: &BTreeSet<HostName>,
    inventory: &[Host],
    graph: &Graph,
) -> World {
    let address = |name: &HostName| {
        let known = inventory.iter().find(|host| host.name == *name);
        known.map_or(IpAddr::from([10, 0, 0, 11]), |host| host.address)
    };
    let hosts = hosts.iter().map(|name| (name.clone(), address(name)));
    World::empty(stack.clone(), hosts).with(|universe| {
        for (_, _, claim) in graph.claims() {
            if let Claim::StoresData { host, path } = claim {
                universe.mount(&host, &path, "xfs", DATA_DISK);
            }
        }
    })
}

/// Bytes of a data disk of a model host.
const DATA_DISK: u64 = 40 << 30;

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

/// The code of the README and of the book, compiled and run as documentation tests.
/// `tests/book.rs` sees to it that no chapter is missing.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../ARCHITECTURE.md")]
    struct Architecture;
    #[doc = include_str!("../../book/src/first-steps.md")]
    struct FirstSteps;
    #[doc = include_str!("../../book/src/concepts.md")]
    struct Concepts;
    #[doc = include_str!("../../book/src/keybuzz.md")]
    struct Keybuzz;
    #[doc = include_str!("../../book/src/own-resource.md")]
    struct OwnResource;
    #[doc = include_str!("../../book/src/operations.md")]
    struct Operations;
    #[doc = include_str!("../../book/src/lab.md")]
    struct Lab;
    #[doc = include_str!("../../book/src/comparison.md")]
    struct Comparison;
}
