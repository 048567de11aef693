//! Who the nodes of a cluster are, once the whole program is known.

use std::net::IpAddr;

use super::cluster::PatroniCluster;
use super::node::PatroniNode;
use crate::ident::HostName;
use crate::probe::{PatroniAccess, PgAccess, RaftAccess};
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

    /// The server of the first node that answers, on its own host.
    pub(crate) fn own_server(&self, scope: &Scope<'_>) -> Result<PgAccess> {
        let nodes = self.nodes(scope);
        let v6 = nodes.first().is_some_and(|node| node.address().is_ipv6());
        let via = nodes.iter().map(|node| node.host().clone());
        self.loopback(via.collect(), v6, scope)
    }

    /// The server of one node, on its own host.
    pub(super) fn server_on(&self, node: &PatroniNode, scope: &Scope<'_>) -> Result<PgAccess> {
        let via = vec![node.host().clone()];
        self.loopback(via, node.address().is_ipv6(), scope)
    }

    fn loopback(&self, via: Vec<HostName>, v6: bool, scope: &Scope<'_>) -> Result<PgAccess> {
        let superuser = self.secrets(scope)?.superuser();
        Ok(PgAccess {
            via,
            address: if v6 { "::1" } else { "127.0.0.1" }.to_owned(),
            port: self.ports.postgres,
            user: superuser.user,
            password: superuser.password,
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
