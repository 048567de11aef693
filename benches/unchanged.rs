//! An `up` with nothing to do, of the whole stack on the lab's hosts, beside the floor.
//!
//! The floor is what no program that asks these hosts can take less than: one handshake with the
//! bastion, one with each host through it, and one exec of `true` on each, all hosts at once, by
//! the same library. Both are measured in turn in the same run, so that whatever else the
//! machine does slows both. The program is the release build, started as an operator starts it;
//! the floor is measured inside this process, which is to its advantage.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant};

use benches::{median, table};
use kbz_infra::cli::{Rehearsal as _, Rehearsed};
use kbz_infra::host::pool::Hosts;
use kbz_infra::host::transport::Exec;

const ROUNDS: usize = 15;
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if !benches::asked() {
        return Ok(ExitCode::SUCCESS);
    }
    let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stacks");
    let stack = stack.canonicalize()?;
    let program = built(&stack)?;
    eprintln!("bringing the lab up to date; without one this takes some minutes");
    while !is_unchanged(&up(&program, &stack)?) {}
    let (mut ups, mut floors) = (Vec::new(), Vec::new());
    let mut said = String::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let output = up(&program, &stack)?;
        ups.push(begun.elapsed().as_secs_f64());
        if !is_unchanged(&output) {
            return Err("something changed meanwhile".into());
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        floors.push(floor(&stack).await?.as_secs_f64());
    }
    print!("{said}\n{}", drawn(ups, floors));
    Ok(ExitCode::SUCCESS)
}

fn drawn(ups: Vec<f64>, floors: Vec<f64>) -> String {
    let row = |what: &str, mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let cell = |seconds: f64| format!("{:.0}", seconds * 1000.0);
        let (least, most) = (times[0], times[times.len() - 1]);
        vec![
            what.to_owned(),
            cell(least),
            cell(median(times)),
            cell(most),
        ]
    };
    let ratio = median(ups.clone()) / median(floors.clone());
    let rows = [
        row("up, nothing to do", ups),
        row("floor: handshake and exec on each host", floors),
    ];
    let heading = [
        &format!("{ROUNDS} rounds in turn, ms"),
        "least",
        "median",
        "most",
    ];
    format!(
        "{}ratio of the medians: {ratio:.2}\n",
        table::draw(&heading, &rows)
    )
}

/// The release build of the stack's program, which lies beside this one.
fn built(stack: &Path) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", "stacks"]);
    if !build.current_dir(stack).status()?.success() {
        return Err("the program cannot be built".into());
    }
    let here = std::env::current_exe()?;
    let release = here.ancestors().nth(2).ok_or("no folder of builds")?;
    Ok(release.join("keybuzz"))
}

fn up(program: &Path, stack: &Path) -> Result<Output, Failure> {
    let mut command = Command::new(program);
    command.args(["up", "--env", "lab", "--color", "never", "--stack-dir"]);
    let output = command.arg(stack).output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

fn is_unchanged(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("no changes")
}

/// Connects to every host through the bastion and runs one command on each, all at once.
async fn floor(stack: &Path) -> Result<Duration, Failure> {
    let wanted = Rehearsed {
        folder: stack.to_owned(),
        hosts: Vec::new(),
        balancers: Vec::new(),
    };
    let way = kbz_lab::Rehearsal.find(&wanted).await?;
    let way = way.ok_or("the lab is gone")?;
    let hosts = Hosts::over_ssh(way.hosts);
    let begun = Instant::now();
    let answers = hosts.exec_on_all(&Exec::new("true", PATIENCE)).await;
    let elapsed = begun.elapsed();
    for answer in answers.into_values() {
        if !answer?.status.success() {
            return Err("a host cannot run `true`".into());
        }
    }
    hosts.close().await;
    Ok(elapsed)
}
