//! Who gets the next connection.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::route::{Route, lock};
use super::verdict::Health;
use super::world::Algorithm;

/// The routes of one service, shared with its listener.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) algorithm: Mutex<Algorithm>,
    pub(super) routes: Mutex<BTreeMap<IpAddr, Arc<Route>>>,
    pub(super) turn: AtomicUsize,
}

/// Chooses the route of a new connection.
#[derive(Debug)]
pub(super) struct Picker(pub(super) Arc<Group>);

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
            Algorithm::LeastConnections => {
                healthy.into_iter().min_by_key(|route| route.connections())
            }
        };
        chosen.map(Arc::clone)
    }
}
