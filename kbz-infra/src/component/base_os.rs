//! A host as every service needs it: what can be repaired is repaired, what cannot is refused
//! before anything changes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ident::{HostName, Urn};
use crate::primitive::{
    File, Firewall, FirewallRule, Preflight, Reboot, Resolver, SwapOff, Sysctl, SystemdUnit,
};
use crate::program::{Component, DeclareExt as _, Handle, Host, Result, Scope};
use crate::resource::{GroupName, Resource as _};

/// The clock of a host may differ by this many seconds from the operator's: the lease of a
/// RAFT leader compares the clocks of two hosts, and expires a living leader when they differ
/// by more than `ttl - loop_wait` (15 s with our defaults).
const CLOCK_TOLERANCE: f64 = 5.0;

/// Kernel parameters of a host that serves a database or connections to it.
const SYSCTLS: [(&str, &str); 3] = [
    // Swap is off; what is left of the tendency to swap file pages out is kept low.
    ("vm.swappiness", "1"),
    // Memory is not promised beyond what there is, or the kernel kills PostgreSQL for it.
    ("vm.overcommit_memory", "2"),
    // Connections that wait to be accepted after a failover.
    ("net.core.somaxconn", "4096"),
];

/// A host ready for services.
///
/// Swap off, name servers fixed, clock and Docker checked, firewall on with SSH let in, and
/// containers that outlive a restart of the Docker engine.
#[derive(Debug, Clone)]
pub struct BaseOs {
    host: HostName,
    name_servers: Vec<IpAddr>,
    ssh_from: Option<IpNet>,
    least_memory: u64,
    sysctls: BTreeMap<String, String>,
    reboots: bool,
}

impl BaseOs {
    /// The component's name in addresses.
    pub const KIND: &'static str = "base-os";

    /// A host with the name servers 1.1.1.1 and 8.8.8.8, and SSH open to everybody.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            name_servers: vec![IpAddr::from([1, 1, 1, 1]), IpAddr::from([8, 8, 8, 8])],
            ssh_from: None,
            least_memory: 512 << 20,
            sysctls: SYSCTLS
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            reboots: false,
        }
    }

    /// Lets SSH in from this network alone. The operator's own way in must be part of it.
    pub fn ssh_from(mut self, network: IpNet) -> Self {
        self.ssh_from = Some(network);
        self
    }

    /// The name servers, in order.
    pub fn name_servers(mut self, servers: impl IntoIterator<Item = IpAddr>) -> Self {
        self.name_servers = servers.into_iter().collect();
        self
    }

    /// Sets a kernel parameter, over the default: a service may need another one.
    pub fn sysctl(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.sysctls.insert(key.into(), value.into());
        self
    }

    /// Starts the host anew when its packages ask for it (`/run/reboot-required`), in the turn of the
    /// group that its service is a member of: a node of a database hands over before, a target of a
    /// load balancer is drained. Only hosts with such a service do. Default: never.
    pub fn reboot_when_required(mut self) -> Self {
        self.reboots = true;
        self
    }

    /// Declares the reboot of a host with a service of a group, where the program wants it.
    pub(super) fn declare_reboot(
        scope: &mut Scope<'_>,
        host: &HostName,
        group: Option<&GroupName>,
    ) {
        let wanted = Self::urn_on(host);
        let all = scope.all::<Self>();
        if !all.iter().any(|base| *base.urn() == wanted && base.reboots) {
            return;
        }
        let reboot = Reboot::when_required(host);
        match group {
            Some(group) => scope.add(reboot.member_of(group, host)),
            None => scope.add(reboot),
        };
    }

    /// The address of the component that makes a host ready, where the program declares one:
    /// what a service on the host comes after.
    pub fn of(scope: &Scope<'_>, host: &HostName) -> Option<Urn> {
        let wanted = Self::urn_on(host);
        let all = scope.all::<Self>();
        all.iter()
            .map(Handle::urn)
            .find(|urn| **urn == wanted)
            .cloned()
    }

    /// The address of the check that a host must pass before anything of it changes, where the
    /// program declares one: what an opened port comes after, which needs nothing else of the host.
    pub fn checked(scope: &Scope<'_>, host: &HostName) -> Option<Urn> {
        Self::of(scope, host).map(|_| Preflight::on(host).urn())
    }

    fn urn_on(host: &HostName) -> Urn {
        Urn::on(Self::KIND, host, host.as_str())
    }

    fn docker(&self, scope: &mut Scope<'_>, ready: &Urn) {
        let settings = File::on(&self.host, "/etc/docker/daemon.json")
            .content("{\n  \"live-restore\": true\n}\n")
            .mode(0o644);
        let settings = scope.add(settings.after([ready.clone()]));
        scope.add(
            SystemdUnit::on(&self.host, "docker.service")
                .of_the_system()
                .reload_on([settings.urn().clone()])
                .after([settings.urn().clone()]),
        );
    }
}

impl Component for BaseOs {
    fn urn(&self) -> Urn {
        Self::urn_on(&self.host)
    }

    fn summary(&self) -> String {
        "swap off, firewall on, name servers fixed".to_owned()
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let mut preflight = Preflight::on(&self.host)
            .docker_at_least("20.10")
            .clock_within(CLOCK_TOLERANCE)
            .memory_at_least(self.least_memory);
        if scope.settings().shared_clock {
            preflight = preflight.shares_a_clock();
        }
        let ready = scope.add(preflight).urn().clone();
        scope.add(SwapOff::on(&self.host).after([ready.clone()]));
        let mut resolver = Resolver::on(&self.host, self.name_servers.clone());
        if !scope.settings().immutable_files {
            resolver = resolver.unprotected();
        }
        scope.add(resolver.after([ready.clone()]));
        for (key, value) in &self.sysctls {
            scope.add(Sysctl::on(&self.host, key, value).after([ready.clone()]));
        }
        let mut ssh = FirewallRule::ssh(&self.host, 22);
        if let Some(network) = self.ssh_from {
            ssh = ssh.from(network);
        }
        let firewall = Firewall::on(&self.host, &ssh);
        let ssh = scope.add(ssh.after([ready.clone()])).urn().clone();
        scope.add(firewall.after([ssh]));
        self.docker(scope, &ready);
        Ok(())
    }
}
