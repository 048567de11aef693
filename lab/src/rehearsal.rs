//! The lab as the ground on which a program is rehearsed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use async_trait::async_trait;
use clap::Parser;
use ipnet::Ipv4Net;
use kbz_infra::cli::{
    LabWay, NoLab, Rehearsal as Rehearse, Rehearsed, RehearsedBalancer, RehearsedHost,
};
use secrecy::SecretString;

use crate::cli::{LabCommand, LabProgram, describe_event};
use crate::event::{Events, LabEvent};
use crate::spec::{DataDisk, HostSpec, LabName, LabSpec, Publish, lab_directory};
use crate::{Lab, LabAccess, rootfs};

/// Rehearses a program in the lab `kbz`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rehearsal;

/// The words that lead to the lab's commands on the program's command line.
const WORDS: [&str; 1] = ["lab"];
/// The folder, below the program's, that keeps the lab's keys.
const STATE: &str = ".kbz";
/// The lab's credentials, below the program's folder.
const CREDENTIALS: &str = "lab/credentials/postgres.env";
/// Sizes of data disks in MiB: databases need room, a proxy keeps a small file.
const LARGE_DISK: u64 = 10_240;
const SMALL_DISK: u64 = 1_024;

/// `lab ...` as it is typed.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    about = "Production on one machine",
    disable_help_subcommand = false
)]
struct Typed {
    #[command(subcommand)]
    command: LabCommand,
}

#[async_trait]
impl Rehearse for Rehearsal {
    fn base_image(&self) -> String {
        rootfs::debian_base(crate::up::ca_bundle()).image()
    }

    async fn up(
        &self,
        wanted: &Rehearsed,
        say: &(dyn for<'a> Fn(&'a str) + Send + Sync),
    ) -> Result<LabWay, NoLab> {
        let spec = spec(wanted)?;
        let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let events = Events::new(move |event| {
            // Nobody listens any more only when the command has ended.
            let _ = sender.send(event);
        });
        let making = async {
            let made = Lab::ready(&spec, &events).await;
            drop(events);
            made
        };
        let telling = async {
            let mut changed = true;
            while let Some(event) = heard.recv().await {
                if let LabEvent::Up { changed: made, .. } = event {
                    changed = made;
                }
                if let Some(line) = describe_event(&event) {
                    let line = format!("  lab  {line}");
                    say(&line);
                }
            }
            changed
        };
        let (access, changed) = tokio::join!(making, telling);
        let access = access.map_err(|error| no_lab(&error))?;
        Ok(LabWay {
            changed,
            ..way(&access, wanted)?
        })
    }

    fn known(&self, wanted: &Rehearsed) -> Option<LabWay> {
        let directory = lab_directory(&wanted.folder.join(STATE), &name());
        // What is wrong with it is told by whoever needs it.
        let access = LabAccess::read(&directory).ok().flatten()?;
        way(&access, wanted).ok()
    }

    async fn find(&self, wanted: &Rehearsed) -> Result<Option<LabWay>, NoLab> {
        let name = name();
        let directory = lab_directory(&wanted.folder.join(STATE), &name);
        let Some(access) = LabAccess::read(&directory).map_err(|error| no_lab(&error))? else {
            return Ok(None);
        };
        let status = Lab::status(&name).await.map_err(|error| no_lab(&error))?;
        if status.machines.is_empty() {
            return Ok(None);
        }
        if !status.can_be_entered() {
            return Err(NoLab {
                what: format!("the lab {name} is there, and its bastion does not run"),
                help: Some("`lab up` repairs it, `lab down` removes it".to_owned()),
            });
        }
        way(&access, wanted).map(Some)
    }

    async fn command(&self, arguments: &[String], folder: Option<&Path>, json: bool) -> ExitCode {
        let words = std::iter::once("lab".to_owned()).chain(arguments.iter().cloned());
        let mut typed = match Typed::try_parse_from(words.map(OsString::from)) {
            Ok(typed) => typed,
            Err(error) => {
                let code = u8::try_from(error.exit_code()).unwrap_or(2);
                // The terminal that went away needs no help text.
                let _ = error.print();
                return ExitCode::from(code);
            }
        };
        let ran = match prepared(&mut typed.command, folder, json) {
            Ok(program) => typed.command.run(&program).await,
            Err(report) => Err(report),
        };
        ran.unwrap_or_else(|report| {
            crate::cli::complain(&report);
            ExitCode::FAILURE
        })
    }
}

