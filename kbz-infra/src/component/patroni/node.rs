//! One node of a PostgreSQL cluster: a host that runs Patroni in a container.

use std::net::IpAddr;

use super::cluster::PatroniCluster;
use super::patroni_image::PatroniImage;
use crate::ident::{HostName, Urn};
use crate::program::{Handle, Host};

/// One node of a PostgreSQL cluster. There is none without a host.
#[derive(Debug, Clone)]
pub struct PatroniNode {
    pub(super) host: HostName,
    pub(super) address: IpAddr,
    pub(super) cluster: Option<Handle<PatroniCluster>>,
    pub(super) image: Option<Handle<PatroniImage>>,
}

impl PatroniNode {
    /// The component's name in addresses.
    pub const KIND: &'static str = "patroni-node";

    /// A node on a host.
    pub fn on(host: &Host) -> Self {
        Self {
            host: host.name.clone(),
            address: host.address,
            cluster: None,
            image: None,
        }
    }

    /// The cluster that the node is a member of.
    pub fn cluster(mut self, cluster: &Handle<PatroniCluster>) -> Self {
        self.cluster = Some(cluster.clone());
        self
    }

    /// The image that the node runs.
    pub fn image(mut self, image: &Handle<PatroniImage>) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// The node's host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The node's address in the private network.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// PostgreSQL's major version.
    pub(super) fn major(&self) -> u16 {
        self.image.as_ref().map_or(0, |image| image.major())
    }

    pub(super) fn belongs_to(&self, cluster: &Urn) -> bool {
        self.cluster
            .as_ref()
            .is_some_and(|mine| mine.urn() == cluster)
    }

    pub(super) fn uses_image(&self, image: &Urn) -> bool {
        self.image.as_ref().is_some_and(|mine| mine.urn() == image)
    }
}
