//! What a container is, in the terms of a declaration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A container with host networking: the data plane publishes no ports, because ports that
/// Docker publishes go round UFW.
///
/// The same type is the goal of a declaration and the reading of what runs, so that what a
/// hand changed is seen. It holds no environment secrets: secrets are files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The container's name.
    pub name: String,
    /// Repository and tag.
    pub image: String,
    /// The image's command replaced, or empty for the image's own.
    pub command: Vec<String>,
    /// `USER` or `UID:GID` replaced, or empty for the image's own.
    pub user: String,
    /// Environment, added to the image's own.
    pub env: BTreeMap<String, String>,
    /// Bind mounts of directories of the host, by path inside the container.
    pub mounts: BTreeMap<String, Mount>,
    /// `tmpfs` mounts: path inside the container and options, such as `mode=0755`.
    pub tmpfs: BTreeMap<String, String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Limits of resources, by name, such as `nofile`.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// The kernel's preference when memory runs out, from -1000 (never) to 1000 (first).
    pub oom_score_adj: i32,
    /// Bytes of memory that the container may use; 0 for no limit.
    pub memory: u64,
    /// Linux capabilities added to Docker's own set.
    pub cap_add: Vec<String>,
    /// Linux capabilities taken from Docker's own set.
    pub cap_drop: Vec<String>,
    /// What Docker does when the container ends.
    pub restart: RestartPolicy,
    /// Seconds between the request to stop and the kill.
    pub stop_grace: u32,
    /// The signal that asks the main process to stop, or empty for the image's own.
    pub stop_signal: String,
    /// How much of its output Docker keeps.
    pub logs: LogLimits,
    /// Labels, the owner's marks among them.
    pub labels: BTreeMap<String, String>,
}

/// Docker's own size of `/dev/shm`.
const DEFAULT_SHM: u64 = 64 << 20;
/// Docker's own grace between the request to stop and the kill, in seconds.
const DEFAULT_GRACE: u32 = 10;

impl ContainerSpec {
    /// A container of an image with Docker's defaults, but with bounded logs.
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            command: Vec::new(),
            user: String::new(),
            env: BTreeMap::new(),
            mounts: BTreeMap::new(),
            tmpfs: BTreeMap::new(),
            shm_size: DEFAULT_SHM,
            ulimits: BTreeMap::new(),
            oom_score_adj: 0,
            memory: 0,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            restart: RestartPolicy::No,
            stop_grace: DEFAULT_GRACE,
            stop_signal: String::new(),
            logs: LogLimits::default(),
            labels: BTreeMap::new(),
        }
    }
}

/// A directory of the host inside a container. Directories only: a mounted file would show
/// its old content for ever after an atomic replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The directory on the host.
    pub source: String,
    /// Whether the container can only read it.
    pub read_only: bool,
}

/// A soft and a hard limit, in the unit of the resource: files for `nofile`, bytes for `memlock`;
/// -1 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// The limit in force at start.
    pub soft: i64,
    /// The limit up to which a process may raise it.
    pub hard: i64,
}

/// What Docker does when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing: a systemd unit supervises it.
    No,
    /// Starts it again, also at boot, unless a person stopped it.
    UnlessStopped,
    /// Always starts it again.
    Always,
}

/// How much of a container's output Docker keeps (`json-file`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// The size of one file, such as `20m`.
    pub max_size: String,
    /// How many files.
    pub max_file: u32,
}

impl LogLimits {
    /// Whether there is a bound: for Docker, `-1` and nothing at all mean none.
    pub fn are_bounded(&self) -> bool {
        let size = self.max_size.trim();
        self.max_file > 0 && size.starts_with(|c: char| ('1'..='9').contains(&c))
    }
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_size: "20m".to_owned(),
            max_file: 5,
        }
    }
}
