//! A way in through HAProxy.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::config::{Balance, Check, Entry, Timing, milliseconds};
use super::host::Haproxy;
use crate::component::patroni::PatroniCluster;
use crate::diag::{Finding, SourceLocation};
use crate::ident::{HostName, Place, Urn};
use crate::model::Protocol;
use crate::program::{Component, Handle, Result, Scope};
use crate::resource::{Claim, Endpoint, LeaderSearch};

/// A way in that still has nowhere to lead: what [`HaproxyFrontend::new`] gives. It cannot be
/// declared; what says where it leads makes it a [`HaproxyFrontend`].
#[derive(Debug, Clone)]
#[must_use = "a frontend needs a backend: .to_primary_of(..), .to_replicas_of(..), .to_nodes(..) or .to_servers(..)"]
pub struct FrontendDraft {
    name: String,
    port: u16,
    bind: IpAddr,
    on: Vec<Handle<Haproxy>>,
    tuning: Tuning,
}

/// What is other than the default for the kind of backend.
#[derive(Debug, Clone, Default)]
struct Tuning {
    balance: Option<Balance>,
    fall: Option<u8>,
    rise: Option<u8>,
}

/// A way in through HAProxy, and where it leads.
#[derive(Debug, Clone)]
pub struct HaproxyFrontend {
    name: String,
    port: u16,
    bind: IpAddr,
    on: Vec<Handle<Haproxy>>,
    tuning: Tuning,
    backend: Backend,
}

/// Where a way in leads.
#[derive(Debug, Clone)]
enum Backend {
    Primary(Handle<PatroniCluster>),
    Replicas {
        cluster: Handle<PatroniCluster>,
        max_lag: u64,
    },
    Servers {
        servers: BTreeMap<HostName, SocketAddr>,
        check: Check,
        parents: Vec<Urn>,
    },
}

impl FrontendDraft {
    /// The HAProxys that have this way in.
    pub fn on(mut self, hosts: &[Handle<Haproxy>]) -> Self {
        self.on = hosts.to_vec();
        self
    }

    /// The address to listen on. Default: every address of the host.
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = address;
        self
    }

    /// How connections are spread over the servers that are up. Default: to the one with the
    /// fewest for replicas, in turn for everything else.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.tuning.balance = Some(balance);
        self
    }

    /// Takes a server for down after this many failed checks. Default: 3, a second apart.
    pub fn down_after(mut self, failed_checks: u8) -> Self {
        self.tuning.fall = Some(failed_checks);
        self
    }

    /// Takes a server for up after this many good checks. Default: 2, half a second apart.
    pub fn up_after(mut self, good_checks: u8) -> Self {
        self.tuning.rise = Some(good_checks);
        self
    }

    /// Leads to the cluster's leader, wherever it is.
    pub fn to_primary_of(self, cluster: &Handle<PatroniCluster>) -> HaproxyFrontend {
        self.to(Backend::Primary(cluster.clone()))
    }

    /// Leads to the replicas that are not too far behind, and to the leader when there is none.
    pub fn to_replicas_of(self, cluster: &Handle<PatroniCluster>) -> HaproxyFrontend {
        self.to(Backend::Replicas {
            cluster: cluster.clone(),
            max_lag: Check::DEFAULT_MAX_LAG,
        })
    }

    /// Leads to the nodes of any other service that speaks TCP; `server` says where each
    /// listens. What waits for the frontend to serve waits for the nodes too.
    pub fn to_nodes<T>(
        self,
        nodes: &[Handle<T>],
        server: impl Fn(&T) -> (HostName, SocketAddr),
        check: Check,
    ) -> HaproxyFrontend {
        self.to(Backend::Servers {
            servers: nodes.iter().map(|node| server(node)).collect(),
            check,
            parents: nodes.iter().map(|node| node.urn().clone()).collect(),
        })
    }

    /// Leads to servers that the program does not declare.
    pub fn to_servers(
        self,
        servers: impl IntoIterator<Item = (HostName, SocketAddr)>,
        check: Check,
    ) -> HaproxyFrontend {
        self.to(Backend::Servers {
            servers: servers.into_iter().collect(),
            check,
            parents: Vec::new(),
        })
    }

    fn to(self, backend: Backend) -> HaproxyFrontend {
        let Self {
            name,
            port,
            bind,
            on,
            tuning,
        } = self;
        HaproxyFrontend {
            name,
            port,
            bind,
            on,
            tuning,
            backend,
        }
    }
}

impl HaproxyFrontend {
    /// The component's name in addresses.
    pub const KIND: &'static str = "haproxy-frontend";

