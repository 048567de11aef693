//! Ways through the modelled network: who is behind an address and a port.

use std::net::IpAddr;

use super::host::HostModel;
use super::service::{Backend, Service, Wanted};
use super::system::lets_in;
use super::universe::Universe;
use crate::ident::HostName;
use crate::model::load_balancer::{LoadBalancerState, TargetState};
use crate::probe::PgAccess;

/// More steps than any way has that does not run in a circle.
const LONGEST: u32 = 8;

/// A PostgreSQL server at the end of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// The cluster that it is part of.
    pub(super) scope: String,
    /// Its host.
    pub(super) member: HostName,
}

impl Universe {
    /// The server that an access leads to, or why it leads nowhere.
    pub(super) fn server(&self, access: &PgAccess) -> Result<Server, String> {
        let hosts = access.via.iter().filter_map(|name| self.hosts.get(name));
        let mut ways = hosts.filter(|host| host.powered && host.reachable);
        let Some(via) = ways.next() else {
            return Err("no host to connect from answers".to_owned());
        };
        let refused = || format!("connection to {}:{} refused", access.address, access.port);
        let address: IpAddr = access.address.parse().map_err(|_| refused())?;
        let server = self
            .follow(Client::Host(via), address, access.port, LONGEST)
            .ok_or_else(refused)?;
        let known = self.clusters[&server.scope].sql.has_role(&access.user);
        if known {
            Ok(server)
        } else {
            Err(format!("role \"{}\" does not exist", access.user))
        }
    }

    fn follow(&self, client: Client<'_>, to: IpAddr, port: u16, left: u32) -> Option<Server> {
        let left = left.checked_sub(1)?;
        if let Some(balancer) = self.balancer_at(to) {
            let service = balancer.service(port)?;
            let from = Client::Balancer(to);
            let healthy = balancer.targets.iter();
            let mut healthy = healthy.filter(|target| self.is_healthy(balancer, port, target));
            let target = healthy.find_map(TargetState::address)?;
            return self.follow(from, target, service.destination_port, left);
        }
        let host = self.host_at(client, to)?;
        let open = client.is(host) || lets_in(&host.firewall, port, client.address());
        if !host.powered || !open {
            return None;
        }
        let mut services = host.docker.services();
        let (_, _, service) = services.find(|(_, _, service)| service.ports().contains(&port))?;
        match service {
            Service::Patroni(node) => {
                let cluster = self.clusters.get(&node.scope)?;
                let serves = node.postgres_port == port && cluster.is_member(&host.name);
                serves.then(|| Server {
                    scope: node.scope.clone(),
                    member: host.name.clone(),
                })
            }
            Service::Pgbouncer(pooler) => {
                let upstream = pooler.upstream;
                self.follow(Client::Host(host), upstream.ip(), upstream.port(), left)
            }
            Service::Haproxy(frontends) => {
                let front = frontends.iter().find(|front| front.port == port)?;
                let mut backends = front.backends.iter();
                backends.find_map(|backend| self.behind(host, backend, left))
            }
        }
    }

    /// The first server of a backend that has the wanted role.
    fn behind(&self, haproxy: &HostModel, backend: &Backend, left: u32) -> Option<Server> {
        let client = Client::Host(haproxy);
        let mut servers = backend.servers.iter();
        servers.find_map(|server| {
            let found = self.follow(client, server.ip(), server.port(), left)?;
            self.fits(&found, backend.wants, client).then_some(found)
        })
    }

    /// Whether a health check finds the wanted role.
    fn fits(&self, server: &Server, wants: Wanted, client: Client<'_>) -> bool {
        let leads = self.clusters[&server.scope].leader() == Some(&server.member);
        let host = &self.hosts[&server.member];
        let mut nodes = host.docker.services();
        let rest = nodes.find_map(|(_, _, service)| service.patroni().map(|node| node.rest_port));
        let asked = client.is(host)
            || rest.is_some_and(|port| lets_in(&host.firewall, port, client.address()));
        match wants {
            Wanted::Any => true,
            Wanted::Primary => asked && leads,
            Wanted::Replica => asked && !leads,
        }
    }

    fn host_at<'a>(&'a self, client: Client<'a>, address: IpAddr) -> Option<&'a HostModel> {
        match client {
            Client::Host(host) if address.is_loopback() => Some(host),
            Client::Host(_) | Client::Balancer(_) => {
                self.hosts.values().find(|host| host.address == address)
            }
        }
    }

    fn balancer_at(&self, address: IpAddr) -> Option<&LoadBalancerState> {
        let mut balancers = self.balancers.values();
        balancers.find(|balancer| {
            let network = balancer.network.as_ref();
            network.is_some_and(|network| network.ip == address)
        })
    }

    /// Whether a balancer's health check finds a target well.
    pub(super) fn is_healthy(
        &self,
        balancer: &LoadBalancerState,
        listen_port: u16,
        target: &TargetState,
    ) -> bool {
        let Some((service, address)) = balancer.service(listen_port).zip(target.address()) else {
            return false;
        };
        let Some(network) = &balancer.network else {
            return false;
        };
        let port = service.health_check.port;
        let host = self.hosts.values().find(|host| host.address == address);
        host.is_some_and(|host| {
            let mut services = host.docker.services();
            host.powered
                && lets_in(&host.firewall, port, network.ip)
                && (self.listeners.contains(&(host.name.clone(), port))
                    || services.any(|(_, name, service)| {
                        service.ports().contains(&port) && !host.docker.is_drained(name)
                    }))
        })
    }
}

/// Who connects.
#[derive(Clone, Copy)]
enum Client<'a> {
    Host(&'a HostModel),
    Balancer(IpAddr),
}

impl Client<'_> {
    fn address(self) -> IpAddr {
        match self {
            Client::Host(host) => host.address,
            Client::Balancer(address) => address,
        }
    }

    fn is(self, host: &HostModel) -> bool {
        matches!(self, Client::Host(client) if client.name == host.name)
    }
}
