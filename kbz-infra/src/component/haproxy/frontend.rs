//! A way in through HAProxy.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::config::{Check, Entry};
use super::host::Haproxy;
use crate::component::patroni::PatroniCluster;
use crate::diag::{Finding, SourceLocation};
use crate::ident::{HostName, Urn};
use crate::program::{Component, Handle, Result, Scope};
use crate::resource::{Claim, Endpoint};

/// A way in that still has nowhere to lead: what [`HaproxyFrontend::new`] gives.
///
/// ```compile_fail
/// use kbz_infra::prelude::*;
///
/// fn program(stack: &mut Stack) {
///     // A frontend without a backend cannot be declared.
///     stack.add(HaproxyFrontend::new("pg_write", 5432));
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a frontend needs a backend: .to_primary_of(..), .to_replicas_of(..) or .to_servers(..)"]
pub struct FrontendDraft {
    name: String,
    port: u16,
    bind: IpAddr,
    on: Vec<Handle<Haproxy>>,
}

/// A way in through HAProxy, and where it leads.
#[derive(Debug, Clone)]
pub struct HaproxyFrontend {
    name: String,
    port: u16,
    bind: IpAddr,
    on: Vec<Handle<Haproxy>>,
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

    /// Leads to servers of any other service that speaks TCP.
    pub fn to_servers(
        self,
        servers: impl IntoIterator<Item = (HostName, SocketAddr)>,
        check: Check,
    ) -> HaproxyFrontend {
        self.to(Backend::Servers {
            servers: servers.into_iter().collect(),
            check,
        })
    }

    fn to(self, backend: Backend) -> HaproxyFrontend {
        let Self {
            name,
            port,
            bind,
            on,
        } = self;
        HaproxyFrontend {
            name,
            port,
            bind,
            on,
            backend,
        }
    }
}

impl HaproxyFrontend {
    /// The component's name in addresses.
    pub const KIND: &'static str = "haproxy-frontend";

    /// A way in on a port of every address; say next on which HAProxys, and where it leads.
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
            Backend::Servers { .. } => {}
        }
        parents
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
    pub(super) fn entry(&self, scope: &Scope<'_>) -> Result<Entry> {
        let servers = self.servers(scope);
        if servers.is_empty() {
            return Err(self
                .finding(scope, "leads nowhere: its cluster has no nodes")
                .into());
        }
        let bind = SocketAddr::new(self.bind, self.port);
        let mut entry = Entry::new(&self.name, bind, servers, self.check());
        entry.fallback = self.fallback(scope);
        Ok(entry)
    }

    fn finding(&self, scope: &Scope<'_>, what: &str) -> Finding {
        Finding::error(
            "kbz::haproxy::frontend",
            format!("the frontend `{}` {what}", self.name),
        )
        .label(SourceLocation::from(scope.place()), "declared here")
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
                .finding(scope, "is on no HAProxy")
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
        let check_port = match self.check() {
            Check::PatroniPrimary { port }
            | Check::PatroniReplica { port, .. }
            | Check::Http { port, .. } => Some(port),
            Check::Tcp | Check::Dialogue(_) => None,
        };
        for host in &self.on {
            scope.claim(Claim::Forwards {
                service: format!("haproxy@{}", host.host()),
                from: Endpoint {
                    address: host.address(),
                    port: self.port,
                },
                to: to.clone(),
                check_port,
            });
        }
        Ok(())
    }
}