    /// A way in on a TCP port of every address of the host; say next on which HAProxys, and
    /// where it leads.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a frontend exists once it has a backend"
    )]
    pub fn new(name: impl Into<String>, port: u16) -> FrontendDraft {
        FrontendDraft {
            name: name.into(),
            port,
            bind: IpAddr::from([0, 0, 0, 0]),
            on: Vec::new(),
            tuning: Tuning::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port that it listens on.
    pub fn listen_port(&self) -> u16 {
        self.port
    }

    /// The HAProxys that have it.
    pub fn hosts(&self) -> &[Handle<Haproxy>] {
        &self.on
    }

    pub(super) fn is_on(&self, haproxy: &Urn) -> bool {
        self.on.iter().any(|host| host.urn() == haproxy)
    }

    /// What has to be there before connections through it can succeed.
    pub(crate) fn parents(&self) -> Vec<Urn> {
        let mut parents: Vec<Urn> = self.on.iter().map(|host| host.urn().clone()).collect();
        match &self.backend {
            Backend::Primary(cluster) | Backend::Replicas { cluster, .. } => {
                parents.push(cluster.urn().clone());
            }
            Backend::Servers { parents: nodes, .. } => parents.extend(nodes.iter().cloned()),
        }
        parents
    }

    /// How it finds the leader of its cluster, if it leads to one.
    pub(crate) fn leader_search(&self) -> Option<LeaderSearch> {
        let Backend::Primary(cluster) = &self.backend else {
            return None;
        };
        let timing = Timing::default();
        Some(LeaderSearch {
            group: cluster.group_name(),
            downinter: milliseconds(&timing.downinter)?,
            fastinter: milliseconds(&timing.fastinter)?,
            rise: u64::from(self.tuning.rise.unwrap_or(timing.rise)),
            retry: 0,
        })
    }

    fn servers(&self, scope: &Scope<'_>) -> BTreeMap<HostName, SocketAddr> {
        match &self.backend {
            Backend::Primary(cluster) | Backend::Replicas { cluster, .. } => {
                let port = cluster.ports().postgres;
                let nodes = cluster.addresses(scope).into_iter();
                nodes
                    .map(|(name, address)| (name, SocketAddr::new(address, port)))
                    .collect()
            }
            Backend::Servers { servers, .. } => servers.clone(),
        }
    }

    fn check(&self) -> Check {
        match &self.backend {
            Backend::Primary(cluster) => Check::PatroniPrimary {
                port: cluster.ports().rest,
            },
            Backend::Replicas { cluster, max_lag } => Check::PatroniReplica {
                port: cluster.ports().rest,
                max_lag: *max_lag,
            },
            Backend::Servers { check, .. } => check.clone(),
        }
    }

    /// The way in to the leader of the same cluster on the same hosts, for reads that find no
    /// replica.
    fn fallback(&self, scope: &Scope<'_>) -> Option<String> {
        let Backend::Replicas { cluster, .. } = &self.backend else {
            return None;
        };
        let all = scope.all::<HaproxyFrontend>();
        let shared = |other: &Handle<HaproxyFrontend>| {
            matches!(&other.backend, Backend::Primary(theirs) if theirs.urn() == cluster.urn())
                && self.on.iter().all(|host| other.is_on(host.urn()))
        };
        all.iter()
            .find(|other| shared(other))
            .map(|other| other.name.clone())
    }

    /// The part of `haproxy.cfg`.
    pub(super) fn entry(&self, place: &Place, scope: &Scope<'_>) -> Result<Entry> {
        let servers = self.servers(scope);
        if servers.is_empty() {
            return Err(self
                .finding(place, "leads nowhere: there are no servers behind it")
                .help("declare the nodes of its cluster, or name its servers")
                .into());
        }
        let bind = SocketAddr::new(self.bind, self.port);
        let mut entry = Entry::new(&self.name, bind, servers, self.check());
        entry.fallback = self.fallback(scope);
        entry.balance = self.tuning.balance.unwrap_or(entry.balance);
        entry.fall = self.tuning.fall;
        entry.rise = self.tuning.rise;
        Ok(entry)
    }

    fn finding(&self, place: &Place, what: &str) -> Finding {
        Finding::error(
            "kbz::haproxy::frontend",
            format!("the frontend `{}` {what}", self.name),
        )
        .label(SourceLocation::from(place), "declared here")
    }
}

impl Component for HaproxyFrontend {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, &self.name)
    }

    fn summary(&self) -> String {
        format!("port {}", self.port)
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        if self.on.is_empty() {
            return Err(self
                .finding(scope.place(), "is on no HAProxy")
                .help("say which: .on(&haproxy)")
                .into());
        }
        let servers = self.servers(scope);
        let to: Vec<Endpoint> = servers
            .values()
            .map(|server| Endpoint {
                address: server.ip(),
                port: server.port(),
            })
            .collect();
        if let Some(search) = self.leader_search() {
            scope.claim(Claim::FindsLeader(search));
        }
        let check = self.check().asks();
        for host in &self.on {
            scope.claim(Claim::Listens {
                host: host.host().clone(),
                bind: self.bind,
                address: host.address(),
                port: self.port,
                protocol: Protocol::Tcp,
                service: format!("haproxy ({})", self.name),
                remote: true,
            });
            scope.claim(Claim::Forwards {
                service: format!("haproxy@{}", host.host()),
                from: Endpoint {
                    address: host.address(),
                    port: self.port,
                },
                to: to.clone(),
                check: check.clone(),
            });
        }
        Ok(())
    }
}
