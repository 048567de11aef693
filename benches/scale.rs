//! How plan and apply grow with the number of resources, on modelled hosts.
//!
//! Each size runs in a process of its own, so that its memory is its own; the kernel's mark of the
//! most memory is set back before each phase. Within a size, a program is declared, planned against
//! empty hosts, applied by the real executor with its journal on the disk, and planned again
//! unchanged and with every second file changed. The modelled hosts live in the same process: their
//! time and their memory are in the figures.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use benches::desk::{Desk, Failure, checked, expect, proved};
use benches::generated::{generated, hosts};
use benches::table;
use kbz_infra::secret::Vault;
use kbz_infra::sim::World;
use serde::{Deserialize, Serialize};

const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// The argument by which this program measures one size.
const ONE: &str = "--one";

/// What one size took.
#[derive(Serialize, Deserialize)]
struct Measured {
    count: u32,
    /// In order.
    phases: Vec<Phase>,
}

/// What one phase took.
#[derive(Serialize, Deserialize)]
struct Phase {
    name: String,
    seconds: f64,
    /// The most memory that the process had meanwhile, in KiB.
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

/// Seconds, microseconds for each resource, how the latter grew from size to size, and the most
/// memory that the largest size had.
fn drawn(sizes: &[Measured]) -> String {
    let mut heading = vec!["phase".to_owned()];
    for size in sizes {
        heading.extend([format!("{} s", size.count), "µs each".to_owned()]);
    }
    heading.extend(["growth".to_owned(), "peak MiB".to_owned()]);
    let largest = &sizes[sizes.len() - 1];
    let mut rows = Vec::new();
    for (place, phase) in largest.phases.iter().enumerate() {
        let each = |size: &Measured| size.phases[place].seconds * 1e6 / f64::from(size.count);
        let mut row = vec![phase.name.clone()];
        for size in sizes {
            row.push(format!("{:.3}", size.phases[place].seconds));
            row.push(format!("{:.1}", each(size)));
        }
        let growth = each(largest) / each(&sizes[0]);
        row.push(format!("× {growth:.2}"));
        row.push((phase.peak / 1024).to_string());
        rows.push(row);
    }
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    table::draw(&heading, &rows)
}

/// The phases of one size, each timed.
#[derive(Default)]
struct Watch(Vec<Phase>);

impl Watch {
    /// Begins a phase: the most memory so far is forgotten, where the kernel allows that.
    fn begin() -> Instant {
        let _as_it_is = std::fs::write("/proc/self/clear_refs", "5");
        Instant::now()
    }

    fn time<T>(
        &mut self,
        phase: &str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let begun = Self::begin();
        let made = work()?;
        self.note(phase, begun)?;
        Ok(made)
    }

    fn note(&mut self, phase: &str, begun: Instant) -> Result<(), Failure> {
        self.0.push(Phase {
            name: phase.to_owned(),
            seconds: begun.elapsed().as_secs_f64(),
            peak: peak()?,
        });
        Ok(())
    }
}

async fn measure(size: u32) -> Result<Measured, Failure> {
    let count = usize::try_from(size)?;
    let mut watch = Watch::default();
    let program = watch.time("declare", || Ok(generated(count, 1)?))?;
    let graph = watch.time("graph and lint", || checked(&program))?;
    let hosts = hosts()?;
    let desk = Desk {
        hosts: hosts.iter().map(|(name, _)| name.clone()).collect(),
        interpreter: Arc::new(World::empty(graph.stack().clone(), hosts)),
        vault: Vault::new(),
    };
    let nothing = BTreeMap::new();
    let begun = Watch::begin();
    let plan = desk.plan(&graph, &nothing).await?;
    watch.note("preview, all to be made", begun)?;
    expect(plan.steps.len(), count)?;
    watch.time("proof of its order", || proved(&plan, &graph))?;
    let folder = tempfile::tempdir()?;
    let begun = Watch::begin();
    let records = desk.apply(plan, folder.path()).await?;
    watch.note("apply", begun)?;
    let begun = Watch::begin();
    let unchanged = desk.plan(&graph, &records).await?;
    watch.note("preview, nothing changed", begun)?;
    expect(unchanged.steps.len(), 0)?;
    drop((unchanged, graph, program));
    let graph = checked(&generated(count, 2)?)?;
    let begun = Watch::begin();
    let changed = desk.plan(&graph, &records).await?;
    watch.note("preview, half of the files changed", begun)?;
    if changed.steps.len() < count / 3 {
        return Err("too little has changed".into());
    }
    Ok(Measured {
        count: size,
        phases: watch.0,
    })
}

/// The most memory that this process has had since it was last set back, in KiB.
fn peak() -> Result<u32, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|rest| rest.split_whitespace().next());
    Ok(figure.ok_or("the kernel tells no peak memory")?.parse()?)
}