/// Makes a command one of the program in this folder.
fn prepared(
    command: &mut LabCommand,
    folder: Option<&Path>,
    json: bool,
) -> miette::Result<LabProgram> {
    command.for_machines(json)?;
    match folder {
        Some(folder) => command.rooted_in(folder, STATE, CREDENTIALS),
        None => command.without_folder()?,
    }
    LabProgram::current(&WORDS).map_err(miette::Report::msg)
}

fn name() -> LabName {
    "kbz".parse().expect("a constant name")
}

/// The lab that a program needs.
fn spec(wanted: &Rehearsed) -> Result<LabSpec, NoLab> {
    let program = LabProgram::current(&WORDS).map_err(|error| no_lab(&error))?;
    let mut spec = program.keybuzz(name());
    spec.state = wanted.folder.join(STATE);
    spec.hosts = wanted.hosts.iter().map(host).collect::<Result<_, _>>()?;
    spec.balancer = match (wanted.balancers.as_slice(), spec.balancer.take()) {
        ([], _) | (_, None) => None,
        ([wanted], Some(mut balancer)) => {
            balance(&mut balancer, wanted)?;
            Some(balancer)
        }
        _ => {
            return Err(NoLab {
                what: "the lab has one load balancer, and the program declares more".to_owned(),
                help: Some("rehearse it with one of them at a time".to_owned()),
            });
        }
    };
    if let Some(first) = spec.hosts.first() {
        let subnet = Ipv4Net::new(first.address, 24).map(|net| net.trunc());
        spec.subnet = subnet.map_err(|error| no_lab(&error))?;
    }
    Ok(spec)
}

fn host(wanted: &RehearsedHost) -> Result<HostSpec, NoLab> {
    Ok(HostSpec {
        name: wanted.name.to_string(),
        address: v4(wanted.address)?,
        data: wanted.data.iter().next().map(|directory| DataDisk {
            directory: PathBuf::from(directory),
            mebibytes: if directory.contains("haproxy") {
                SMALL_DISK
            } else {
                LARGE_DISK
            },
        }),
    })
}

fn balance(
    balancer: &mut crate::spec::BalancerSpec,
    wanted: &RehearsedBalancer,
) -> Result<(), NoLab> {
    balancer.name.clone_from(&wanted.name);
    balancer.address = v4(wanted.address)?;
    balancer.services = wanted
        .ports
        .iter()
        .map(|port| Publish {
            port: *port,
            preferred: port.checked_add(10_000).unwrap_or(*port),
        })
        .collect();
    Ok(())
}

fn v4(address: IpAddr) -> Result<Ipv4Addr, NoLab> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => Err(NoLab {
            what: format!("the lab's network is IPv4, and {address} is not"),
            help: None,
        }),
    }
}

/// How a lab's hosts are reached: by SSH through its bastion, as in production.
fn way(access: &LabAccess, wanted: &Rehearsed) -> Result<LabWay, NoLab> {
    let hosts = access.ways().map_err(|error| no_lab(&error))?;
    let mut published = BTreeMap::new();
    for balancer in &wanted.balancers {
        for service in &access.services {
            let inside = SocketAddr::new(balancer.address, service.port);
            published.insert(inside, SocketAddr::V4(service.published));
        }
    }
    Ok(LabWay {
        hosts,
        hetzner: hetzner(access)?,
        published,
        changed: false,
    })
}

fn hetzner(access: &LabAccess) -> Result<Option<(String, SecretString)>, NoLab> {
    let Some(api) = &access.hetzner_api else {
        return Ok(None);
    };
    Ok(Some((api.clone(), token(&access.hetzner_token)?)))
}

fn token(path: &Path) -> Result<SecretString, NoLab> {
    let text = std::fs::read_to_string(path).map_err(|error| NoLab {
        what: format!("the lab's token {} cannot be read: {error}", path.display()),
        help: Some("`lab up` writes it again".to_owned()),
    })?;
    Ok(SecretString::from(text.trim().to_owned()))
}

/// An error with its causes, and its cure where it names one.
fn no_lab(error: &dyn std::error::Error) -> NoLab {
    let mut what = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        what = format!("{what}: {cause}");
        source = cause.source();
    }
    NoLab { what, help: None }
}
