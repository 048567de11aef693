//! HAProxy on a host.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::ident::HostName;
use crate::program::{Host, ImagePin};

/// The port of HAProxy's own health, for the load balancer.
pub(crate) const HEALTH_PORT: u16 = 8404;
/// The port on loopback on which HAProxy is drained, and put back into service.
pub(crate) const DRAIN_PORT: u16 = 8406;

/// HAProxy on a host. Its ways in are [`HaproxyFrontend`](super::HaproxyFrontend)s; all that name the host end up in
/// one `haproxy.cfg`.
#[derive(Debug, Clone)]
pub struct Haproxy {
    pub(super) host: HostName,
    pub(super) address: IpAddr,
    pub(super) image: Option<ImagePin>,
    pub(super) clients: Option<IpNet>,
}

impl Haproxy {
    /// The component's name in addresses.
    pub const KIND: &'static str = "haproxy";

    /// An HAProxy on a host.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            image: None,
            clients: None,
        }
    }

    /// The image, pinned.
    pub fn image(mut self, image: ImagePin) -> Self {
        self.image = Some(image);
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

    /// The host's address in the private network.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}
