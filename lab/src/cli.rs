//! The lab on the command line: the only place of this crate that prints to people.
//!
//! Progress goes to standard error, results to standard output.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::Ipv4Net;
use miette::{IntoDiagnostic, Report, Result, miette};

use crate::balancer;
use crate::event::{Events, LabEvent};
use crate::fault::Fault;
use crate::shell::PsqlLogin;
use crate::spec::{LabName, LabSpec, lab_directory};
use crate::status::LabStatus;
use crate::{Lab, LabAccess};

/// Where a lab keeps its files when nothing else is said.
const STATE: &str = ".kbz";
/// Where the application's login is looked for when nothing else is said.
const CREDENTIALS: &str = "credentials/postgres.env";

/// Which lab.
#[derive(Debug, Clone, Args)]
pub struct LabOptions {
    /// Name of the lab.
    #[arg(long, global = true, default_value = "kbz")]
    pub name: LabName,
    /// Folder below which the lab keeps its keys and settings.
    #[arg(long, global = true, default_value = STATE)]
    pub state: PathBuf,
    /// Events and results as JSON, one object per line.
    #[arg(long = "json", id = "lab-json", global = true)]
    pub json: bool,
}

/// What to do with a lab.
#[derive(Debug, Clone, Subcommand)]
pub enum LabCommand {
    /// Make the lab, or what is missing or broken of it.
    Up {
        /// Private network; a machine has each network once.
        #[arg(long)]
        subnet: Option<Ipv4Net>,
        /// Show what the package tool says while an image is made.
        #[arg(long, short)]
        verbose: bool,
        /// Which lab.
        #[command(flatten)]
        lab: LabOptions,
    },
    /// Remove everything of the lab.
    Down {
        /// Remove the images too, which all labs share.
        #[arg(long)]
        images: bool,
        /// Which lab.
        #[command(flatten)]
        lab: LabOptions,
    },
    /// Show what there is of the lab.
    Status {
        /// Which lab.
        #[command(flatten)]
        lab: LabOptions,
    },
    /// Log in to a host, or run a command there.
    Ssh {
        /// Which lab.
        #[command(flatten)]
        lab: LabOptions,
        /// Name or address of the host.
        host: String,
        /// The command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Connect to a database through the load balancer.
    Psql {
        /// Which lab.
        #[command(flatten)]
        lab: LabOptions,
        /// Port of the load balancer's service.
        #[arg(long, default_value_t = 5432)]
        port: u16,
        /// File with the application's login; used where it exists.
        #[arg(long, default_value = CREDENTIALS)]
        credentials: PathBuf,
        /// Arguments of `psql`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Break a machine of the lab on purpose, or mend it.
    Fault {
        /// Which lab.
        #[command(flatten)]
        lab: LabOptions,
        /// The machine.
        host: String,
        /// What to do to it.
        #[command(subcommand)]
        fault: Fault,
    },
    /// Run the load balancer of the lab (its container does).
    #[command(hide = true)]
    Balancer(balancer::Options),
}

/// What the calling program decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabProgram {
    /// The executable that the load balancer's container runs.
    pub executable: PathBuf,
    /// The words that lead to [`LabCommand::Balancer`] on its command line.
    pub balancer_command: Vec<String>,
}

impl LabProgram {
    /// The calling program, which offers [`LabCommand`] below these words
    /// (`["lab"]` for `keybuzz lab up`, none for `kbz-lab up`).
    pub fn current(words: &[&str]) -> io::Result<Self> {
        let words = words.iter().copied().chain(["balancer"]);
        Ok(Self {
            executable: std::env::current_exe()?,
            balancer_command: words.map(str::to_owned).collect(),
        })
    }

    /// Production's five hosts with this program as their load balancer.
    pub fn keybuzz(&self, name: LabName) -> LabSpec {
        let mut spec = LabSpec::keybuzz(name, self.executable.clone());
        if let Some(balancer) = &mut spec.balancer {
            balancer.command.clone_from(&self.balancer_command);
        }
        spec
    }
}

impl LabCommand {
    /// Keeps the lab's files below the folder of a program, and takes its credentials, unless
    /// other places were typed.
    pub(crate) fn rooted_in(&mut self, folder: &Path, state: &str, logins: &str) {
        if let Self::Psql { credentials, .. } = self
            && *credentials == Path::new(CREDENTIALS)
        {
            *credentials = folder.join(logins);
        }
        let (Self::Up { lab, .. }
        | Self::Down { lab, .. }
        | Self::Status { lab }
        | Self::Ssh { lab, .. }
        | Self::Psql { lab, .. }
        | Self::Fault { lab, .. }) = self
        else {
            return;
        };
        if lab.state == Path::new(STATE) {
            lab.state = folder.join(state);
        }
    }

