//! Kernel, firewall, file systems and facts of a modelled host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::refusal::failed;
use crate::effect::EffectError;
use crate::model::{FirewallRule, Protocol};
use crate::probe::{FactsReading, FilesystemReading, FirewallReading};

/// Kernel parameters whose values matter to somebody, as a fresh Debian has them.
const PARAMETERS: [(&str, &str); 12] = [
    ("kernel.panic", "0"),
    ("net.core.somaxconn", "4096"),
    ("net.ipv4.ip_local_port_range", "32768 60999"),
    ("net.ipv4.ip_nonlocal_bind", "0"),
    ("net.ipv4.tcp_keepalive_time", "7200"),
    ("vm.dirty_background_bytes", "0"),
    ("vm.dirty_background_ratio", "10"),
    ("vm.dirty_bytes", "0"),
    ("vm.dirty_ratio", "20"),
    ("vm.overcommit_memory", "0"),
    ("vm.overcommit_ratio", "50"),
    ("vm.swappiness", "60"),
];

/// Trees of parameters; one of them that has no value of its own here is 0.
const TREES: [&str; 4] = ["fs.", "kernel.", "net.", "vm."];

/// The port that lets the operator in.
const SSH: u16 = 22;

/// What the kernel of a host is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kernel {
    set: BTreeMap<String, String>,
    pub(super) modules: BTreeSet<String>,
    pub(super) swap: Vec<String>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            set: BTreeMap::new(),
            modules: ["overlay", "xfs"].map(str::to_owned).into(),
            swap: Vec::new(),
        }
    }
}

impl Kernel {
    /// The running value of a parameter.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        if let Some(value) = self.set.get(key) {
            return Some(value.clone());
        }
        let fresh = PARAMETERS.iter().find(|(name, _)| *name == key);
        let fresh = fresh.map(|(_, value)| (*value).to_owned());
        let known = TREES.iter().any(|tree| key.starts_with(tree));
        fresh.or_else(|| known.then(|| "0".to_owned()))
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), EffectError> {
        if self.value(key).is_none() {
            return Err(failed(key, "the kernel has no such parameter"));
        }
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        self.set.insert(key.to_owned(), value);
        Ok(())
    }
}

/// Allows traffic; a rule that is there stays once.
pub(super) fn allow(firewall: &mut FirewallReading, rule: &FirewallRule) {
    firewall.rules.insert(rule.clone());
}

pub(super) fn revoke(firewall: &mut FirewallReading, rule: &FirewallRule) {
    firewall.rules.remove(rule);
}

pub(super) fn enable(firewall: &mut FirewallReading) -> Result<(), EffectError> {
    let ssh = |rule: &FirewallRule| rule.port == SSH && rule.protocol == Protocol::Tcp;
    if !firewall.rules.iter().any(ssh) {
        let said = "no rule lets SSH in (port 22): declare one before the firewall is switched on";
        return Err(failed("ufw enable", said));
    }
    firewall.active = true;
    Ok(())
}

/// Whether a connection from `client` to a TCP port is let in.
pub(super) fn lets_in(firewall: &FirewallReading, port: u16, client: IpAddr) -> bool {
    let matches = |rule: &FirewallRule| {
        let from = rule.from.is_none_or(|from| from.contains(&client));
        rule.port == port && rule.protocol == Protocol::Tcp && from
    };
    !firewall.active || firewall.rules.iter().any(matches)
}

/// The facts of a fresh host.
pub(super) fn facts() -> FactsReading {
    FactsReading {
        memory: 4 << 30,
        cpus: 2,
        os: "Debian GNU/Linux 13 (trixie)".to_owned(),
        kernel: "6.12.0".to_owned(),
        docker: Some("26.1.5".to_owned()),
        clock_synchronized: Some(true),
        clock_offset: 0.0,
    }
}

/// The file systems of a host by mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Filesystems(pub(super) BTreeMap<String, FilesystemReading>);

impl Default for Filesystems {
    fn default() -> Self {
        let mut filesystems = Self(BTreeMap::new());
        filesystems.mount("/", "ext4", 40 << 30);
        filesystems
    }
}

impl Filesystems {
    pub(super) fn mount(&mut self, path: &str, kind: &str, size: u64) {
        let reading = FilesystemReading {
            kind: kind.to_owned(),
            size,
            available: size / 10 * 9,
        };
        self.0.insert(path.to_owned(), reading);
    }

    pub(super) fn is_mount(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The file system that holds a path.
    pub(super) fn of(&self, path: &str) -> Option<FilesystemReading> {
        let holds = |mount: &str| {
            let rest = path.strip_prefix(mount);
            mount == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let holding = self.0.iter().filter(|(mount, _)| holds(mount));
        let deepest = holding.max_by_key(|(mount, _)| mount.len());
        deepest.map(|(_, reading)| reading.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewall_lets_in_what_its_rules_say() {
        let mut firewall = FirewallReading {
            installed: true,
            ..FirewallReading::default()
        };
        let client: IpAddr = "10.0.0.11".parse().unwrap();
        let ssh = FirewallRule {
            port: 22,
            protocol: Protocol::Tcp,
            from: None,
        };
        let database = FirewallRule {
            port: 5432,
            protocol: Protocol::Tcp,
            from: Some("10.0.0.0/24".parse().unwrap()),
        };
        assert!(enable(&mut firewall).is_err());
        allow(&mut firewall, &ssh);
        enable(&mut firewall).unwrap();
        assert!(!lets_in(&firewall, 5432, client));
        allow(&mut firewall, &database);
        assert!(lets_in(&firewall, 5432, client));
        assert!(!lets_in(&firewall, 5432, "10.0.1.11".parse().unwrap()));
    }

    #[test]
    fn the_deepest_mount_holds_a_path() {
        let mut filesystems = Filesystems::default();
        filesystems.mount("/opt/data", "xfs", 1 << 30);
        assert_eq!(filesystems.of("/opt/data/pg").unwrap().kind, "xfs");
        assert_eq!(filesystems.of("/opt/database").unwrap().kind, "ext4");
    }
}
