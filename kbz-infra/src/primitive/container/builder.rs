//! What a program says of a container.

use super::{Container, Supervision};
use crate::ident::{HostName, Urn};
use crate::model::{ContainerSpec, LogLimits, Mount, RestartPolicy, Ulimit};
use crate::probe::FactsReading;
use crate::resource::Claim;

impl Container {
    /// A container of an image (repository and tag), which Docker keeps running unless a person
    /// stops it.
    pub fn on(host: &HostName, name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            spec: ContainerSpec::new(name, image),
            supervision: Supervision::Docker(RestartPolicy::UnlessStopped),
            shm_from: None,
            remade_on: std::collections::BTreeSet::new(),
            claims: Vec::new(),
        }
    }

    /// Who starts it, and starts it again.
    pub fn supervised_by(mut self, supervision: Supervision) -> Self {
        self.supervision = supervision;
        self
    }

    /// Replaces the image's own command.
    pub fn command<A: Into<String>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.spec.command = command.into_iter().map(Into::into).collect();
        self
    }

    /// Replaces the image's own user: a name, or `UID:GID`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.spec.user = user.into();
        self
    }

    /// Adds a variable to the environment, which everybody can read: no place for a secret.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.env.insert(name.into(), value.into());
        self
    }

    /// Mounts a directory of the host that the container only reads.
    pub fn reads(self, directory: impl Into<String>, inside: impl Into<String>) -> Self {
        self.mount(directory, inside, true)
    }

    /// Mounts a directory of the host that the container reads and writes.
    pub fn writes(self, directory: impl Into<String>, inside: impl Into<String>) -> Self {
        self.mount(directory, inside, false)
    }

    fn mount(
        mut self,
        directory: impl Into<String>,
        inside: impl Into<String>,
        read_only: bool,
    ) -> Self {
        let source = directory.into();
        self.spec
            .mounts
            .insert(inside.into(), Mount { source, read_only });
        self
    }

    /// Mounts a file system in memory, with options such as `mode=0755`.
    pub fn tmpfs(mut self, inside: impl Into<String>, options: impl Into<String>) -> Self {
        self.spec.tmpfs.insert(inside.into(), options.into());
        self
    }

    /// Bytes of `/dev/shm`.
    pub fn shm_size(mut self, bytes: u64) -> Self {
        self.spec.shm_size = bytes;
        self.shm_from = None;
        self
    }

    /// Bytes of `/dev/shm` as a function of what the host is.
    pub fn shm_size_from(mut self, bytes: fn(&FactsReading) -> u64) -> Self {
        self.shm_from = Some(bytes);
        self
    }

    /// A soft and hard limit, by name, such as `memlock`.
    pub fn ulimit(mut self, name: impl Into<String>, soft: i64, hard: i64) -> Self {
        self.spec.ulimits.insert(name.into(), Ulimit { soft, hard });
        self
    }

    /// How many files it may have open.
    pub fn nofile(self, limit: i64) -> Self {
        self.ulimit("nofile", limit, limit)
    }

    /// The kernel's preference when memory runs out, from -1000 (never) to 1000 (first).
    pub fn oom_score_adj(mut self, preference: i32) -> Self {
        self.spec.oom_score_adj = preference;
        self
    }

    /// Bytes of memory that it may use.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.spec.memory = bytes;
        self
    }

    /// Adds a Linux capability to Docker's own set.
    pub fn cap_add(mut self, capability: impl Into<String>) -> Self {
        self.spec.cap_add.push(capability.into());
        self
    }

    /// Takes a Linux capability from Docker's own set.
    pub fn cap_drop(mut self, capability: impl Into<String>) -> Self {
        self.spec.cap_drop.push(capability.into());
        self
    }

    /// Seconds between the request to stop and the kill.
    pub fn stop_grace(mut self, seconds: u32) -> Self {
        self.spec.stop_grace = seconds;
        self
    }

    /// The signal that asks it to stop, such as `SIGINT`.
    pub fn stop_signal(mut self, signal: impl Into<String>) -> Self {
        self.spec.stop_signal = signal.into();
        self
    }

    /// How much of its output Docker keeps.
    pub fn logs(mut self, limits: LogLimits) -> Self {
        self.spec.logs = limits;
        self
    }

    /// Adds a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.labels.insert(name.into(), value.into());
        self
    }

    /// Makes it anew when one of these resources is other than when it was made. For what Docker
    /// supervises; under systemd the unit is restarted instead.
    pub fn remade_on(mut self, used: impl IntoIterator<Item = Urn>) -> Self {
        self.remade_on.extend(used);
        self
    }

    /// Adds a statement about the topology, such as the ports that it listens on.
    pub fn claiming(mut self, claim: Claim) -> Self {
        self.claims.push(claim);
        self
    }
}
