//! 2,000 trivial resources, applied and then planned again unchanged, beside Terraform.
//!
//! Theirs are `terraform_data`, which are part of Terraform itself and exist in its state alone;
//! ours are files on modelled hosts. Both are made in pairs, of which the second waits for the
//! first. Every figure is a program from its start to its end, with its state on the disk. Ours
//! keeps its modelled hosts in a file between the two; how long it reads and writes that, which on
//! real hosts nobody has to, is told by itself and taken off.
//!
//! What is called `terraform` is used, else `tofu`; it loads no provider and calls nobody. With
//! neither, the figures of a machine with two cores stand beside ours, and are marked as such.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use benches::desk::{Desk, Failure, checked, expect, proved};
use benches::generated::hosts;
use benches::pairs::{paired, terraform};
use benches::{median, table};
use kbz_infra::ident::StackName;
use kbz_infra::secret::Vault;
use kbz_infra::sim::World;
use kbz_infra::state::{ReadAhead, Store};

/// So many pairs are 2,000 resources.
const PAIRS: usize = 1_000;
/// How often ours is applied; theirs takes a minute and is applied once.
const ROUNDS: usize = 5;
/// How often either plans what is applied.
const PLANS: usize = 5;
/// The arguments by which this program is one of ours.
const APPLY: &str = "--apply";
const PLAN: &str = "--plan";
/// Where ours keeps its modelled hosts.
const WORLD: &str = "world.json";
/// Terraform 1.11 on a machine with two cores, in seconds: apply and unchanged plan.
const KNOWN: (f64, f64) = (275.0, 23.0);
/// What is to be reached, in times faster.
const GOALS: (f64, f64) = (200.0, 100.0);

// The modelled hosts let nobody wait, so there is nothing that more threads could do meanwhile.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, mode, folder] if mode == APPLY => apply(Path::new(folder)).await?,
        [_, mode, folder] if mode == PLAN => plan(Path::new(folder)).await?,
        _ if benches::asked() => compare()?,
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Seconds of an apply and of an unchanged plan.
#[derive(Clone, Copy)]
struct Times {
    apply: f64,
    plan: f64,
}

fn compare() -> Result<(), Failure> {
    let ours: Result<Vec<Times>, Failure> = (0..ROUNDS).map(|_| ours()).collect();
    let ours = ours?;
    let ours = Times {
        apply: median(ours.iter().map(|times| times.apply).collect()),
        plan: median(ours.iter().map(|times| times.plan).collect()),
    };
    let (peer, theirs) = if let Some((program, version)) = installed() {
        eprintln!("{version} applies {PAIRS} pairs; this takes some minutes");
        (version, theirs(program)?)
    } else {
        let (apply, plan) = KNOWN;
        let remark = "Terraform 1.11, measured elsewhere: none is installed here";
        (remark.to_owned(), Times { apply, plan })
    };
    let row = |what: &str, ours: f64, theirs: f64, goal: f64| {
        vec![
            what.to_owned(),
            format!("{theirs:.2}"),
            format!("{ours:.3}"),
            format!("× {:.0}", theirs / ours),
            format!("× {goal:.0}"),
        ]
    };
    let rows = [
        row("apply", ours.apply, theirs.apply, GOALS.0),
        row("plan, nothing changed", ours.plan, theirs.plan, GOALS.1),
    ];
    let resources = format!("{} resources", 2 * PAIRS);
    let heading = [resources.as_str(), "theirs s", "ours s", "faster", "goal"];
    println!("theirs: {peer}\n{}", table::draw(&heading, &rows));
    Ok(())
}

/// How long a program takes from its start to its end, and what it says; it has to succeed.
fn timed(command: &mut Command) -> Result<(f64, String), Failure> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let elapsed = begun.elapsed().as_secs_f64();
    if output.status.success() {
        return Ok((elapsed, String::from_utf8(output.stdout)?));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// How long a plan takes, of some of them.
fn often(plan: impl Fn() -> Result<f64, Failure>) -> Result<f64, Failure> {
    let times: Result<Vec<f64>, Failure> = (0..PLANS).map(|_| plan()).collect();
    Ok(median(times?))
}

// Theirs

/// Terraform or OpenTofu, with what it calls itself.
fn installed() -> Option<(&'static str, String)> {
    ["terraform", "tofu"].into_iter().find_map(|program| {
        let output = calling(program, Path::new(".")).arg("version").output();
        let said = String::from_utf8(output.ok()?.stdout).ok()?;
        Some((program, said.lines().next()?.to_owned()))
    })
}

/// The program in a folder; it asks nobody whether there is a newer one.
fn calling(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command.env("CHECKPOINT_DISABLE", "1");
    command.env("TF_IN_AUTOMATION", "1");
    command
}

fn theirs(program: &str) -> Result<Times, Failure> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("main.tf"), terraform(PAIRS))?;
    let call = |arguments: &[&str]| {
        let mut command = calling(program, folder.path());
        let timed = timed(command.args(arguments).args(["-input=false", "-no-color"]))?;
        Ok::<_, Failure>(timed.0)
    };
    call(&["init"])?;
    Ok(Times {
        apply: call(&["apply", "-auto-approve"])?,
        // With this it fails where it would change anything.
        plan: often(|| call(&["plan", "-detailed-exitcode"]))?,
    })
}

// Ours

fn ours() -> Result<Times, Failure> {
    let folder = tempfile::tempdir()?;
    let call = |mode: &str| {
        let mut command = Command::new(std::env::current_exe()?);
        let (elapsed, said) = timed(command.arg(mode).arg(folder.path()))?;
        Ok::<_, Failure>(elapsed - said.trim().parse::<f64>()?)
    };
    Ok(Times {
        apply: call(APPLY)?,
        plan: often(|| call(PLAN))?,
    })
}

fn desk(world: Arc<World>) -> Result<Desk, Failure> {
    let names = hosts()?.into_iter().map(|(name, _)| name);
    Ok(Desk {
        interpreter: world,
        hosts: names.collect(),
        vault: Vault::new(),
    })
}

async fn apply(folder: &Path) -> Result<(), Failure> {
    let graph = checked(&paired(PAIRS)?)?;
    let world = Arc::new(World::empty(graph.stack().clone(), hosts()?));
    let desk = desk(Arc::clone(&world))?;
    let plan = desk.plan(&graph, &BTreeMap::new()).await?;
    expect(plan.steps.len(), 2 * PAIRS)?;
    proved(&plan, &graph)?;
    desk.apply(plan, folder).await?;
    let begun = Instant::now();
    std::fs::write(folder.join(WORLD), world.to_value()?.to_string())?;
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn plan(folder: &Path) -> Result<(), Failure> {
    let ahead = ReadAhead::begin(Store::open(folder, StackName::new("paired")?));
    let graph = checked(&paired(PAIRS)?)?;
    let remembered = ahead.finish()?.records;
    let begun = Instant::now();
    let world = World::from_json(&std::fs::read(folder.join(WORLD))?)?;
    println!("{}", begun.elapsed().as_secs_f64());
    let world = Arc::new(world);
    // Neither the model nor what was read is taken apart at the end, as `preview` does not.
    let kept = ManuallyDrop::new((graph, remembered, Arc::clone(&world)));
    let (graph, remembered, _) = &*kept;
    let plan = ManuallyDrop::new(desk(world)?.plan(graph, remembered).await?);
    expect(plan.steps.len(), 0)?;
    expect(plan.kept.len(), 2 * PAIRS)
}
