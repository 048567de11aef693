//! A person's way in: command lines of `ssh` and `psql`, ready to be run.
//!
//! `psql` of the machine uses the port published on 127.0.0.1. Where the machine has none,
//! the first container on a host that has one is used, by SSH, and connects to the load
//! balancer's own address.

use std::net::SocketAddrV4;
use std::process::Command;

use thiserror::Error;

use crate::access::LabAccess;
use crate::rootfs::find;

/// A command line could not be put together.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShellError {
    /// The machine has no SSH client.
    #[error("there is no `ssh` on this machine; install OpenSSH's client")]
    NoSsh,
    /// The lab has no such machine.
    #[error("lab {lab} has no machine {host}; it has {}", .known.join(", "))]
    NoHost {
        /// The lab.
        lab: String,
        /// The name that was given.
        host: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The port is not published.
    #[error("lab {lab} publishes no port {port}; it publishes {}", ports(.known))]
    NoService {
        /// The lab.
        lab: String,
        /// The port that was asked for.
        port: u16,
        /// The ports that there are.
        known: Vec<u16>,
    },
    /// Neither the machine nor the lab has a `psql`.
    #[error("there is no `psql` on this machine, and the lab has no host to find one on")]
    NoPsql,
}

fn ports(known: &[u16]) -> String {
    known
        .iter()
        .map(u16::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Who connects to which database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PsqlLogin {
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Database.
    pub database: Option<String>,
}

impl PsqlLogin {
    /// Reads the application's login from a credentials file (`NAME=VALUE` lines).
    pub fn from_credentials(text: &str) -> Self {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.trim().split_once('=')?;
                let value = value.trim().trim_matches(['"', '\'']);
                (key.trim_start_matches("export ").trim() == name).then(|| value.to_owned())
            })
        };
        Self {
            user: value("POSTGRES_APP_USER"),
            password: value("POSTGRES_APP_PASS"),
            database: value("POSTGRES_DB"),
        }
    }

    /// As the environment of `psql`.
    fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("PGUSER", &self.user),
            ("PGPASSWORD", &self.password),
            ("PGDATABASE", &self.database),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// `ssh` to a machine of the lab; without arguments a login shell.
pub(crate) fn ssh(access: &LabAccess, host: &str, args: &[String]) -> Result<Command, ShellError> {
    let names = std::iter::once(&access.bastion).chain(access.hosts.iter().map(|one| &one.name));
    let known: Vec<String> = names.cloned().collect();
    let by_address = access
        .hosts
        .iter()
        .any(|one| one.address.to_string() == host);
    if !by_address && !known.iter().any(|name| name == host) {
        let lab = access.name.to_string();
        return Err(ShellError::NoHost {
            lab,
            host: host.to_owned(),
            known,
        });
    }
    let mut command = Command::new(find("ssh").ok_or(ShellError::NoSsh)?);
    command
        .arg("-F")
        .arg(&access.ssh_config)
        .arg(host)
        .args(args);
    Ok(command)
}

/// `psql` to a service of the load balancer.
pub(crate) fn psql(
    access: &LabAccess,
    port: u16,
    login: &PsqlLogin,
    args: &[String],
) -> Result<Command, ShellError> {
    let published = access.service(port).ok_or_else(|| ShellError::NoService {
        lab: access.name.to_string(),
        port,
        known: access.services.iter().map(|service| service.port).collect(),
    })?;
    match find("psql") {
        Some(psql) => Ok(local_psql(&psql, published, login, args)),
        None => remote_psql(access, port, login, args),
    }
}

fn local_psql(
    psql: &std::path::Path,
    published: SocketAddrV4,
    login: &PsqlLogin,
    args: &[String],
) -> Command {
    let mut command = Command::new(psql);
    command
        .env("PGHOST", published.ip().to_string())
        .env("PGPORT", published.port().to_string())
        .envs(login.environment())
        .args(args);
    command
}

fn remote_psql(
    access: &LabAccess,
    port: u16,
    login: &PsqlLogin,
    args: &[String],
) -> Result<Command, ShellError> {
    let host = access.hosts.first().ok_or(ShellError::NoPsql)?;
    let balancer = access.balancer.as_ref().ok_or(ShellError::NoPsql)?;
    let mut environment = vec![format!("-e PGHOST={} -e PGPORT={port}", balancer.address)];
    environment.extend(
        login
            .environment()
            .map(|(name, value)| format!("-e {name}={}", quote(value))),
    );
    let environment = environment.join(" ");
    let args: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
    let script = format!(
        "for one in $(docker ps -q); do docker exec $one sh -c 'command -v psql' >/dev/null 2>&1 \
         && exec docker exec -it {environment} $one psql {}; done; \
         echo 'no container on this host has a psql' >&2; exit 127",
        args.join(" ")
    );
    let mut command = ssh(access, &host.name, &[])?;
    command.arg("-t").arg(script);
    Ok(command)
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_read_from_credentials() {
        let text = "# made\nPOSTGRES_APP_USER=kb_app\nexport POSTGRES_APP_PASS='a=b'\nPOSTGRES_DB=\"keybuzz\"\n";
        let login = PsqlLogin::from_credentials(text);
        assert_eq!(login.user.as_deref(), Some("kb_app"));
        assert_eq!(login.password.as_deref(), Some("a=b"));
        assert_eq!(login.database.as_deref(), Some("keybuzz"));
        assert_eq!(PsqlLogin::from_credentials(""), PsqlLogin::default());
    }
}
