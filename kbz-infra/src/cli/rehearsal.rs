//! The lab, as the command line needs it. The lab itself is a crate of its own, which the
//! library does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::host::ssh::SshSettings;
use crate::ident::HostName;

/// What a lab must offer for a program: read off its declarations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// The folder for the lab's files: the program's.
    pub folder: PathBuf,
    /// The hosts, each with the directories that must lie on a file system of their own.
    pub hosts: Vec<RehearsedHost>,
    /// The load balancers in front of them.
    pub balancers: Vec<RehearsedBalancer>,
}

/// A host of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsedHost {
    /// Its name.
    pub name: HostName,
    /// Its address in the private network.
    pub address: IpAddr,
    /// Directories that must lie on XFS.
    pub data: BTreeSet<String>,
}

/// A load balancer of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsedBalancer {
    /// Its name.
    pub name: String,
    /// Its address in the private network.
    pub address: IpAddr,
    /// The ports that it serves.
    pub ports: BTreeSet<u16>,
}

/// The way into a lab that runs.
#[derive(Debug, Clone)]
pub struct LabWay {
    /// How each host is reached.
    pub hosts: BTreeMap<HostName, SshSettings>,
    /// The address of its Hetzner API, and a token for it.
    pub hetzner: Option<(String, SecretString)>,
    /// Where the services of the private network are found on this machine.
    pub published: BTreeMap<SocketAddr, SocketAddr>,
    /// Whether anything of the lab was made or mended for it.
    pub changed: bool,
}

/// Why there is no lab: what is wrong, and what cures it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NoLab {
    /// What is wrong.
    pub what: String,
    /// What cures it.
    pub help: Option<String>,
}

/// Production on one machine.
#[async_trait]
pub trait Rehearsal: Send + Sync {
    /// The image that services are built on; the lab makes it.
    fn base_image(&self) -> String;

    /// Makes the lab, or repairs it; nothing to do is quick. `say` gets lines for people.
    async fn up(
        &self,
        wanted: &Rehearsed,
        say: &(dyn for<'a> Fn(&'a str) + Send + Sync),
    ) -> Result<LabWay, NoLab>;

    /// The way into the lab as it was made last, whether it runs or not.
    fn known(&self, wanted: &Rehearsed) -> Option<LabWay>;

    /// The way into the lab if it runs.
    async fn find(&self, wanted: &Rehearsed) -> Result<Option<LabWay>, NoLab>;

    /// Carries out `lab ...`: for the program in this folder, where there is one, and with its
    /// answer as JSON where machines read it. The program itself may be broken.
    async fn command(&self, arguments: &[String], folder: Option<&Path>, json: bool) -> ExitCode;
}
