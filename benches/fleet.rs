//! An `up` with nothing to do on 200 hosts, beside the floor: one SSH handshake and one exec on
//! each.
//!
//! The hosts are SSH servers in this process ([`benches::fleet`]), which share its processors with
//! the client; both sides pay for them alike. Everything that an `up` does is timed, from the
//! declaration of the program to its end: checks, state and lock on the disk, connections, probes,
//! plan. Both are measured in turn in the same run.

#![expect(clippy::disallowed_macros, reason = "a measurement says what it found")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::desk::{Desk, Failure, checked, expect};
use benches::fleet::Fleet;
use benches::{floor, median, table};
use kbz_infra::effect::Interpreter;
use kbz_infra::host::pool::Hosts;
use kbz_infra::host::{HostInterpreter, local_docker};
use kbz_infra::ident::StackName;
use kbz_infra::primitive::{Directory, File};
use kbz_infra::program::{DeclareExt as _, Program, Settings, Stack};
use kbz_infra::secret::Vault;
use kbz_infra::state::Store;

const HOSTS: usize = 200;
/// The resources of each host: a directory and the files in it.
const EACH: usize = 10;
const ROUNDS: usize = 9;
/// What is to be reached, in times of the floor.
const GOAL: f64 = 1.5;
const STACK: &str = "fleet";

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if !benches::asked() {
        return Ok(ExitCode::SUCCESS);
    }
    let fleet = Fleet::start(HOSTS).await?;
    let state = tempfile::tempdir()?;
    eprintln!("making {EACH} resources on each of {HOSTS} hosts");
    first(&fleet, state.path()).await?;
    fleet.settle();
    let (mut ups, mut floors) = (Vec::new(), Vec::new());
    // What is asked for the first time is answered by a program, so the first round does not count.
    for _ in 0..=ROUNDS {
        ups.push(unchanged(&fleet, state.path()).await?.as_secs_f64());
        let hosts = Hosts::over_ssh(fleet.ways());
        floors.push(floor(hosts).await?.as_secs_f64());
    }
    let (ups, floors) = (&ups[1..], &floors[1..]);
    let heading = format!("{HOSTS} hosts, {ROUNDS} rounds in turn, ms");
    let rows = [
        ("up, nothing to do", ups),
        ("floor: handshake and exec on each host", floors),
    ];
    let ratio = median(ups.to_vec()) / median(floors.to_vec());
    print!("{}", table::spans(&heading, &rows));
    println!("ratio of the medians: {ratio:.2}, goal {GOAL}");
    Ok(ExitCode::SUCCESS)
}

/// A directory with files on each host.
fn program(fleet: &Fleet) -> Result<Program, Failure> {
    let mut stack = Stack::new(StackName::new(STACK)?, Settings::new("."));
    for (host, root) in fleet.folders() {
        let folder = root.join("srv").display().to_string();
        let directory = Directory::on(host, &folder).owner(fleet.owner().clone());
        let directory = stack.add(directory);
        for number in 1..EACH {
            let file = File::on(host, format!("{folder}/{number}.conf"));
            let file = file.owner(fleet.owner().clone());
            let file = file.content(format!("number = {number}\n"));
            drop(stack.add(file.depends_on(&directory)));
        }
    }
    Ok(stack.finish()?)
}

/// An operator with connections of its own.
fn desk(fleet: &Fleet) -> Result<(Desk, Arc<HostInterpreter>), Failure> {
    let stack = StackName::new(STACK)?;
    let vault = Vault::new();
    let (hosts, knock) = (Hosts::over_ssh(fleet.ways()), Hosts::over_ssh(fleet.ways()));
    let shared = Arc::new(vault.clone());
    let hosts = HostInterpreter::new(&stack, hosts, knock, local_docker(None)?, shared);
    let hosts = Arc::new(hosts);
    let desk = Desk {
        interpreter: Arc::clone(&hosts) as Arc<dyn Interpreter>,
        hosts: fleet.names().cloned().collect(),
        vault,
    };
    Ok((desk, hosts))
}

async fn first(fleet: &Fleet, state: &Path) -> Result<(), Failure> {
    let graph = checked(&program(fleet)?)?;
    let (desk, hosts) = desk(fleet)?;
    let plan = desk.plan(&graph, &BTreeMap::new()).await?;
    expect(plan.steps.len(), HOSTS * EACH)?;
    desk.apply(plan, state).await?;
    hosts.close().await;
    Ok(())
}

async fn unchanged(fleet: &Fleet, state: &Path) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let graph = checked(&program(fleet)?)?;
    let (desk, hosts) = desk(fleet)?;
    let mut store = Store::open(state, graph.stack().clone()).lock()?;
    let plan = desk.plan(&graph, store.records()).await?;
    store.settle(plan.kept.values(), &plan.forgotten)?;
    let elapsed = begun.elapsed();
    expect(plan.steps.len(), 0)?;
    expect(plan.kept.len(), HOSTS * EACH)?;
    hosts.close().await;
    Ok(elapsed)
}
