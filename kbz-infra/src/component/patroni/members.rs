//! Who the nodes of a cluster are, once the whole program is known.

use std::net::IpAddr;

use super::cluster::PatroniCluster;
use super::node::PatroniNode;
use crate::ident::HostName;
use crate::probe::{PatroniAccess, RaftAccess};
use crate::program::{Component as _, Handle, Result, Scope};

impl PatroniCluster {
    /// The nodes of the cluster, in the order of the program.
    pub(crate) fn nodes(&self, scope: &Scope<'_>) -> Vec<Handle<PatroniNode>> {
        let nodes = scope.all::<PatroniNode>().into_iter();
        nodes.filter(|node| node.belongs_to(&self.urn())).collect()
    }

    /// How the cluster's REST API is reached.
    pub(crate) fn access(&self, scope: &Scope<'_>) -> Result<PatroniAccess> {
        let secrets = self.secrets(scope)?;
        let rest = secrets.rest_api();
        let nodes = self.nodes(scope);
        Ok(PatroniAccess {
            scope: self.name.clone(),
            members: nodes.iter().map(|node| node.host().clone()).collect(),
            port: self.ports.rest,
            user: rest.user,
            password: rest.password,
            raft: RaftAccess {
                addresses: nodes.iter().map(|node| node.address()).collect(),
                port: self.ports.raft,
                password: secrets.raft_password(),
            },
        })
    }

    /// The addresses of the nodes.
    pub(crate) fn addresses(&self, scope: &Scope<'_>) -> Vec<(HostName, IpAddr)> {
        let nodes = self.nodes(scope);
        nodes
            .iter()
            .map(|node| (node.host().clone(), node.address()))
            .collect()
    }
}
