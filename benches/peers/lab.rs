//! The whole stack unchanged on the lab's five hosts, beside what Ansible with pipelining, Ansible with
//! Mitogen, pyinfra and forjar need to find a part of it unchanged on the same hosts.
//!
//! The peers are installed by this program (`tools.rs`), check what `checks.rs` lists with their own
//! modules, and reach the hosts through the lab's OpenSSH configuration. Each figure is a program from
//! its start to its end that found nothing to do; all are measured in turn in the same run. Ours
//! checks everything that the stack declares, the peers less.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

mod ansible;
mod checks;
mod forjar;
mod peer;
mod pyinfra;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::desk::Failure;
use benches::ours::Ours;
use benches::{median, table};
use checks::Checks;
use kbz_infra::ident::{HostName, Urn};
use kbz_lab::LabAccess;
use peer::Peer;
use tools::Tools;

const ROUNDS: usize = 3;
/// What the argument asks for that only installs the peers.
const INSTALL: &str = "--install";
/// The argument that leaves forjar out.
const WITHOUT_FORJAR: &str = "--without-forjar";

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if !benches::asked() {
        return Ok(ExitCode::SUCCESS);
    }
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    let tools = Tools::installed(!asked(WITHOUT_FORJAR))?;
    if asked(INSTALL) {
        return Ok(ExitCode::SUCCESS);
    }
    let ours = Ours::ready()?;
    let folder = tempfile::tempdir()?;
    let checks = checks::read(
        &ours.hosts().await?,
        &declared(&ours)?,
        &folder.path().join("contents"),
    )
    .await?;
    let peers = ready(&tools, &checks, &ours, folder.path())?;
    // forjar has written unit files once more, which systemd wants to be told.
    ours.settle()?;
    let count: usize = checks.values().map(Checks::count).sum();
    println!("{}", tools.versions()?);
    println!("the peers check {count} objects on {} hosts", checks.len());
    let mut times: Vec<Vec<f64>> = peers.iter().map(|_| Vec::new()).collect();
    let (mut ups, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ups.push(ours.unchanged(&[])?.0.as_secs_f64());
        floors.push(ours.floor().await?.as_secs_f64());
        for (peer, times) in peers.iter().zip(&mut times) {
            times.push(peer.run()?);
        }
    }
    print!("{}", drawn(&peers, &times, &ups, &floors));
    Ok(ExitCode::SUCCESS)
}

fn drawn(peers: &[Peer], times: &[Vec<f64>], ups: &[f64], floors: &[f64]) -> String {
    let ours = median(ups.to_vec());
    let row = |name: &str, times: &[f64], goal: &str| {
        let time = median(times.to_vec());
        vec![
            name.to_owned(),
            format!("{:.0}", time * 1000.0),
            format!("× {:.1}", time / ours),
            goal.to_owned(),
        ]
    };
    let mut rows = vec![
        row("floor: handshake and exec on each host", floors, ""),
        row("up, nothing to do", ups, ""),
    ];
    for (peer, times) in peers.iter().zip(times) {
        rows.push(row(peer.name, times, &format!("× {}", peer.goal)));
    }
    let heading = format!("median of {ROUNDS} rounds in turn");
    table::draw(&[&heading, "ms", "beside ours", "goal"], &rows)
}

/// The objects of the stack.
fn declared(ours: &Ours) -> Result<Vec<Urn>, Failure> {
    let output = ours.call(&["state", "list"])?;
    let listed = String::from_utf8(output.stdout)?;
    let urns: Result<Vec<Urn>, _> = listed.lines().map(str::parse).collect();
    Ok(urns?)
}

/// The peers, each with what it needs and after a first run, which does not count.
fn ready(
    tools: &Tools,
    checks: &BTreeMap<HostName, Checks>,
    ours: &Ours,
    folder: &Path,
) -> Result<Vec<Peer>, Failure> {
    let ssh_config = ssh_config(ours)?;
    let below = |name: &str| -> Result<PathBuf, Failure> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    let [pipelining, mitogen] = ansible::peers(tools, checks, &ssh_config, &below("ansible")?)?;
    let mut peers = vec![
        pipelining,
        mitogen,
        pyinfra::peer(tools, checks, &ssh_config, &below("pyinfra")?)?,
    ];
    if tools.with_forjar {
        peers.push(forjar::peer(tools, checks, &ssh_config, &below("forjar")?)?);
    }
    for peer in &peers {
        eprintln!("{}: {:.1} s at first", peer.name, peer.run()?);
    }
    Ok(peers)
}

/// The lab's OpenSSH configuration.
fn ssh_config(ours: &Ours) -> Result<PathBuf, Failure> {
    let name = "kbz".parse()?;
    let directory = kbz_lab::lab_directory(&ours.folder.join(".kbz"), &name);
    let access = LabAccess::read(&directory)?;
    Ok(access.ok_or("the lab is gone")?.ssh_config)
}
