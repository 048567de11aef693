//! Whether this machine can carry a lab, and what to do when it cannot.
//!
//! Everything that is wrong is reported at once, each with its cure.

use std::fmt;
use std::path::Path;

use bollard::models::{Network, SystemInfo};
use ipnet::Ipv4Net;
use thiserror::Error;

use crate::engine::{Engine, EngineError, LAB_LABEL, request};
use crate::rootfs::is_root;
use crate::spec::LabSpec;

/// A booted host with its own dockerd, without any service.
const MEBIBYTES_PER_MACHINE: u64 = 200;
/// Images, the hosts' own images, and some data.
const DISK_MEBIBYTES: u64 = 6 * 1024;

/// The machine cannot carry the lab.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// The engine could not be asked.
    #[error("the machine's Docker Engine is needed")]
    Engine(#[from] EngineError),
    /// Something is missing.
    #[error("this machine cannot carry the lab:{}", list(.0))]
    Obstacles(Vec<Obstacle>),
}

fn list(obstacles: &[Obstacle]) -> String {
    use fmt::Write as _;
    obstacles.iter().fold(String::new(), |mut text, obstacle| {
        let _ = write!(text, "\n  {obstacle}: {}", obstacle.cure());
        text
    })
}

/// Something that stands in a lab's way.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Containers are not Linux containers of this kernel.
    #[error("the Docker Engine runs {system} containers")]
    NotLinux {
        /// What it runs.
        system: String,
    },
    /// The kernel cannot mount XFS.
    #[error("the kernel knows no XFS")]
    NoXfs,
    /// A capability without which nothing can be mounted in a host.
    #[error("the Docker Engine lacks the capability {name}")]
    NoCapability {
        /// The capability.
        name: String,
    },
    /// Not enough memory is free.
    #[error("{available} MiB of memory are available, the lab takes about {needed} MiB")]
    Memory {
        /// What is there.
        available: u64,
        /// What is needed.
        needed: u64,
    },
    /// Not enough disk is free.
    #[error("{available} MiB are free in {path}, the lab takes about {needed} MiB")]
    Disk {
        /// Docker's folder.
        path: String,
        /// What is there.
        available: u64,
        /// What is needed.
        needed: u64,
    },
    /// Another network of the machine uses the addresses.
    #[error("the Docker network {network} has {taken}, which overlaps with the lab's {subnet}")]
    SubnetTaken {
        /// The lab's subnet.
        subnet: Ipv4Net,
        /// The other network.
        network: String,
        /// Its subnet.
        taken: Ipv4Net,
        /// The lab that it belongs to, if it is one.
        lab: Option<String>,
    },
}

impl Obstacle {
    /// What to do about it.
    pub fn cure(&self) -> String {
        match self {
            Self::NotLinux { .. } => "use a Docker Engine on Linux".to_owned(),
            Self::NoXfs => "load it with `sudo modprobe xfs`".to_owned(),
            Self::NoCapability { .. } => {
                "use an engine that runs as root outside of any container".to_owned()
            }
            Self::Memory { .. } => "end other programs, or declare fewer hosts".to_owned(),
            Self::Disk { .. } => "make room, for example with `docker system prune`".to_owned(),
            Self::SubnetTaken { lab: Some(lab), .. } => format!(
                "take that lab down (`lab down --name {lab}`), or give this one another `--subnet`"
            ),
            Self::SubnetTaken {
                network, lab: None, ..
            } => format!(
                "remove it (`docker network rm {network}`), or give the lab another `--subnet`"
            ),
        }
    }
}

/// How the kernel groups processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cgroup {
    /// A tree per controller; hosts share the machine's.
    V1,
    /// One tree; every host has its own name space in it.
    V2,
}

/// Facts of the machine that shape its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) cgroup: Cgroup,
    /// What the engine does not have itself and so cannot give.
    pub(crate) missing_capabilities: Vec<&'static str>,
}

impl Machine {
    /// Checks the machine. `fresh` says that memory and disk are still to be taken.
    pub(crate) async fn check(
        engine: &Engine,
        spec: &LabSpec,
        fresh: bool,
    ) -> Result<Self, PreflightError> {
        // Machines that are there prove what the engine is; to be asked, it starts its programs.
        let info = async {
            if !fresh {
                return Ok(None);
            }
            let info = engine.docker().info().await;
            info.map(Some)
                .map_err(request("ask the engine about the machine".to_owned()))
        };
        let (info, networks) = futures::try_join!(info, engine.all_networks())?;
        let missing_capabilities = missing(engine_capabilities());
        let mut obstacles = Vec::new();
        obstacles.extend(info.as_ref().and_then(not_linux));
        obstacles.extend(no_capability(&missing_capabilities));
        obstacles.extend(subnet_taken(spec, &networks));
        if spec.hosts.iter().any(|host| host.data.is_some()) {
            obstacles.extend(no_xfs().await);
        }
        if fresh {
            obstacles.extend(memory(spec));
            obstacles.extend(info.as_ref().and_then(disk));
        }
        if !obstacles.is_empty() {
            return Err(PreflightError::Obstacles(obstacles));
        }
        let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let cgroup = if v2 { Cgroup::V2 } else { Cgroup::V1 };
        Ok(Self {
            cgroup,
            missing_capabilities,
        })
    }
}

fn not_linux(info: &SystemInfo) -> Option<Obstacle> {
    let system = info.os_type.clone().unwrap_or_default();
    (system != "linux").then_some(Obstacle::NotLinux { system })
}

