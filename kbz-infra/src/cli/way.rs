//! The way to the hosts of an environment: which interpreter carries a plan out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::SecretString;

use super::error::Failed;
use super::rehearsal::{LabWay, Rehearsal};
use super::screen::Screen;
use super::session::Session;
use crate::effect::Interpreter;
use crate::host::hetzner::{HetznerClient, Patience};
use crate::host::pool::Hosts;
use crate::host::ssh::SshSettings;
use crate::host::{HostInterpreter, local_docker};
use crate::ident::HostName;
use crate::program::{EnvironmentKind, Hetzner, Host, Ssh, TokenSource};
use crate::sim::World;

/// The way to the hosts of an environment.
pub(super) struct Way {
    pub(super) interpreter: Arc<dyn Interpreter>,
    /// Where endpoints of the private network are found on this machine.
    pub(super) published: BTreeMap<SocketAddr, SocketAddr>,
    /// What every screen must say of where its answers come from.
    pub(super) remark: Option<String>,
}

/// Whether a lab that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Makes it.
    Make,
    /// Plans against the empty hosts that would be made.
    Imagine,
}

/// Finds or makes the way to the hosts.
pub(super) async fn find(
    session: &Session,
    lab: Option<&dyn Rehearsal>,
    missing: Missing,
    screen: Screen,
) -> Result<Way, Failed> {
    match session.environment.kind {
        EnvironmentKind::Lab => through_lab(session, lab, missing, screen).await,
        EnvironmentKind::Hosts => to_hosts(session),
        EnvironmentKind::Sim => Ok(imagined(session, SIMULATED)),
    }
}

const SIMULATED: &str = "the hosts are simulated: nothing real is read or changed";
const IMAGINED: &str =
    "there is no lab yet: planned against the empty hosts that `up` would make (simulated)";

async fn through_lab(
    session: &Session,
    lab: Option<&dyn Rehearsal>,
    missing: Missing,
    screen: Screen,
) -> Result<Way, Failed> {
    let lab = lab.ok_or_else(|| {
        Failed::with_help(
            "kbz::cli::no-lab",
            "this program was built without a lab",
            "take another environment: --env NAME",
        )
    })?;
    let wanted = session.rehearsed();
    let way = match missing {
        Missing::Make => Some(lab.up(&wanted, &|line| screen.say(line)).await?),
        Missing::Imagine => lab.find(&wanted).await?,
    };
    match way {
        Some(LabWay {
            hosts,
            hetzner,
            published,
        }) => {
            let hetzner = hetzner
                .map(|(api, token)| client(&api, token))
                .transpose()?;
            Ok(Way {
                interpreter: real(session, hosts, hetzner)?,
                published,
                remark: None,
            })
        }
        None => Ok(imagined(session, IMAGINED)),
    }
}

fn to_hosts(session: &Session) -> Result<Way, Failed> {
    let environment = &session.environment;
    let ssh = environment.ssh.as_ref().ok_or_else(|| {
        Failed::with_help(
            "kbz::environment::no-ssh",
            format!(
                "the environment `{}` does not say how to reach its hosts",
                environment.name
            ),
            "add a table [environments.NAME.ssh] to kbz.toml",
        )
    })?;
    let used = session.hosts();
    let hosts = session
        .program
        .hosts
        .iter()
        .filter(|host| used.contains(&host.name));
    let hosts = hosts
        .map(|host| (host.name.clone(), ssh_settings(ssh, host)))
        .collect();
    let hetzner = environment.hetzner.as_ref().map(hetzner).transpose()?;
    Ok(Way {
        interpreter: real(session, hosts, hetzner)?,
        published: BTreeMap::new(),
        remark: None,
    })
}

fn ssh_settings(ssh: &Ssh, host: &Host) -> SshSettings {
    let common = |address: String, port: u16, user: &str| {
        let mut settings = SshSettings::new(address).port(port).user(user);
        if let Some(identity) = &ssh.identity {
            settings = settings.identity(identity);
        }
        if let Some(known_hosts) = &ssh.known_hosts {
            settings = settings.known_hosts(known_hosts);
        }
        if let Some(agent) = std::env::var_os("SSH_AUTH_SOCK") {
            settings = settings.agent(agent);
        }
        settings
    };
    let settings = common(host.address.to_string(), ssh.port, &ssh.user);
    match &ssh.bastion {
        Some(bastion) => settings.via(common(bastion.host.clone(), bastion.port, &bastion.user)),
        None => settings,
    }
}

fn hetzner(settings: &Hetzner) -> Result<HetznerClient, Failed> {
    let token = match &settings.token {
        TokenSource::Variable(name) => std::env::var(name).map_err(|_| {
            Failed::with_help(
                "kbz::hetzner::no-token",
                format!("the environment variable {name} does not hold a token"),
                "export it, or name a file with token_file in kbz.toml",
            )
        })?,
        TokenSource::File(path) => std::fs::read_to_string(path).map_err(|error| {
            Failed::new(
                "kbz::hetzner::no-token",
                format!("{}: {error}", path.display()),
            )
        })?,
    };
    client(&settings.api, SecretString::from(token.trim().to_owned()))
}

fn client(api: &str, token: SecretString) -> Result<HetznerClient, Failed> {
    HetznerClient::new(api, token, Patience::default())
        .map_err(|error| Failed::new("kbz::hetzner::client", error.to_string()))
}

fn real(
    session: &Session,
    hosts: BTreeMap<HostName, SshSettings>,
    hetzner: Option<HetznerClient>,
) -> Result<Arc<dyn Interpreter>, Failed> {
    let stack = session.graph.stack().clone();
    let vault = Arc::new(session.program.vault.clone());
    let operator = local_docker(docker_socket().as_deref()).map_err(|error| {
        Failed::new(
            "kbz::docker",
            format!("the Docker of this machine: {error}"),
        )
    })?;
    let (hosts, knock) = (Hosts::over_ssh(hosts.clone()), Hosts::over_ssh(hosts));
    let mut interpreter = HostInterpreter::new(&stack, hosts, knock, operator, vault);
    if let Some(client) = hetzner {
        interpreter = interpreter.with_hetzner(client);
    }
    Ok(Arc::new(interpreter))
}

/// The socket that `DOCKER_HOST` names, if it names one.
fn docker_socket() -> Option<String> {
    let host = std::env::var("DOCKER_HOST").ok()?;
    host.strip_prefix("unix://").map(str::to_owned)
}

/// Bytes of a data disk of a modelled host.
const DATA_DISK: u64 = 40 << 30;

/// Empty hosts as the program needs them: each with its data directories on XFS.
fn imagined(session: &Session, remark: &str) -> Way {
    let hosts = session.rehearsed().hosts;
    let addresses = hosts.iter().map(|host| (host.name.clone(), host.address));
    let world = World::empty(session.graph.stack().clone(), addresses);
    let world = world.with(|universe| {
        for host in &hosts {
            for directory in &host.data {
                universe.mount(&host.name, directory, "xfs", DATA_DISK);
            }
        }
    });
    Way {
        interpreter: Arc::new(world),
        published: BTreeMap::new(),
        remark: Some(remark.to_owned()),
    }
}
