//! Settings as OpenSSH sees them: `ssh -G` resolves the person's own configuration.
//!
//! Only OpenSSH understands its files entirely (`Match`, `Include`, tokens), so it is asked
//! rather than imitated. Where it is not installed, settings are given explicitly. What
//! this client cannot do (`ProxyCommand`) is refused and never silently left out.

#![expect(
    clippy::disallowed_methods,
    reason = "`ssh -G` is a program of the operator's machine"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::settings::SshSettings;

/// How many bastions may stand one behind the other.
const HOPS: usize = 4;

/// What surrounds the person who runs this.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The home directory, for paths that begin with `~`.
    pub home: Option<PathBuf>,
    /// The socket of the agent that `SSH_AUTH_SOCK` names.
    pub agent: Option<PathBuf>,
}

/// Why settings could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum SshConfigError {
    /// OpenSSH did not run.
    #[error(
        "`ssh -G {host}` did not run; install OpenSSH's client or give the settings explicitly"
    )]
    NoOpenSsh {
        /// The host that was asked about.
        host: String,
        /// What went wrong.
        #[source]
        why: std::io::Error,
    },
    /// OpenSSH does not accept the configuration.
    #[error("`ssh -G {host}` failed: {said}")]
    Refused {
        /// The host that was asked about.
        host: String,
        /// What ssh said.
        said: String,
    },
    /// The configuration asks for something that cannot be done here.
    #[error("the ssh configuration of {host} {why}")]
    Unsupported {
        /// The host that was asked about.
        host: String,
        /// What it asks for, and what to write instead.
        why: String,
    },
}

impl SshSettings {
    /// The settings that OpenSSH would use for `host`, from `file` or, without one, from the
    /// person's own configuration; bastions included.
    pub async fn resolve(
        host: &str,
        file: Option<&Path>,
        around: &Surroundings,
    ) -> Result<Self, SshConfigError> {
        // From the last hop to the first: each names what stands before it.
        let mut chain: Vec<Self> = Vec::new();
        let mut next = Some(host.to_owned());
        while let Some(hop) = next.take() {
            if chain.len() > HOPS {
                let why = format!("leads through more than {HOPS} bastions");
                return Err(unsupported(host, why));
            }
            let jump = Jump::parse(&hop);
            let told = ask(jump.host, file).await?;
            let (mut settings, before) = read(jump.host, &told, around)?;
            jump.apply(&mut settings);
            chain.push(settings);
            next = before;
        }
        let mut hops = chain.into_iter().rev();
        let first = hops.next().unwrap_or_else(|| Self::new(host));
        Ok(hops.fold(first, |before, settings| settings.via(before)))
    }
}

fn unsupported(host: &str, why: impl Into<String>) -> SshConfigError {
    SshConfigError::Unsupported {
        host: host.to_owned(),
        why: why.into(),
    }
}

/// A bastion as `ProxyJump` names it: `[USER@]HOST[:PORT]`.
struct Jump<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Jump<'a> {
    fn parse(text: &'a str) -> Self {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok())
            }
            _ => (rest, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self { user, host, port }
    }

    fn apply(&self, settings: &mut SshSettings) {
        if let Some(user) = self.user {
            user.clone_into(&mut settings.user);
        }
        if let Some(port) = self.port {
            settings.port = port;
        }
    }
}

