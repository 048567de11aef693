//! Hosts with an SSH server each, all in this process.
//!
//! Handshakes, logins, channels and what travels on them are real. What a host runs, `/bin/sh` of
//! this machine runs for it, with the registry below a folder of its own; declare files there too
//! ([`Fleet::folders`]). Once [`Fleet::settle`] is called, what was asked before in the same words is
//! answered as before: real hosts work on processors of their own, and two hundred of them in turn
//! on this one would measure nothing but that.

#![expect(
    clippy::disallowed_methods,
    reason = "hosts of this process have their files on this machine"
)]

mod machine;
mod visitor;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kbz_infra::effect::Owner;
use kbz_infra::host::ssh::SshSettings;
use kbz_infra::ident::HostName;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey, PublicKeyBase64 as _};
use russh::server::{self, Config};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use self::machine::Machine;
use self::visitor::Visitor;
use crate::desk::Failure;

/// How many programs of hosts run at once.
const PROGRAMS: usize = 8;

/// Hosts with an SSH server each.
pub struct Fleet {
    files: TempDir,
    owner: Owner,
    hosts: Vec<Host>,
    listening: Vec<JoinHandle<()>>,
}

struct Host {
    name: HostName,
    port: u16,
    machine: Arc<Machine>,
}

fn ourselves() -> Result<Owner, Failure> {
    let id = |which: &str| -> Result<String, Failure> {
        let output = std::process::Command::new("id").arg(which).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let (user, group) = (id("-un")?, id("-gn")?);
    Ok(Owner::Named { user, group })
}

fn new_key() -> Result<PrivateKey, Failure> {
    let mut chance = russh::keys::key::safe_rng();
    Ok(PrivateKey::random(&mut chance, Algorithm::Ed25519)?)
}

impl Fleet {
    /// So many hosts.
    pub async fn start(count: usize) -> Result<Self, Failure> {
        let files = tempfile::tempdir()?;
        let login = new_key()?;
        let pem = login.to_openssh(LineEnding::default())?;
        std::fs::write(files.path().join("id"), pem)?;
        let mut fleet = Self {
            files,
            owner: ourselves()?,
            hosts: Vec::new(),
            listening: Vec::new(),
        };
        let guest = login.public_key().clone();
        let programs = Arc::new(Semaphore::new(PROGRAMS));
        let mut known = Vec::new();
        for number in 0..count {
            let key = new_key()?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            let line = key.public_key().public_key_base64();
            known.push(format!(
                "[{}]:{port} ssh-ed25519 {line}\n",
                Ipv4Addr::LOCALHOST
            ));
            fleet.add(number, port, Arc::clone(&programs))?;
            let machine = Arc::clone(&fleet.hosts[number].machine);
            let listening = listen(listener, config(key), guest.clone(), machine);
            fleet.listening.push(tokio::spawn(listening));
        }
        std::fs::write(fleet.files.path().join("known_hosts"), known.concat())?;
        Ok(fleet)
    }

    fn add(&mut self, number: usize, port: u16, programs: Arc<Semaphore>) -> Result<(), Failure> {
        let name = HostName::new(format!("host-{number:03}"))?;
        let root = self.files.path().join(name.as_str());
        std::fs::create_dir(&root)?;
        let machine = Arc::new(Machine::new(root, programs));
        self.hosts.push(Host {
            name,
            port,
            machine,
        });
        Ok(())
    }

    /// Who owns files of the hosts: who runs this.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The hosts' names.
    pub fn names(&self) -> impl Iterator<Item = &HostName> {
        self.hosts.iter().map(|host| &host.name)
    }

    /// Where the files of each host are.
    pub fn folders(&self) -> impl Iterator<Item = (&HostName, PathBuf)> {
        let hosts = self.hosts.iter();
        hosts.map(|host| (&host.name, host.machine.root().to_owned()))
    }

    /// How each host is reached.
    pub fn ways(&self) -> Vec<(HostName, SshSettings)> {
        let files = self.files.path();
        let settings = SshSettings::new(Ipv4Addr::LOCALHOST.to_string())
            .identity(files.join("id"))
            .known_hosts(files.join("known_hosts"));
        let way = |host: &Host| (host.name.clone(), settings.clone().port(host.port));
        self.hosts.iter().map(way).collect()
    }

    /// From now on nothing changes on the hosts: they answer again what they have answered once.
    pub fn settle(&self) {
        for host in &self.hosts {
            host.machine.settle();
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for task in &self.listening {
            task.abort();
        }
    }
}

fn config(key: PrivateKey) -> Arc<Config> {
    Arc::new(Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        nodelay: true,
        ..Config::default()
    })
}

async fn listen(
    listener: TcpListener,
    config: Arc<Config>,
    guest: PublicKey,
    machine: Arc<Machine>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        // As sshd does: an answer of some packets would wait for each other's acknowledgement.
        let _slower_otherwise = stream.set_nodelay(true);
        let visitor = Visitor::new(guest.clone(), Arc::clone(&machine));
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, visitor).await {
                // A client that hangs up is no failure of the host.
                let _ended = session.await;
            }
        });
    }
}
