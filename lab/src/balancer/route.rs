//! One service on one address of a target: its checks, its health, its connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::verdict::{Health, Verdict};
use super::world::HealthCheck;
use super::{Options, check};

/// What a route is made of; routes with equal descriptions are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) address: SocketAddr,
    pub(super) proxyprotocol: bool,
    pub(super) check: HealthCheck,
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
    pub(super) description: Description,
    lasting: Arc<Lasting>,
    _checks: DropGuard,
}

impl Route {
    /// A route, checked from now on; it keeps the health and the connections of the one before.
    pub(super) fn start(
        description: Description,
        before: Option<&Self>,
        options: &Options,
    ) -> Self {
        let lasting = before.map(|route| Arc::clone(&route.lasting));
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
        Self {
            description,
            lasting,
            _checks: stop.drop_guard(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.description.address
    }

    pub(super) fn proxyprotocol(&self) -> bool {
        self.description.proxyprotocol
    }

    pub(super) fn cut(&self) -> CancellationToken {
        lock(&self.lasting.cut).clone()
    }

    pub(super) fn health(&self) -> Health {
        lock(&self.lasting.verdict).health
    }

    pub(super) fn connections(&self) -> usize {
        self.lasting.connections.load(Ordering::Relaxed)
    }

    pub(super) fn end_connections(&self) {
        self.lasting.end_connections();
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
