//! The one place that changes the world, saves it and lets what runs follow it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::answer::ApiError;
use super::catalog::Catalog;
use super::faults::{Faults, Kind};
use super::limit::Limit;
use super::route::lock;
use super::routes::Routes;
use super::world::{Action, Change, Outcome, World};
use super::{Error, Options, log, store};

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) options: Options,
    pub(super) catalog: Catalog,
    pub(super) faults: Mutex<Faults>,
    pub(super) limit: Mutex<Limit>,
    inner: Mutex<Inner>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct Inner {
    world: World,
    routes: Routes,
}

impl Lab {
    /// Reads the world, ends the actions that a stop interrupted, and starts what runs.
    pub(super) fn open(options: Options) -> Result<Arc<Self>, Error> {
        if options.tokens.iter().any(|token| token.trim().is_empty()) {
            return Err(Error::Options(
                "a token is empty: give each --token a value".into(),
            ));
        }
        let mut world = store::load(&options.state)?;
        let interrupted: Vec<u64> = world
            .actions
            .values()
            .filter(|action| matches!(action.outcome, Outcome::Running(_)))
            .map(|action| action.id)
            .collect();
        for action in interrupted {
            world.finish(action, None);
        }
        store::save(&options.state, &world)?;
        let catalog = Catalog::new(&options);
        let mut routes = Routes::default();
        routes.follow(&world, &catalog, &options);
        Ok(Arc::new(Self {
            catalog,
            faults: Mutex::default(),
            limit: Mutex::new(Limit::new(options.rate_limit)),
            inner: Mutex::new(Inner { world, routes }),
            closed: CancellationToken::new(),
            options,
        }))
    }

    /// Ends listeners, checks and connections.
    pub(super) fn close(&self) {
        self.closed.cancel();
        lock(&self.inner).routes = Routes::default();
    }

    pub(super) fn read<T>(&self, reader: impl FnOnce(&World, &Routes) -> T) -> T {
        let inner = lock(&self.inner);
        reader(&inner.world, &inner.routes)
    }

    /// Changes the world: all of it happens and is on disk, or nothing did.
    ///
    /// The file is small and written under the lock, so that no answer ever shows a world
    /// that a crash would take back.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut World) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut inner = lock(&self.inner);
        let mut world = inner.world.clone();
        let answer = change(&mut world)?;
        store::save(&self.options.state, &world).map_err(|error| {
            log(&format!("{error}"));
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                error.to_string(),
            )
        })?;
        if !self.closed.is_cancelled() {
            inner.routes.follow(&world, &self.catalog, &self.options);
        }
        inner.world = world;
        Ok(answer)
    }

    /// Takes on a change of a balancer, decided by `decide`, and ends it after a while.
    pub(super) fn begin(
        self: &Arc<Self>,
        balancer: u64,
        command: &str,
        decide: impl FnOnce(&World) -> Result<Change, ApiError>,
    ) -> Result<Action, ApiError> {
        let action = self.change(|world| {
            unlocked(world, balancer)?;
            let change = decide(world)?;
            Ok(world.begin(balancer, command, change))
        })?;
        self.end_later(&action);
        Ok(action)
    }

    /// Lets an action end after its time, well or as an ordered fault says.
    pub(super) fn end_later(self: &Arc<Self>, action: &Action) {
        let mut faults = lock(&self.faults);
        let mut take = |wanted: fn(&Kind) -> bool| faults.take("POST", &action.command, wanted);
        let slow = take(|kind| matches!(kind, Kind::SlowAction { .. }));
        let failing = take(|kind| matches!(kind, Kind::ActionError { .. }));
        let time = match slow {
            Some(Kind::SlowAction { milliseconds }) => Duration::from_millis(milliseconds),
            _ => self.options.action_time(),
        };
        let failure = match failing {
            Some(Kind::ActionError { code, message }) => Some((code, message)),
            _ => None,
        };
        let (lab, id) = (Arc::clone(self), action.id);
        let closed = self.closed.clone();
        tokio::spawn(closed.run_until_cancelled_owned(async move {
            tokio::time::sleep(time).await;
            let ended = lab.change(|world| {
                world.finish(id, failure);
                Ok(())
            });
            if let Err(error) = ended {
                log(&format!("action {id} cannot end: {}", error.message));
            }
        }));
    }
}

/// Refuses a balancer on which an action runs.
pub(super) fn unlocked(world: &World, balancer: u64) -> Result<(), ApiError> {
    world.running_on(balancer).map_or(Ok(()), |action| {
        let message = format!("load balancer is locked: action {} is running", action.id);
        Err(ApiError::locked("locked", message))
    })
}
