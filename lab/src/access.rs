//! How to reach a lab: data for programs, and plain OpenSSH files for everything else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kbz_infra::host::ssh::SshSettings;
use kbz_infra::ident::{HostName, InvalidName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::keys::{KeyError, KeySet};
use crate::spec::LabName;

/// The lab's files could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file could not be written or read.
    #[error("could not {doing} {path}")]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what the lab writes.
    #[error("{path} is damaged; `lab up` writes it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was met.
        #[source]
        source: serde_json::Error,
    },
    /// Keys could not be written.
    #[error("could not write the lab's keys")]
    Key(#[from] KeyError),
}

/// Everything that is needed to use a lab; also stored as `access.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabAccess {
    /// The lab.
    pub name: LabName,
    /// The OpenSSH settings with which `ssh -F` reaches every host by name or address.
    pub ssh_config: PathBuf,
    /// The private key that opens every host.
    pub identity: PathBuf,
    /// The keys of all hosts.
    pub known_hosts: PathBuf,
    /// The user to log in as.
    pub user: String,
    /// Name of the bastion.
    pub bastion: String,
    /// Where the bastion's sshd answers on the machine.
    pub bastion_ssh: SocketAddrV4,
    /// The managed hosts.
    pub hosts: Vec<HostAccess>,
    /// Base URL of the lab's Hetzner API, if the lab has a load balancer.
    pub hetzner_api: Option<String>,
    /// A file with the token of that API.
    #[serde(default)]
    pub hetzner_token: PathBuf,
    /// The load balancer, if the lab has one.
    #[serde(default)]
    pub balancer: Option<HostAccess>,
    /// Services of the load balancer on the machine's loopback.
    pub services: Vec<ServiceAccess>,
}

/// A machine of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAccess {
    /// Its name.
    pub name: String,
    /// Its address in the private network.
    pub address: Ipv4Addr,
}

/// A service of the load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccess {
    /// Its port in the lab.
    pub port: u16,
    /// Where it answers on the machine.
    pub published: SocketAddrV4,
}

impl LabAccess {
    /// Reads what the last `up` wrote; `None` if there is no such lab in this folder.
    pub fn read(directory: &Path) -> Result<Option<Self>, AccessError> {
        let path = directory.join("access.json");
        let Some(json) = read(&path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|source| AccessError::Damaged { path, source })
    }

    /// Where a service of the load balancer answers on the machine.
    pub fn service(&self, port: u16) -> Option<SocketAddrV4> {
        self.services
            .iter()
            .find(|service| service.port == port)
            .map(|found| found.published)
    }

    /// How each host is reached: by SSH through the lab's bastion, as in production.
    ///
    /// # Errors
    /// When a machine's name is none that a program can use.
    pub fn ways(&self) -> Result<BTreeMap<HostName, SshSettings>, InvalidName> {
        let settings = |address: String, alias: &str| {
            SshSettings::new(address)
                .user(&self.user)
                .identity(&self.identity)
                .known_hosts(&self.known_hosts)
                .key_alias(alias)
        };
        let bastion = settings(self.bastion_ssh.ip().to_string(), &self.bastion)
            .port(self.bastion_ssh.port());
        let hosts = self.hosts.iter().map(|host| {
            let reached = settings(host.address.to_string(), &host.name).via(bastion.clone());
            Ok((HostName::new(&host.name)?, reached))
        });
        hosts.collect()
    }

    /// The OpenSSH settings.
    fn ssh_settings(&self) -> String {
        let mut text = format!(
            "# Lab {}: ssh -F {} HOST\n",
            self.name,
            self.ssh_config.display()
        );
        let _ = write!(
            text,
            "Host {}\n    HostName {}\n    Port {}\n    HostKeyAlias {}\n\n",
            self.bastion,
            self.bastion_ssh.ip(),
            self.bastion_ssh.port(),
            self.bastion
        );
        for host in &self.hosts {
            let _ = write!(
                text,
                "Host {name} {address}\n    HostName {address}\n    ProxyJump {bastion}\n    HostKeyAlias {name}\n\n",
                name = host.name,
                address = host.address,
                bastion = self.bastion,
            );
        }
        let _ = write!(
            text,
            "Host *\n    User {}\n    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    IdentityAgent none\n    \
             UserKnownHostsFile \"{}\"\n    GlobalKnownHostsFile /dev/null\n    StrictHostKeyChecking yes\n    \
             UpdateHostKeys no\n    ConnectTimeout 10\n    LogLevel ERROR\n",
            self.user,
            self.identity.display(),
            self.known_hosts.display()
        );
        text
    }

    /// Writes keys, known hosts, settings and itself.
    pub(crate) fn write(&self, directory: &Path, keys: &KeySet) -> Result<(), AccessError> {
        write_secret(&self.identity, keys.identity().as_bytes())?;
        write(
            &self.known_hosts,
            self.known_hosts_text(keys)?.as_bytes(),
            0o644,
        )?;
        write(&self.ssh_config, self.ssh_settings().as_bytes(), 0o644)?;
        write_secret(&self.hetzner_token, keys.token().as_bytes())?;
        write_secret(&directory.join(KEYS_FILE), &keys.to_json()?)?;
        let json = serde_json::to_vec_pretty(self).map_err(KeyError::from)?;
        write(&directory.join("access.json"), &json, 0o644)
    }

    fn known_hosts_text(&self, keys: &KeySet) -> Result<String, KeyError> {
        let published = format!("[{}]:{}", self.bastion_ssh.ip(), self.bastion_ssh.port());
        let bastion = (self.bastion.as_str(), vec![published]);
        let hosts = self
            .hosts
            .iter()
            .map(|host| (host.name.as_str(), vec![host.address.to_string()]));
        keys.known_hosts(std::iter::once(bastion).chain(hosts))
    }
}

const KEYS_FILE: &str = "keys.json";

/// The keys that an earlier run wrote into this folder.
pub(crate) fn stored_keys(directory: &Path) -> Result<Option<KeySet>, AccessError> {
    let json = read(&directory.join(KEYS_FILE))?;
    Ok(json.map(|json| KeySet::from_json(&json)).transpose()?)
}

/// Makes the lab's folder, readable by its owner alone.
pub(crate) fn make_directory(directory: &Path) -> Result<PathBuf, AccessError> {
    let failed = |source| AccessError::File {
        doing: "make",
        path: directory.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    directory.canonicalize().map_err(failed)
}

/// Removes the lab's folder; whether there was one.
pub(crate) fn remove_directory(directory: &Path) -> Result<bool, AccessError> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(AccessError::File {
            doing: "remove",
            path: directory.to_owned(),
            source,
        }),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, AccessError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AccessError::File {
            doing: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

fn write_secret(path: &Path, content: &[u8]) -> Result<(), AccessError> {
    write(path, content, 0o600)
}

/// Replaces a file in one step; an unchanged one is left alone.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), AccessError> {
    let failed = |source| AccessError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    };
    if read(path)?.is_some_and(|now| now == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))
        .map_err(failed)?;
    file.persist(path)
        .map(drop)
        .map_err(|error| failed(error.error))
}
