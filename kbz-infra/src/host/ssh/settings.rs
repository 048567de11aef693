//! How to reach and enter a host.

use std::path::PathBuf;
use std::time::Duration;

/// Everything that a connection to one host needs. Nothing is read from the surroundings:
/// whoever makes the settings decides about home directories and agents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshSettings {
    /// The address to dial, as seen from the bastion when there is one.
    pub address: String,
    /// The port to dial.
    pub port: u16,
    /// The name under which the host's key is recorded, if not its address.
    pub key_alias: Option<String>,
    /// The login; any other than `root` needs `sudo` without a password.
    pub user: String,
    /// Private keys to offer, in this order.
    pub identities: Vec<PathBuf>,
    /// The socket of an agent whose keys are offered after those of the files.
    pub agent: Option<PathBuf>,
    /// Files of known hosts; the first is named as the place for a new line.
    pub known_hosts: Vec<PathBuf>,
    /// The host to go through.
    pub bastion: Option<Box<SshSettings>>,
    /// How long dialling, handshake and login may take together. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a silence lasts before the host is asked for a sign of life. Default: 5 s.
    pub keepalive: Duration,
    /// How many signs of life may be missed. Default: 3.
    pub keepalive_misses: usize,
}

impl SshSettings {
    /// Settings for `root` at an address, without keys and known hosts yet.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            port: 22,
            key_alias: None,
            user: "root".to_owned(),
            identities: Vec::new(),
            agent: None,
            known_hosts: Vec::new(),
            bastion: None,
            connect_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(5),
            keepalive_misses: 3,
        }
    }

    /// Dials this port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Logs in under this name.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Offers the key in this file too.
    pub fn identity(mut self, file: impl Into<PathBuf>) -> Self {
        self.identities.push(file.into());
        self
    }

    /// Offers the keys of the agent at this socket.
    pub fn agent(mut self, socket: impl Into<PathBuf>) -> Self {
        self.agent = Some(socket.into());
        self
    }

    /// Offers the keys of an agent, if there is one.
    pub fn agent_if(mut self, socket: Option<PathBuf>) -> Self {
        self.agent = socket;
        self
    }

    /// Trusts the keys in this file too.
    pub fn known_hosts(mut self, file: impl Into<PathBuf>) -> Self {
        self.known_hosts.push(file.into());
        self
    }

    /// Looks the host's key up under this name.
    pub fn key_alias(mut self, name: impl Into<String>) -> Self {
        self.key_alias = Some(name.into());
        self
    }

    /// Goes through another host.
    pub fn via(mut self, bastion: SshSettings) -> Self {
        self.bastion = Some(Box::new(bastion));
        self
    }

    /// The name and port under which the host's key is recorded. As in OpenSSH an alias
    /// stands for the host at any port.
    pub(super) fn recorded_as(&self) -> (&str, u16) {
        match &self.key_alias {
            Some(alias) => (alias, 22),
            None => (&self.address, self.port),
        }
    }

    /// `ADDRESS:PORT`, an IPv6 address in brackets.
    pub(super) fn dialled(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}
