//! What runs: listeners, health checks and connections, kept equal to the world.
//!
//! A route is one service of one balancer on one address of a target. Its health is what
//! the API shows and what decides about new connections. [`Routes::follow`] compares the
//! world with what runs and touches only the difference: a route whose check changes keeps
//! its health (until the next check) and its connections.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::catalog::Catalog;
use super::world::{Algorithm, Balancer, HealthCheck, Service, World};
use super::{Options, check, forward};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Health {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

impl Health {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The way of a health over time: how many checks in a row said otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Verdict {
    health: Health,
    against: u32,
}

impl Verdict {
    /// What one more check makes of it.
    fn after(self, well: bool, retries: u32) -> Self {
        let opposite = if well {
            Health::Healthy
        } else {
            Health::Unhealthy
        };
        if self.health == opposite {
            return Self {
                health: opposite,
                against: 0,
            };
        }
        let against = self.against + 1;
        let turned = against >= retries || (self.health == Health::Unknown && well);
        if turned {
            Self {
                health: opposite,
                against: 0,
            }
        } else {
            Self { against, ..self }
        }
    }
}

/// What a route is made of; routes with equal descriptions are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Description {
    address: SocketAddr,
    proxyprotocol: bool,
    check: HealthCheck,
}

/// What outlives a change of a route's description.
#[derive(Debug)]
struct Lasting {
    verdict: Mutex<Verdict>,
    connections: AtomicUsize,
    /// Cancelled to cut the connections; replaced where the route goes on.
    cut: Mutex<CancellationToken>,
}

/// One service on one address of a target.
#[derive(Debug)]
pub(super) struct Route {
    description: Description,
    lasting: Arc<Lasting>,
    _checks: DropGuard,
}

impl Route {
    pub(super) fn address(&self) -> SocketAddr {
        self.description.address
    }

    pub(super) fn proxyprotocol(&self) -> bool {
        self.description.proxyprotocol
    }

    pub(super) fn cut(&self) -> CancellationToken {
        lock(&self.lasting.cut).clone()
    }

    fn health(&self) -> Health {
        lock(&self.lasting.verdict).health
    }

    /// Counts a connection for as long as the answer lives.
    pub(super) fn count_connection(&self) -> Counted {
        self.lasting.connections.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.lasting))
    }
}

/// A counted connection.
pub(super) struct Counted(Arc<Lasting>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lasting {
    fn end_connections(&self) {
        let mut cut = lock(&self.cut);
        cut.cancel();
        *cut = CancellationToken::new();
    }

    fn note(&self, well: bool, retries: u32, cut_unhealthy: bool) {
        let turned_unhealthy = {
            let mut verdict = lock(&self.verdict);
            let before = verdict.health;
            *verdict = verdict.after(well, retries);
            before != Health::Unhealthy && verdict.health == Health::Unhealthy
        };
        if turned_unhealthy && cut_unhealthy {
            self.end_connections();
        }
    }
}

/// A service of a balancer: its id and the listen port.
type ServiceKey = (u64, u16);

/// The routes of one service, shared with its listener.
#[derive(Debug)]
struct Group {
    algorithm: Mutex<Algorithm>,
    routes: Mutex<BTreeMap<IpAddr, Arc<Route>>>,
    turn: AtomicUsize,
}

/// Chooses the route of a new connection.
#[derive(Debug)]
pub(super) struct Picker(Arc<Group>);

impl Picker {
    /// A healthy route, or none.
    pub(super) fn pick(&self) -> Option<Arc<Route>> {
        let routes = lock(&self.0.routes);
        let healthy: Vec<_> = routes
            .values()
            .filter(|route| route.health() == Health::Healthy)
            .collect();
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = match *lock(&self.0.algorithm) {
            Algorithm::RoundRobin => healthy.get(turn.checked_rem(healthy.len())?).copied(),
            Algorithm::LeastConnections => healthy
                .into_iter()
                .min_by_key(|route| route.lasting.connections.load(Ordering::Relaxed)),
        };
        chosen.map(Arc::clone)
    }
}

#[derive(Debug)]
struct Listening {
    group: Arc<Group>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        for route in lock(&self.group.routes).values() {
            route.lasting.end_connections();
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
            before => {
                let lasting = before.map(|route| Arc::clone(&route.lasting));
                Arc::new(start(description, lasting, options))
            }
        };
        routes.insert(ip, route);
    }
    for gone in old.into_values() {
        gone.lasting.end_connections();
    }
}

fn start(description: Description, lasting: Option<Arc<Lasting>>, options: &Options) -> Route {
    let lasting = lasting.unwrap_or_else(|| {
        Arc::new(Lasting {
            verdict: Mutex::default(),
            connections: AtomicUsize::default(),
            cut: Mutex::default(),
        })
    });
    let stop = CancellationToken::new();
    let checks = check_for_ever(description.clone(), Arc::clone(&lasting), options.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(checks));
    Route {
        description,
        lasting,
        _checks: stop.drop_guard(),
    }
}

async fn check_for_ever(description: Description, lasting: Arc<Lasting>, options: Options) {
    let check = &description.check;
    let address = SocketAddr::new(description.address.ip(), check.port);
    let mut ticks = tokio::time::interval(options.seconds(check.interval));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let well = check::is_well(address, check, options.seconds(check.timeout)).await;
        lasting.note(well, check.retries, options.cut_unhealthy);
    }
}

/// Data behind these locks is replaced as a whole, so it is sound after a panic elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_turns_after_retries() {
        let run = |checks: &[bool]| {
            checks
                .iter()
                .fold(Verdict::default(), |v, well| v.after(*well, 3))
                .health
        };
        assert_eq!(run(&[]), Health::Unknown);
        assert_eq!(run(&[true]), Health::Healthy);
        assert_eq!(run(&[false, false]), Health::Unknown);
        assert_eq!(run(&[false, false, false]), Health::Unhealthy);
        assert_eq!(
            run(&[true, false, false, true, false, false]),
            Health::Healthy
        );
        assert_eq!(run(&[true, false, false, false]), Health::Unhealthy);
        assert_eq!(
            run(&[true, false, false, false, true, true]),
            Health::Unhealthy
        );
        assert_eq!(
            run(&[true, false, false, false, true, true, true]),
            Health::Healthy
        );
    }
}