fn no_capability(missing: &[&'static str]) -> impl Iterator<Item = Obstacle> {
    ["SYS_ADMIN", "NET_ADMIN", "MKNOD"]
        .into_iter()
        .filter(|needed| missing.contains(needed))
        .map(|name| Obstacle::NoCapability {
            name: format!("CAP_{name}"),
        })
}

async fn no_xfs() -> Option<Obstacle> {
    let known = || {
        let list = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        list.lines().any(|line| line.trim() == "xfs")
    };
    if known() {
        return None;
    }
    if is_root() {
        // Whether it helped is read from the kernel, not from the command.
        let _ = tokio::process::Command::new("modprobe")
            .arg("xfs")
            .output()
            .await;
    }
    (!known()).then_some(Obstacle::NoXfs)
}

fn memory(spec: &LabSpec) -> Option<Obstacle> {
    let needed = MEBIBYTES_PER_MACHINE * spec.machines().count() as u64;
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let available = available_mebibytes(&text)?;
    (available < needed).then_some(Obstacle::Memory { available, needed })
}

fn available_mebibytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

fn disk(info: &SystemInfo) -> Option<Obstacle> {
    let path = info.docker_root_dir.clone()?;
    // A folder that cannot be looked at is no reason to refuse.
    let stat = rustix::fs::statvfs(path.as_str()).ok()?;
    let available = stat.f_bavail * stat.f_frsize / (1024 * 1024);
    let needed = DISK_MEBIBYTES;
    (available < needed).then_some(Obstacle::Disk {
        path,
        available,
        needed,
    })
}

fn subnet_taken(spec: &LabSpec, networks: &[Network]) -> Option<Obstacle> {
    networks
        .iter()
        .filter(|network| !belongs_to(network, spec))
        .find_map(|network| {
            let taken = subnets(network).find(|other| overlap(*other, spec.subnet))?;
            Some(Obstacle::SubnetTaken {
                subnet: spec.subnet,
                network: network.name.clone().unwrap_or_default(),
                taken,
                lab: label(network).map(str::to_owned),
            })
        })
}

fn belongs_to(network: &Network, spec: &LabSpec) -> bool {
    label(network) == Some(spec.name.as_str())
}

fn label(network: &Network) -> Option<&str> {
    network.labels.as_ref()?.get(LAB_LABEL).map(String::as_str)
}

/// The IPv4 subnets of a network.
pub(crate) fn subnets(network: &Network) -> impl Iterator<Item = Ipv4Net> {
    let configs = network.ipam.as_ref().and_then(|ipam| ipam.config.as_ref());
    configs
        .into_iter()
        .flatten()
        .filter_map(|config| config.subnet.as_ref())
        .filter_map(|subnet| subnet.parse().ok())
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Names by bit number, as in `capability.h`.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The capabilities that the engine itself may have: those of its process, or of this one
/// where the engine's cannot be found.
fn engine_capabilities() -> u64 {
    let of = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        bounding_set(&status)
    };
    let engine = std::fs::read_to_string("/var/run/docker.pid").ok();
    engine
        .and_then(|pid| of(pid.trim()))
        .or_else(|| of("self"))
        .unwrap_or(u64::MAX)
}

fn bounding_set(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The capabilities that this kernel has and `set` does not.
fn missing(set: u64) -> Vec<&'static str> {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok())
        .unwrap_or(CAPABILITIES.len() - 1);
    let known = CAPABILITIES.iter().enumerate().take(last + 1);
    known
        .filter(|(bit, _)| set & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::LabName;
    use bollard::models::{Ipam, IpamConfig};

    #[test]
    fn the_bounding_set_is_read_by_bit() {
        let status = "Name:\tdockerd\nCapEff:\t0\nCapBnd:\t000001fffeffffff\n";
        let set = bounding_set(status).unwrap();
        assert_eq!(missing(set), ["SYS_RESOURCE"]);
        assert_eq!(missing(u64::MAX), Vec::<&str>::new());
    }

    #[test]
    fn available_memory_is_read_in_mebibytes() {
        let text = "MemTotal: 100 kB\nMemAvailable:   20480 kB\n";
        assert_eq!(available_mebibytes(text), Some(20));
        assert_eq!(available_mebibytes("MemTotal: 100 kB\n"), None);
    }

    fn network(name: &str, lab: Option<&str>, subnet: &str) -> Network {
        let config = IpamConfig {
            subnet: Some(subnet.to_owned()),
            ..IpamConfig::default()
        };
        Network {
            name: Some(name.to_owned()),
            labels: lab.map(|lab| [(LAB_LABEL.to_owned(), lab.to_owned())].into()),
            ipam: Some(Ipam {
                config: Some(vec![config]),
                ..Ipam::default()
            }),
            ..Network::default()
        }
    }

    fn taken(network: Network) -> Option<String> {
        let spec = LabSpec::keybuzz(LabName::default(), "/bin/true".into());
        subnet_taken(&spec, &[network]).map(|obstacle| obstacle.cure())
    }

    #[test]
    fn an_overlapping_network_is_named_with_its_cure() {
        assert_eq!(taken(network("own", Some("kbz"), "10.0.0.0/24")), None);
        assert_eq!(taken(network("other", None, "10.0.1.0/24")), None);
        let wide = taken(network("wide", None, "10.0.0.0/8")).unwrap();
        assert!(wide.contains("docker network rm wide"), "{wide}");
        let lab = taken(network("x", Some("t1"), "10.0.0.0/25")).unwrap();
        assert!(lab.contains("lab down --name t1"), "{lab}");
    }
}
