//! Production on one machine.
//!
//! A lab is made of hosts like the real ones: each a container of the machine's own Docker
//! Engine that boots systemd and has sshd, UFW, an XFS data disk and *its own* dockerd.
//! They are reached as in production, by SSH through a bastion, and by nothing else. Their
//! network carries production's addresses, and neither the machine nor any container has
//! a way from it to the world or from the world to it.
//!
//! The lab makes its images from Debian packages, so it needs a Debian mirror once and no
//! registry at all. Everything that it makes carries the label `kbz.lab`; [`Lab::down`]
//! leaves nothing behind.
//!
//! Limits: all hosts share the machine's kernel, so clocks cannot differ and loop devices
//! are the machine's; a machine has each subnet once, so two labs side by side need two
//! subnets.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the lab makes a machine on this one: files, programs and clock are its trade"
)]

mod access;
pub mod balancer;
mod boot;
pub mod cli;
mod container;
mod down;
mod engine;
mod event;
mod fault;
mod filelock;
mod keys;
mod loops;
mod machine;
mod network;
mod ports;
mod rehearsal;
mod remove;
pub mod rootfs;
mod shell;
mod spec;
mod status;
mod up;

pub use access::{AccessError, HostAccess, LabAccess, ServiceAccess};
pub use down::DownError;
pub use engine::{Engine, EngineError, ExecOutput, LAB_LABEL};
pub use event::{Events, LabEvent};
pub use fault::{Fault, FaultError};
pub use filelock::{FileLock, LockError, lock_subnet};
pub use keys::KeyError;
pub use machine::{Obstacle, PreflightError};
pub use ports::PortError;
pub use rehearsal::Rehearsal;
pub use shell::{PsqlLogin, ShellError};
pub use spec::{
    BalancerSpec, BastionSpec, DataDisk, HostSpec, LabName, LabSpec, Publish, SpecError,
    lab_directory,
};
pub use status::{LabStatus, MachineStatus};
pub use up::UpError;

use std::path::Path;
use std::process::Command;

/// The label of every image that labs make; its value is the recipe's name.
pub const IMAGE_LABEL: &str = "kbz.lab.image";

/// What can be done with a lab.
#[derive(Debug)]
pub struct Lab;

impl Lab {
    /// Makes the lab, or what is missing of it. Fast where nothing is missing; what is
    /// broken is repaired, or made again.
    pub async fn up(spec: &LabSpec, events: &Events) -> Result<LabAccess, UpError> {
        up::up(spec, events, up::Proof::Greeting).await
    }

    /// The same for who is about to work with its machines: those that have run for a minute as
    /// they are described are taken to answer.
    pub async fn ready(spec: &LabSpec, events: &Events) -> Result<LabAccess, UpError> {
        up::up(spec, events, up::Proof::Age).await
    }

    /// Removes everything of a lab, whatever state it is in; whether there was anything.
    /// The images stay unless `images` says otherwise: they are shared by all labs.
    pub async fn down(
        name: &LabName,
        state: &Path,
        images: bool,
        events: &Events,
    ) -> Result<bool, DownError> {
        down::down(name, state, images, events).await
    }

    /// What there is of a lab.
    pub async fn status(name: &LabName) -> Result<LabStatus, EngineError> {
        status::status(name).await
    }

    /// Breaks a machine on purpose, or mends it; returns when that has happened.
    pub async fn fault(name: &LabName, host: &str, fault: &Fault) -> Result<(), FaultError> {
        fault::fault(name, host, fault).await
    }

    /// The name of a machine's container in the engine.
    pub fn container(name: &LabName, host: &str) -> String {
        container::Names(name).container(host)
    }

    /// The command line of `ssh` to a machine.
    pub fn ssh(access: &LabAccess, host: &str, args: &[String]) -> Result<Command, ShellError> {
        shell::ssh(access, host, args)
    }

    /// The command line of `psql` to a service of the load balancer.
    pub fn psql(
        access: &LabAccess,
        port: u16,
        login: &PsqlLogin,
        args: &[String],
    ) -> Result<Command, ShellError> {
        shell::psql(access, port, login, args)
    }
}
