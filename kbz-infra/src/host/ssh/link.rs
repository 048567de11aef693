//! A connection that comes about when it is first needed and again when it has ended.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect::{Connection, Open, Want};
use super::settings::SshSettings;
use crate::host::transport::{Endpoint, TransportError};

/// How many commands run at once on one connection: sshd allows ten sessions by default
/// (`MaxSessions`), and one that was given up may take a moment to go.
const SESSIONS: usize = 8;

/// An attempt to connect, which goes on by itself.
pub(super) type Attempt = Shared<BoxFuture<'static, Result<Arc<Connection>, TransportError>>>;

/// The way to one sshd. Whoever needs it at the same time shares one attempt and its end.
pub(super) struct Link {
    settings: Arc<SshSettings>,
    at: Arc<Endpoint>,
    via: Option<Arc<Link>>,
    attempt: Mutex<Option<Attempt>>,
    sessions: Semaphore,
}

impl Link {
    pub(super) fn new(name: &str, settings: Arc<SshSettings>, via: Option<Arc<Self>>) -> Self {
        let at = Arc::new(Endpoint {
            name: name.to_owned(),
            address: settings.dialled(),
            via: via.as_ref().map(|link| link.at.address.clone()),
        });
        Self {
            settings,
            at,
            via,
            attempt: Mutex::new(None),
            sessions: Semaphore::new(SESSIONS),
        }
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.at
    }

    pub(super) fn settings(&self) -> &SshSettings {
        &self.settings
    }

    /// The connection, made when there is none.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, TransportError> {
        self.attempt().await
    }

    /// The attempt to connect that goes on or has come to its end, or a new one.
    pub(super) fn attempt(&self) -> Attempt {
        let mut slot = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.as_ref().filter(|attempt| !is_over(attempt)) {
            Some(attempt) => attempt.clone(),
            None => slot.insert(self.begin()).clone(),
        }
    }

    /// Starts to connect, in a task of its own: it goes on if who asked first gives up.
    fn begin(&self) -> Attempt {
        let settings = Arc::clone(&self.settings);
        let (to, via) = (self.at.clone(), self.via.clone());
        let task = tokio::spawn(async move {
            // The bastion has a time limit and errors of its own.
            let bastion = match via {
                Some(bastion) => Some(bastion.connection().await?),
                None => None,
            };
            Connection::establish(settings, to, bastion).await
        });
        let at = self.at.clone();
        let attempt = async move {
            match task.await {
                Ok(connected) => connected.map(Arc::new),
                Err(error) => Err(TransportError::Closed {
                    at,
                    why: error.to_string().into(),
                    sent: false,
                }),
            }
        };
        attempt.boxed().shared()
    }

    /// Opens a channel. A connection that had died unnoticed is replaced once: nothing can
    /// have been sent on a channel that never opened.
    pub(super) async fn open(&self, want: Want) -> Result<Open, TransportError> {
        let first = self.connection().await?.open(want.clone()).await;
        match first {
            Err(TransportError::Closed { .. }) => self.connection().await?.open(want).await,
            other => other,
        }
    }

    /// Waits until another command may run.
    pub(super) async fn session(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.sessions.acquire().await.ok()
    }

    /// Ends the connection if there is one.
    pub(super) async fn close(&self) {
        let attempt = {
            let mut slot = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
            slot.take()
        };
        if let Some(attempt) = attempt
            && let Ok(connection) = attempt.await
        {
            connection.close().await;
        }
    }
}

/// Whether an attempt has failed, or its connection has ended since.
fn is_over(attempt: &Attempt) -> bool {
    match attempt.peek() {
        None => false,
        Some(Ok(connection)) => connection.is_closed(),
        Some(Err(_)) => true,
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.at)
    }
}
