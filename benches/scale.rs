//! How plan and apply grow with the number of resources, on modelled hosts.
//!
//! Each size runs in a process of its own, so that its peak memory is its own. Within a size, a
//! program is declared, planned against empty hosts, applied by the real executor with its
//! journal on the disk, and planned again unchanged and with every second file changed.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use benches::generated::{generated, hosts};
use benches::table;
use kbz_infra::effect::{Interpreter, Progress, Record, RunContext};
use kbz_infra::exec::{Cancel, Limits, Run};
use kbz_infra::graph::Graph;
use kbz_infra::ident::{HostName, StackName, Urn};
use kbz_infra::observe::{follow_up, observe};
use kbz_infra::plan::{Plan, Planner, Request, probes};
use kbz_infra::probe::Observation;
use kbz_infra::program::Program;

use kbz_infra::secret::Vault;
use kbz_infra::sim::World;
use kbz_infra::state::Store;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// The argument by which this program measures one size.
const ONE: &str = "--one";

type Failure = Box<dyn std::error::Error>;

/// What one size took.
#[derive(Serialize, Deserialize)]
struct Measured {
    count: u32,
    /// Seconds of each phase, in order.
    phases: Vec<(String, f64)>,
    /// The most memory that the process ever had, in KiB.
    peak: u32,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != ONE);
    if let Some(count) = arguments.nth(1) {
        let measured = measure(count.parse()?).await?;
        println!("{}", serde_json::to_string(&measured)?);
    } else if benches::asked() {
        let sizes: Result<Vec<Measured>, Failure> = SIZES.into_iter().map(apart).collect();
        print!("{}", drawn(&sizes?));
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures one size in a process of its own.
fn apart(count: u32) -> Result<Measured, Failure> {
    let mut program = Command::new(std::env::current_exe()?);
    let output = program.args([ONE, &count.to_string()]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Seconds, microseconds for each resource, and how the latter grew from size to size.
fn drawn(sizes: &[Measured]) -> String {
    let mut heading = vec!["phase".to_owned()];
    for size in sizes {
        heading.extend([format!("{} s", size.count), "µs each".to_owned()]);
    }
    heading.push("growth".to_owned());
    let mut rows = Vec::new();
    for (place, (phase, _)) in sizes[0].phases.iter().enumerate() {
        let each = |size: &Measured| size.phases[place].1 * 1e6 / f64::from(size.count);
        let mut row = vec![phase.clone()];
        for size in sizes {
            row.push(format!("{:.3}", size.phases[place].1));
            row.push(format!("{:.1}", each(size)));
        }
        let growth = each(&sizes[sizes.len() - 1]) / each(&sizes[0]);
        row.push(format!("× {growth:.2}"));
        rows.push(row);
    }
    let mut memory = vec!["peak memory, MiB and KiB".to_owned()];
    for size in sizes {
        memory.push(format!("{}", size.peak / 1024));
        memory.push(format!(
            "{:.1}",
            f64::from(size.peak) / f64::from(size.count)
        ));
    }
    memory.push(String::new());
    rows.push(memory);
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    table::draw(&heading, &rows)
}

/// The phases of one size, each timed.
#[derive(Default)]
struct Watch(Vec<(String, f64)>);

impl Watch {
    fn time<T>(&mut self, phase: &str, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let made = work();
        self.note(phase, begun);
        made
    }

    fn note(&mut self, phase: &str, begun: Instant) {
        self.0
            .push((phase.to_owned(), begun.elapsed().as_secs_f64()));
    }
}

async fn measure(size: u32) -> Result<Measured, Failure> {
    let count = usize::try_from(size)?;
    let mut watch = Watch::default();
    let program = watch.time("declare", || generated(count, 1))?;
    let graph = watch.time("graph and lint", || checked(&program))?;
    let hosts = hosts()?;
    let names = hosts.iter().map(|(name, _)| name.clone()).collect();
    let world = Arc::new(World::empty(graph.stack().clone(), hosts));
    let desk = Desk {
        world,
        names,
        vault: Vault::new(),
    };
    let nothing = BTreeMap::new();
    let begun = Instant::now();
    let plan = desk.plan(&graph, &nothing).await?;
    watch.note("preview, all to be made", begun);
    expect(plan.steps.len(), count)?;
    let begun = Instant::now();
    let records = desk.apply(plan).await?;
    watch.note("apply", begun);
    let begun = Instant::now();
    let unchanged = desk.plan(&graph, &records).await?;
    watch.note("preview, nothing changed", begun);
    expect(unchanged.steps.len(), 0)?;
    drop((unchanged, graph, program));
    let graph = checked(&generated(count, 2)?)?;
    let begun = Instant::now();
    let changed = desk.plan(&graph, &records).await?;
    watch.note("preview, half of the files changed", begun);
    if changed.steps.len() < count / 3 {
        return Err("too little has changed".into());
    }
    Ok(Measured {
        count: size,
        phases: watch.0,
        peak: peak()?,
    })
}

/// Figures of a wrong result are worth nothing.
fn expect(steps: usize, expected: usize) -> Result<(), Failure> {
    if steps == expected {
        return Ok(());
    }
    Err(format!("{steps} steps were planned, and {expected} are right").into())
}

fn checked(program: &Program) -> Result<Graph, Failure> {
    let graph = Graph::new(program.declarations.clone());
    let graph = graph.map_err(|errors| format!("{errors:?}"))?;
    if kbz_infra::lint::lint(&graph).has_errors() {
        return Err("the program is refused".into());
    }
    Ok(graph)
}

/// An operator of the modelled hosts.
struct Desk {
    world: Arc<World>,
    names: BTreeSet<HostName>,
    vault: Vault,
}

impl Desk {
    async fn observe(&self, graph: &Graph, remembered: &BTreeMap<Urn, Record>) -> Observation {
        let interpreter: Arc<dyn Interpreter> = self.world.clone();
        let known = |urn: &Urn| graph.node(urn).is_some() || remembered.contains_key(urn);
        let asked = probes(graph, &self.names, remembered);
        let seen = observe(&interpreter, asked, &|_| {}).await;
        follow_up(&interpreter, seen, &known, &|_| {}).await
    }

    async fn plan(
        &self,
        graph: &Graph,
        remembered: &BTreeMap<Urn, Record>,
    ) -> Result<Plan, Failure> {
        let observation = self.observe(graph, remembered).await;
        let planner = Planner::new(graph, &observation, &self.vault, remembered);
        let plan = planner.plan(Request::Up);
        plan.map_err(|problems| format!("{problems:?}").into())
    }

    async fn apply(&self, plan: Plan) -> Result<BTreeMap<Urn, Record>, Failure> {
        let folder = tempfile::tempdir()?;
        let stack: StackName = plan.stack.clone();
        let context = RunContext {
            stack: stack.clone(),
            run: 1,
            vault: Arc::new(self.vault.clone()),
            progress: Progress::none(),
            cancel: CancellationToken::new(),
        };
        let store = Store::open(folder.path(), stack).lock()?;
        let run = Run::new(plan, self.world.clone(), store, context, Limits::default());
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

/// The most memory that this process ever had, in KiB.
fn peak() -> Result<u32, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|rest| rest.split_whitespace().next());
    Ok(figure.ok_or("the kernel tells no peak memory")?.parse()?)
}
