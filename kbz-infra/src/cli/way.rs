//! The way to the hosts of an environment: which interpreter carries a plan out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use secrecy::SecretString;

use super::error::Failed;
use super::rehearsal::{LabWay, NoLab, Rehearsal};
use super::screen::Screen;
use super::session::Session;
use super::simulated::{self, KeptWorld};
use super::ssh;
use super::timings::Phase;
use crate::diag::cleaned;
use crate::effect::Interpreter;
use crate::host::hetzner::{HetznerClient, Patience};
use crate::host::pool::Hosts;
use crate::host::ssh::SshSettings;
use crate::host::{HostInterpreter, operator_docker};
use crate::ident::HostName;
use crate::program::{EnvironmentKind, Hetzner, TokenSource};
use crate::state::LockedStore;

/// The way to the hosts of an environment.
pub(super) struct Way {
    pub(super) interpreter: Arc<dyn Interpreter>,
    /// Where endpoints of the private network are found on this machine.
    pub(super) published: BTreeMap<SocketAddr, SocketAddr>,
    /// What every screen must say of where its answers come from.
    pub(super) remark: Option<String>,
}

impl Way {
    /// Says where answers come from, beside a result that does not say it itself.
    pub(super) fn tell_remark(&self) {
        if let Some(remark) = &self.remark {
            Screen::remark(remark);
        }
    }
}

/// What the way is needed for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// To look. A lab that is not there is imagined: empty hosts as it would make them.
    Look,
    /// To change what is there, with the right to write.
    Change(&'a LockedStore),
    /// To change what is there, after making what is not.
    Make(&'a LockedStore),
}

/// Finds or makes the way to the hosts.
pub(super) async fn find(
    session: &Session,
    lab: Option<&dyn Rehearsal>,
    purpose: Purpose<'_>,
    screen: Screen,
) -> Result<Way, Failed> {
    match session.environment.kind {
        EnvironmentKind::Lab => {
            let begun = Instant::now();
            let way = through_lab(session, lab, purpose, screen).await;
            session.timings.over(Phase::Lab, begun);
            way
        }
        EnvironmentKind::Hosts => to_hosts(session).await,
        EnvironmentKind::Sim => modelled(session, purpose),
    }
}

/// What every screen of this kind of environment says, whatever it shows.
pub(super) fn remark(kind: EnvironmentKind) -> Option<&'static str> {
    match kind {
        EnvironmentKind::Sim => Some(SIMULATED),
        EnvironmentKind::Lab | EnvironmentKind::Hosts => None,
    }
}

const SIMULATED: &str = "the hosts are simulated: nothing real is read or changed";
const IMAGINED: &str =
    "there is no lab yet: planned against the empty hosts that `up` would make (simulated)";

async fn through_lab(
    session: &Session,
    lab: Option<&dyn Rehearsal>,
    purpose: Purpose<'_>,
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
    let early = lab.known(&wanted).map(Early::begun);
    let way = match purpose {
        Purpose::Make(_) => {
            let made = lab.up(&wanted, &|line| screen.say(&cleaned(line))).await;
            Some(made.map_err(|error| without_lab(session, error))?)
        }
        Purpose::Look | Purpose::Change(_) => lab.find(&wanted).await?,
    };
    match way {
        Some(way) => {
            let hosts = early.and_then(|early| early.unless_changed(&way));
            let hetzner = way.hetzner.map(|(api, token)| client(&api, token));
            Ok(Way {
                interpreter: real(session, way.hosts, hosts, hetzner.transpose()?)?,
                published: way.published,
                remark: None,
            })
        }
        None => Ok(Way {
            interpreter: Arc::new(simulated::hosts(session, None)?),
            published: BTreeMap::new(),
            remark: Some(IMAGINED.to_owned()),
        }),
    }
}

/// Connections to a lab that come about while it is looked at: one that was there the last time is
/// most often still there.
struct Early {
    settings: BTreeMap<HostName, SshSettings>,
    hosts: Hosts,
}

impl Early {
    fn begun(way: LabWay) -> Self {
        let hosts = Hosts::over_ssh(way.hosts.clone());
        hosts.prepare();
        Self {
            settings: way.hosts,
            hosts,
        }
    }

    /// The hosts, if nothing of the lab had to be made or mended.
    fn unless_changed(self, way: &LabWay) -> Option<Hosts> {
        let fits = !way.changed && way.hosts == self.settings;
        fits.then_some(self.hosts)
    }
}

/// Names the other way on where there can be no lab.
fn without_lab(session: &Session, mut error: NoLab) -> NoLab {
    let Some(sim) = &session.simulated else {
        return error;
    };
    let other =
        format!("`--env {sim}` runs the same program against simulated hosts, without Docker");
    error.help = Some(match error.help {
        Some(help) => format!("{help}; or: {other}"),
        None => other,
    });
    error
}

async fn to_hosts(session: &Session) -> Result<Way, Failed> {
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
    let mut hosts = BTreeMap::new();
    for host in &session.program.hosts {
        if used.contains(&host.name) {
            hosts.insert(host.name.clone(), ssh::settings(ssh, host).await?);
        }
    }
    let hetzner = environment.hetzner.as_ref().map(hetzner).transpose()?;
    Ok(Way {
        interpreter: real(session, hosts, None, hetzner)?,
        published: BTreeMap::new(),
        remark: None,
    })
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

/// The interpreter of real hosts, some of which may be `connected` already.
fn real(
    session: &Session,
    hosts: BTreeMap<HostName, SshSettings>,
    connected: Option<Hosts>,
    hetzner: Option<HetznerClient>,
) -> Result<Arc<dyn Interpreter>, Failed> {
    let stack = session.graph.stack().clone();
    let vault = Arc::new(session.program.vault.clone());
    let operator = operator_docker(std::env::var("DOCKER_HOST").ok()).map_err(|error| {
        Failed::new(
            "kbz::docker",
            format!("the Docker of this machine: {error}"),
        )
    })?;
    let knock = Hosts::over_ssh(hosts.clone());
    let hosts = connected.unwrap_or_else(|| Hosts::over_ssh(hosts));
    let mut interpreter = HostInterpreter::new(&stack, hosts, knock, operator, vault);
    if let Some(client) = hetzner {
        interpreter = interpreter.with_hetzner(client);
    }
    Ok(Arc::new(interpreter))
}

/// The hosts of an environment that has none.
fn modelled(session: &Session, purpose: Purpose<'_>) -> Result<Way, Failed> {
    let world = simulated::hosts(session, session.store().world()?)?;
    let interpreter: Arc<dyn Interpreter> = match purpose {
        Purpose::Look => Arc::new(world),
        Purpose::Change(store) | Purpose::Make(store) => {
            Arc::new(KeptWorld::new(world, store.world()))
        }
    };
    Ok(Way {
        interpreter,
        published: BTreeMap::new(),
        remark: Some(SIMULATED.to_owned()),
    })
}