    /// Refuses what needs the folder of a program where there is none: a second lab's files would
    /// lie wherever somebody stands. Typed places are good.
    pub(crate) fn without_folder(&self) -> Result<()> {
        match self {
            Self::Up { lab, .. } | Self::Ssh { lab, .. } | Self::Psql { lab, .. }
                if lab.state == Path::new(STATE) =>
            {
                Err(miette!(
                    help = "name the program's folder with --stack-dir DIR before `lab`, or the \
                            lab's with --state DIR",
                    "there is no kbz.toml here, in `stacks`, or in a folder above"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Answers machines where that was asked for, here or before `lab`; refuses it where there is
    /// nothing to be told as JSON.
    pub(crate) fn for_machines(&mut self, json: bool) -> Result<()> {
        match self {
            Self::Up { lab, .. } | Self::Down { lab, .. } | Self::Status { lab } => {
                lab.json |= json;
                Ok(())
            }
            Self::Ssh { lab, .. } | Self::Psql { lab, .. } | Self::Fault { lab, .. }
                if json || lab.json =>
            {
                Err(miette!(
                    help = "leave it away; `lab up`, `lab down` and `lab status` know it",
                    "there is no JSON of this command: --json has no meaning"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Does it. The exit code is that of `ssh` or `psql` where one was run, and 1 for the
    /// status of a lab that is not up.
    pub async fn run(self, program: &LabProgram) -> Result<ExitCode> {
        match self {
            Self::Up {
                subnet,
                verbose,
                lab,
            } => up(program, subnet, verbose, &lab).await,
            Self::Down { images, lab } => down(images, &lab).await,
            Self::Status { lab } => status(&lab).await,
            Self::Ssh { lab, host, command } => {
                run(Lab::ssh(&access(&lab)?, &host, &command).into_diagnostic()?)
            }
            Self::Psql {
                lab,
                port,
                credentials,
                args,
            } => {
                let login = login(&credentials)?;
                run(Lab::psql(&access(&lab)?, port, &login, &args).into_diagnostic()?)
            }
            Self::Fault { lab, host, fault } => {
                Lab::fault(&lab.name, &host, &fault)
                    .await
                    .into_diagnostic()?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Balancer(options) => {
                balancer::run(options).await.into_diagnostic()?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn up(
    program: &LabProgram,
    subnet: Option<Ipv4Net>,
    verbose: bool,
    lab: &LabOptions,
) -> Result<ExitCode> {
    let mut spec = program.keybuzz(lab.name.clone());
    spec.state.clone_from(&lab.state);
    if let Some(subnet) = subnet {
        spec = spec.in_subnet(subnet);
    }
    let access = Lab::up(&spec, &printer(lab.json, verbose))
        .await
        .into_diagnostic()?;
    show(&if lab.json {
        json(&access)?
    } else {
        describe(&access)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn down(images: bool, lab: &LabOptions) -> Result<ExitCode> {
    let events = printer(lab.json, false);
    Lab::down(&lab.name, &lab.state, images, &events)
        .await
        .into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

async fn status(lab: &LabOptions) -> Result<ExitCode> {
    let status = Lab::status(&lab.name).await.into_diagnostic()?;
    show(&if lab.json {
        json(&status)?
    } else {
        table(&status)
    })?;
    Ok(if status.is_up() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn access(lab: &LabOptions) -> Result<LabAccess> {
    let directory = lab_directory(&lab.state, &lab.name);
    let access = LabAccess::read(&directory).into_diagnostic()?;
    access.ok_or_else(|| {
        miette!(
            help = "`lab up` makes the lab, or hands this folder the keys of one that runs",
            "there is no lab {} in {}",
            lab.name,
            lab.state.display()
        )
    })
}

/// The login in a credentials file; none where there is no file.
fn login(path: &Path) -> Result<PsqlLogin> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(PsqlLogin::from_credentials(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PsqlLogin::default()),
        Err(error) => {
            Err(Report::from_err(error).wrap_err(format!("could not read {}", path.display())))
        }
    }
}

fn run(mut command: Command) -> Result<ExitCode> {
    let status = command.status().into_diagnostic()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).into_diagnostic()
}

fn show(text: &str) -> Result<()> {
    writeln!(io::stdout(), "{text}").into_diagnostic()
}

/// Shows events on standard error.
pub fn printer(as_json: bool, verbose: bool) -> Events {
    Events::new(move |event| {
        let line = if as_json {
            serde_json::to_string(&event).ok()
        } else {
            sentence(&event, verbose)
        };
        if let Some(line) = line {
            // Progress that nobody can read any more is no reason to stop.
            let _ = writeln!(io::stderr(), "{line}");
        }
    })
}

/// An event as a line for people, if it is worth one.
pub(crate) fn describe_event(event: &LabEvent) -> Option<String> {
    sentence(event, false)
}

/// Tells why a command failed.
pub(crate) fn complain(report: &Report) {
    // An error that nobody can read any more has its exit code.
    let _ = writeln!(io::stderr(), "{report:?}");
}

/// An event as a line for people; `None` for what only a patient reader wants.
fn sentence(event: &LabEvent, verbose: bool) -> Option<String> {
    Some(match event {
        LabEvent::Waiting { on } => format!("· waits for {on}"),
        LabEvent::Installing { packages } => {
            format!("+ installs {} on this machine", packages.join(", "))
        }
        LabEvent::ImageBuilding { image, packages } => {
            format!("+ image {image} from {packages} Debian packages, about a minute")
        }
        LabEvent::ImageProgress { line, .. } if verbose => format!("  {line}"),
        LabEvent::ImageCached { .. } | LabEvent::ImageProgress { .. } => return None,
        LabEvent::ImageBuilt { image, took } => format!("✓ image {image}  {}", seconds(*took)),
        LabEvent::NetworkMade { network } => format!("+ network {network}"),
        LabEvent::Remaking { host, because } => format!("± {host}: {because}"),
        LabEvent::Starting { host } => format!("· {host} boots"),
        LabEvent::Ready { host, took } => format!("✓ {host}  {}", seconds(*took)),
        LabEvent::Removed { what } => format!("- {what}"),
        LabEvent::Up {
            lab,
            changed: true,
            took,
        } => format!("✓ lab {lab} is up  {}", seconds(*took)),
        LabEvent::Up {
            lab,
            changed: false,
            took,
        } => {
            format!("✓ lab {lab} is up, nothing to do  {}", seconds(*took))
        }
        LabEvent::Down { lab, removed: 0 } => format!("✓ there was nothing of lab {lab}"),
        LabEvent::Down { lab, removed } => format!("✓ lab {lab} is gone, {removed} things removed"),
    })
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn describe(access: &LabAccess) -> String {
    let hosts: Vec<&str> = std::iter::once(access.bastion.as_str())
        .chain(access.hosts.iter().map(|host| host.name.as_str()))
        .collect();
    let mut lines = vec![
        format!("  ssh   ssh -F {} HOST", access.ssh_config.display()),
        format!("  HOST  {}", hosts.join(", ")),
    ];
    let services = access.services.iter();
    lines.extend(services.map(|one| format!("  {:<5} {}", one.port, one.published)));
    let token = access.hetzner_token.display();
    lines.extend(
        access
            .hetzner_api
            .iter()
            .map(|api| format!("  api   {api}, token in {token}")),
    );
    lines.join("\n")
}

fn table(status: &LabStatus) -> String {
    if status.is_gone() {
        return format!("there is no lab {}; `lab up` makes it", status.name);
    }
    let width = status
        .machines
        .iter()
        .map(|one| one.host.len())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<String> = status
        .machines
        .iter()
        .map(|one| {
            let mut words = vec![one.state.as_str()];
            if !one.connected {
                words.push("disconnected");
            }
            if one.booted == Some(false) {
                words.push("units failed or still starting");
            }
            format!("{:width$}  {:8}  {}", one.host, one.role, words.join(", "))
        })
        .collect();
    let left = if status.is_up() {
        "up"
    } else {
        "not up: `lab up` repairs it"
    };
    lines.push(format!("lab {} is {left}", status.name));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(subcommand)]
        command: LabCommand,
    }

    #[test]
    fn the_command_line_holds_together() {
        Probe::command().debug_assert();
    }

    #[test]
    fn words_after_the_host_belong_to_the_command() {
        let parsed = Probe::parse_from(["lab", "ssh", "db-master-01", "ls", "-l", "--name"]);
        let LabCommand::Ssh { host, command, lab } = parsed.command else {
            panic!("not ssh")
        };
        assert_eq!((host.as_str(), lab.name.as_str()), ("db-master-01", "kbz"));
        assert_eq!(command, ["ls", "-l", "--name"]);
    }

    fn parsed(words: &[&str]) -> LabCommand {
        Probe::parse_from([&["lab"], words].concat()).command
    }

    #[test]
    fn json_is_told_where_there_is_some_and_refused_elsewhere() {
        let mut status = parsed(&["status"]);
        status.for_machines(true).unwrap();
        let LabCommand::Status { lab } = &status else {
            panic!("not status")
        };
        assert!(lab.json);
        assert!(parsed(&["ssh", "db-1"]).for_machines(true).is_err());
        assert!(parsed(&["psql", "--json"]).for_machines(false).is_err());
        parsed(&["ssh", "db-1"]).for_machines(false).unwrap();
    }

    #[test]
    fn only_what_needs_the_folder_is_refused_without_one() {
        assert!(parsed(&["up"]).without_folder().is_err());
        assert!(parsed(&["ssh", "db-1"]).without_folder().is_err());
        parsed(&["ssh", "--state", "/x", "db-1"])
            .without_folder()
            .unwrap();
        parsed(&["down"]).without_folder().unwrap();
        parsed(&["status"]).without_folder().unwrap();
    }

    #[test]
    fn a_fault_takes_its_own_options() {
        let words = [
            "lab",
            "fault",
            "--name",
            "t1",
            "haproxy-01",
            "drop",
            "--peer",
            "db-master-01",
        ];
        let LabCommand::Fault { lab, fault, .. } = Probe::parse_from(words).command else {
            panic!("not fault")
        };
        assert_eq!(lab.name.as_str(), "t1");
        assert_eq!(
            fault,
            Fault::Drop {
                peer: Some("db-master-01".to_owned())
            }
        );
    }
}
