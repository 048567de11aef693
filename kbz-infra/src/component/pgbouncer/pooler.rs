//! PgBouncer on a host: many clients on few server connections.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::config::SERVER_LOGIN_RETRY;
use crate::component::haproxy::HaproxyFrontend;
use crate::ident::{HostName, Urn};
use crate::program::{Handle, Host, ImagePin};
use crate::resource::LeaderSearch;
use crate::secret::Login;

/// PgBouncer on a host, in front of the HAProxy of the same host.
#[derive(Debug, Clone)]
pub struct PgBouncer {
    pub(super) host: HostName,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) image: Option<ImagePin>,
    pub(super) upstream: Option<Upstream>,
    pub(super) databases: BTreeSet<String>,
    pub(super) users: Vec<Login>,
    pub(super) stats: Option<Login>,
    pub(super) clients: Option<IpNet>,
}

/// Where PgBouncer connects to.
#[derive(Debug, Clone)]
pub(super) enum Upstream {
    Frontend(Handle<HaproxyFrontend>),
    Address(SocketAddr),
}

/// What PgBouncer can connect to.
pub trait PoolUpstream {
    #[doc(hidden)]
    fn frontend(&self) -> Option<Handle<HaproxyFrontend>> {
        None
    }
    #[doc(hidden)]
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}

impl PoolUpstream for Handle<HaproxyFrontend> {
    fn frontend(&self) -> Option<Handle<HaproxyFrontend>> {
        Some(self.clone())
    }
}

/// An address outside the program.
impl PoolUpstream for SocketAddr {
    fn address(&self) -> Option<SocketAddr> {
        Some(*self)
    }
}

impl PgBouncer {
    /// The component's name in addresses.
    pub const KIND: &'static str = "pgbouncer";

    /// A PgBouncer on a host, port 6432.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            port: 6432,
            image: None,
            upstream: None,
            databases: BTreeSet::new(),
            users: Vec::new(),
            stats: None,
            clients: None,
        }
    }

    /// The port. Default: 6432.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The version, pinned.
    pub fn image(mut self, image: ImagePin) -> Self {
        self.image = Some(image);
        self
    }

    /// Where it connects to: the way in of the HAProxy on its own host.
    pub fn upstream(mut self, upstream: &impl PoolUpstream) -> Self {
        self.upstream = upstream
            .frontend()
            .map(Upstream::Frontend)
            .or(upstream.address().map(Upstream::Address));
        self
    }

    /// A database that clients may name.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.databases.insert(name.into());
        self
    }

    /// A role that may log in.
    pub fn user(mut self, login: &Login) -> Self {
        self.users.push(login.clone());
        self
    }

    /// The user that may read statistics (`SHOW POOLS`).
    pub fn stats_user(mut self, login: &Login) -> Self {
        self.stats = Some(login.clone());
        self
    }

    /// The network that may connect. Default: everybody who reaches the host.
    pub fn clients(mut self, network: IpNet) -> Self {
        self.clients = Some(network);
        self
    }

    /// The host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The port that it listens on.
    pub fn listen_port(&self) -> u16 {
        self.port
    }

    /// The host's address in the private network.
    pub fn host_address(&self) -> IpAddr {
        self.address
    }

    /// What has to be there before connections through it can succeed.
    pub(crate) fn parents(&self) -> Vec<Urn> {
        match &self.upstream {
            Some(Upstream::Frontend(frontend)) => frontend.parents(),
            Some(Upstream::Address(_)) | None => Vec::new(),
        }
    }

    /// How connections through it find the leader, if they lead to one.
    pub(super) fn leader_search(&self) -> Option<LeaderSearch> {
        match &self.upstream {
            Some(Upstream::Frontend(frontend)) => Some(LeaderSearch {
                retry: SERVER_LOGIN_RETRY * 1000,
                ..frontend.leader_search()?
            }),
            Some(Upstream::Address(_)) | None => None,
        }
    }
}
