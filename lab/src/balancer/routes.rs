//! What runs: listeners, health checks and connections, kept equal to the world.
//!
//! A route is one service of one balancer on one address of a target. Its health is what
//! the API shows and what decides about new connections. [`Routes::follow`] compares the
//! world with what runs and touches only the difference: a route whose check changes keeps
//! its health (until the next check) and its connections.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;

use super::catalog::Catalog;
use super::picker::{Group, Picker};
use super::route::{Description, Route, lock};
use super::verdict::Health;
use super::world::{Balancer, Service, World};
use super::{Options, forward};

/// A service of a balancer: its id and the listen port.
type ServiceKey = (u64, u16);

#[derive(Debug)]
struct Listening {
    group: Arc<Group>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        for route in lock(&self.group.routes).values() {
            route.end_connections();
        }
    }
}

/// Everything that runs.
#[derive(Debug, Default)]
pub(super) struct Routes {
    services: BTreeMap<ServiceKey, Listening>,
}

impl Routes {
    /// What is known about a target of a service.
    pub(super) fn health(&self, balancer: u64, listen_port: u16, ip: IpAddr) -> Option<Health> {
        let listening = self.services.get(&(balancer, listen_port))?;
        lock(&listening.group.routes)
            .get(&ip)
            .map(|route| route.health())
    }

    /// Starts and ends what differs from the world.
    pub(super) fn follow(&mut self, world: &World, catalog: &Catalog, options: &Options) {
        self.services.retain(|(balancer, port), _| {
            world
                .balancers
                .get(balancer)
                .is_some_and(|b| reachable(b) && b.service(*port).is_some())
        });
        for balancer in world
            .balancers
            .values()
            .filter(|balancer| reachable(balancer))
        {
            for service in &balancer.services {
                self.follow_service(balancer, service, catalog, options);
            }
        }
    }

    fn follow_service(
        &mut self,
        balancer: &Balancer,
        service: &Service,
        catalog: &Catalog,
        options: &Options,
    ) {
        let key = (balancer.id, service.listen_port);
        let listening = self.services.entry(key).or_insert_with(|| {
            let group = Arc::new(Group {
                algorithm: Mutex::new(balancer.algorithm),
                routes: Mutex::default(),
                turn: AtomicUsize::default(),
            });
            let address = SocketAddr::new(options.forward, service.listen_port);
            let task = forward::listen(address, Picker(Arc::clone(&group)));
            Listening { group, task }
        });
        *lock(&listening.group.algorithm) = balancer.algorithm;
        let wanted = balancer
            .targets
            .iter()
            .flat_map(|t| catalog.addresses(balancer, t));
        follow_targets(&listening.group, service, wanted, options);
    }
}

/// A balancer without any interface can be reached by nobody.
fn reachable(balancer: &Balancer) -> bool {
    balancer.public || balancer.private_net.is_some()
}

fn follow_targets(
    group: &Group,
    service: &Service,
    wanted: impl Iterator<Item = IpAddr>,
    options: &Options,
) {
    let mut routes = lock(&group.routes);
    let mut old = std::mem::take(&mut *routes);
    for ip in wanted {
        if routes.contains_key(&ip) {
            continue;
        }
        let description = Description {
            address: SocketAddr::new(ip, service.destination_port),
            proxyprotocol: service.proxyprotocol,
            check: service.health_check.clone(),
        };
        let route = match old.remove(&ip) {
            Some(route) if route.description == description => route,
            before => Arc::new(Route::start(description, before.as_deref(), options)),
        };
        routes.insert(ip, route);
    }
    for gone in old.into_values() {
        gone.end_connections();
    }
}