async fn ask(host: &str, file: Option<&Path>) -> Result<String, SshConfigError> {
    let mut command = Command::new("ssh");
    if let Some(file) = file {
        command.arg("-F").arg(file);
    }
    // `--`: a host name never becomes an option.
    command.args(["-G", "--", host]).stdin(Stdio::null());
    let ran = command.output().await;
    let output = ran.map_err(|why| SshConfigError::NoOpenSsh {
        host: host.to_owned(),
        why,
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let host = host.to_owned();
        return Err(SshConfigError::Refused { host, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads what `ssh -G` printed: the settings, and the bastion before the host.
fn read(
    host: &str,
    told: &str,
    around: &Surroundings,
) -> Result<(SshSettings, Option<String>), SshConfigError> {
    let mut settings = SshSettings::new(host).agent_if(around.agent.clone());
    let mut before = None;
    for (key, value) in told.lines().filter_map(|line| line.split_once(' ')) {
        match key {
            "hostname" => value.clone_into(&mut settings.address),
            "user" => value.clone_into(&mut settings.user),
            "port" => settings.port = number(host, key, value)?,
            "hostkeyalias" => settings.key_alias = Some(value.to_owned()),
            "identityfile" => settings.identities.extend(existing(value, around)),
            "identityagent" => settings.agent = agent(value, around),
            "userknownhostsfile" | "globalknownhostsfile" => {
                let files = value.split_ascii_whitespace();
                settings
                    .known_hosts
                    .extend(files.map(|f| expand(f, around)));
            }
            "connecttimeout" if value != "none" => {
                settings.connect_timeout = Duration::from_secs(number(host, key, value)?);
            }
            "serveraliveinterval" if value != "0" => {
                settings.keepalive = Duration::from_secs(number(host, key, value)?);
            }
            "proxyjump" if value != "none" => before = Some(value.to_owned()),
            "proxycommand" if value != "none" => {
                let why = "uses ProxyCommand; use ProxyJump instead";
                return Err(unsupported(host, why));
            }
            _ => {}
        }
    }
    // The person's own file comes first whatever the order that ssh prints: a new line goes there.
    let own = |file: &PathBuf| file.starts_with("/etc");
    settings.known_hosts.sort_by_key(own);
    let before = before.map(|jumps| match jumps.rsplit_once(',') {
        // The last of a list is the nearest; the others stand before it.
        Some(_) => Err(unsupported(
            host,
            "lists several bastions; give each its own ProxyJump instead",
        )),
        None => Ok(jumps),
    });
    Ok((settings, before.transpose()?))
}

fn number<T: std::str::FromStr>(host: &str, key: &str, value: &str) -> Result<T, SshConfigError> {
    let why = || format!("has a {key} of `{value}`, which is no number");
    value.parse().map_err(|_| unsupported(host, why()))
}

/// OpenSSH names every default key; those that do not exist are nobody's intention.
fn existing(file: &str, around: &Surroundings) -> Option<PathBuf> {
    let file = expand(file, around);
    file.exists().then_some(file)
}

fn agent(value: &str, around: &Surroundings) -> Option<PathBuf> {
    match value {
        "none" => None,
        "SSH_AUTH_SOCK" => around.agent.clone(),
        path => Some(expand(path, around)),
    }
}

fn expand(path: &str, around: &Surroundings) -> PathBuf {
    match (path.strip_prefix("~/"), &around.home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings {
            home: Some("/home/ops".into()),
            agent: Some("/run/agent".into()),
        }
    }

    #[test]
    fn what_ssh_prints_becomes_settings() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let told = format!(
            "host db-1\nhostname 10.0.0.120\nuser ops\nport 2222\nhostkeyalias db\n\
             identityfile {}\nidentityfile ~/.ssh/none\nconnecttimeout 4\n\
             globalknownhostsfile /etc/ssh/ssh_known_hosts\n\
             userknownhostsfile ~/.ssh/known_hosts\nproxyjump install-01\n",
            file.path().display()
        );
        let (settings, before) = read("db-1", &told, &around()).unwrap();
        assert_eq!(before.as_deref(), Some("install-01"));
        let mut expected = SshSettings::new("10.0.0.120")
            .user("ops")
            .port(2222)
            .key_alias("db")
            .identity(file.path())
            .agent("/run/agent")
            .known_hosts("/home/ops/.ssh/known_hosts")
            .known_hosts("/etc/ssh/ssh_known_hosts");
        expected.connect_timeout = Duration::from_secs(4);
        assert_eq!(settings, expected);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for told in ["proxycommand nc %h %p", "port many", "proxyjump a,b"] {
            assert!(read("db-1", told, &around()).is_err(), "{told}");
        }
    }

    #[test]
    fn a_bastion_may_name_its_user_and_port() {
        for (text, user, host, port) in [
            ("install-01", None, "install-01", None),
            ("ops@install-01:2222", Some("ops"), "install-01", Some(2222)),
            ("ssh://[fd00::1]:2222", None, "fd00::1", Some(2222)),
            ("fd00::1", None, "fd00::1", None),
        ] {
            let jump = Jump::parse(text);
            assert_eq!((jump.user, jump.host, jump.port), (user, host, port));
        }
    }
}
