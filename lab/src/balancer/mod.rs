//! The lab's Hetzner load balancer.
//!
//! Purpose: the program that is applied to production is applied to the lab unchanged, so
//! the lab has something that answers the load-balancer part of the Hetzner Cloud API (v1)
//! *and* balances: health checks really run, listeners really open, connections are really
//! forwarded to healthy targets.
//!
//! Mechanism: one `world::World` (balancers and their actions) behind a lock. A request is
//! first *decided* (`decide`): validated against the world and turned into a
//! `world::Change`. The change waits in a running action and is applied when the action
//! ends, a short while later, so that clients must really poll. While an action runs, its
//! balancer is `locked` for others. Each new world is written to the state file before it is
//! shown, and `routes` opens and closes listeners and health checks to match it.
//!
//! Where the real service is not documented, this is what was chosen:
//! * An established connection outlives its target's health: a target that turns unhealthy
//!   gets no new connections and keeps the old ones (`--cut-unhealthy` cuts them). It is the
//!   harder case for clients, who must notice a dead peer by themselves. Connections end when
//!   their target is removed or their service is deleted.
//! * A target that was never checked is `unknown` and gets no connections.
//! * The first good check makes an unknown target healthy; a healthy one falls after
//!   `retries` bad checks in a row, an unhealthy one rises after as many good ones.
//! * The PROXY protocol header is version 1.
//! * Health checks are `interval` 3-60 s, `timeout` 1-60 s, `retries` 1-5.
//!
//! Limits: services speak `tcp` only, HTTP checks are without TLS (both are refused as
//! `invalid_input`); servers have private addresses only; certificates, metrics, reverse DNS
//! and prices are absent.

mod answer;
mod api;
mod catalog;
mod check;
mod decide;
mod faults;
mod forward;
mod lab;
mod labels;
mod limit;
mod options;
mod picker;
mod requests;
mod route;
mod routes;
mod store;
#[cfg(test)]
mod tests;
mod verdict;
mod view;
mod world;

pub use options::{Options, PresetServer};
pub use store::StoreError;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Why the balancer could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the API is taken or not of this machine.
    #[error("cannot listen on {address} for the API: choose another with --api")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The options contradict themselves.
    #[error("{0}")]
    Options(String),
    /// The state file cannot be read or written.
    #[error("the balancer's state cannot be used")]
    Store(#[from] StoreError),
    /// The API's server ended.
    #[error("the API's server ended")]
    Serve(#[source] std::io::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signal(#[source] std::io::Error),
}

/// Runs the balancer until SIGTERM or SIGINT.
///
/// The process is usually PID 1 of a container, where an unhandled SIGTERM is ignored.
pub async fn run(options: Options) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let mut running = Running::start(options).await?;
    log(&format!("the API answers on {}", running.api()));
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = &mut running.server => match ended {
            Ok(result) => result.map_err(Error::Serve),
            Err(panic) => Err(Error::Serve(std::io::Error::other(panic))),
        },
    }
}

/// A balancer that runs inside this process; dropping it ends it.
#[must_use = "dropping it ends the balancer"]
#[derive(Debug)]
pub struct Running {
    api: SocketAddr,
    lab: Arc<lab::Lab>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Reads the state file, opens the listeners and serves the API.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let address = options.api;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| Error::Listen { address, source })?;
        let api = listener
            .local_addr()
            .map_err(|source| Error::Listen { address, source })?;
        let lab = lab::Lab::open(options)?;
        let router = api::router(Arc::clone(&lab));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { api, lab, server })
    }

    /// Where the API answers.
    pub fn api(&self) -> SocketAddr {
        self.api
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
        self.lab.close();
    }
}

/// One line on standard error: the container's log is the program's only voice.
pub(crate) fn log(line: &str) {
    eprintln!("balancer: {line}");
}
