//! A PostgreSQL session through the SSH connection of a host.
//!
//! The stream is already private, so no TLS is laid over it. The password proves itself by
//! SCRAM and does not travel.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use super::transport::{Transport, TransportError};

/// Where and as whom to log in.
#[derive(Debug, Clone)]
pub struct PgTarget {
    /// The address as seen from the host.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password, if it has one.
    pub password: Option<SecretString>,
    /// The database.
    pub database: String,
    /// How long logging in may take.
    pub connect_timeout: Duration,
    /// How long one statement may take. PgBouncer does not take this setting: leave it out there.
    pub statement_timeout: Option<Duration>,
}

impl fmt::Display for PgTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, database) = (&self.user, &self.database);
        write!(f, "{user}@{}:{}/{database}", self.address, self.port)
    }
}

/// Why a session did not come about.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// The way to the server failed.
    #[error("PostgreSQL at {target} cannot be reached")]
    Unreachable {
        /// What was asked for.
        target: String,
        /// What went wrong.
        #[source]
        why: TransportError,
    },
    /// The server did not let the role in, or is not ready.
    #[error("PostgreSQL at {target} refused the session")]
    Refused {
        /// What was asked for.
        target: String,
        /// What the server said.
        #[source]
        why: tokio_postgres::Error,
    },
    /// The server accepted the call and then said nothing.
    #[error("PostgreSQL at {target} did not answer within {timeout:.1?}")]
    Silent {
        /// What was asked for.
        target: String,
        /// How long was waited.
        timeout: Duration,
    },
}

/// A session; it ends when this is dropped. Queries go through [`tokio_postgres::Client`].
#[derive(Debug)]
pub struct PgSession {
    client: Client,
    traffic: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Deref for PgSession {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl PgSession {
    /// Logs in at `target` by way of `host`.
    pub async fn open(host: &dyn Transport, target: &PgTarget) -> Result<Self, PgError> {
        match tokio::time::timeout(target.connect_timeout, log_in(host, target)).await {
            Ok(session) => session,
            Err(_) => Err(PgError::Silent {
                target: target.to_string(),
                timeout: target.connect_timeout,
            }),
        }
    }

    /// Says goodbye and waits until the server has heard it.
    pub async fn close(self) -> Result<(), tokio_postgres::Error> {
        drop(self.client);
        // The task fails only by a panic of the driver, which is no news about the session.
        self.traffic.await.unwrap_or(Ok(()))
    }
}

async fn log_in(host: &dyn Transport, target: &PgTarget) -> Result<PgSession, PgError> {
    let stream = host.tcp(&target.address, target.port).await;
    let stream = stream.map_err(|why| PgError::Unreachable {
        target: target.to_string(),
        why,
    })?;
    let session = config(target).connect_raw(stream, NoTls).await;
    let (client, connection) = session.map_err(|why| PgError::Refused {
        target: target.to_string(),
        why,
    })?;
    // Carries all traffic, and with it notices that nobody asked for.
    let traffic = tokio::spawn(connection);
    Ok(PgSession { client, traffic })
}

fn config(target: &PgTarget) -> Config {
    let mut config = Config::new();
    config.user(&target.user).dbname(&target.database);
    config.application_name("kbz-infra");
    if let Some(password) = &target.password {
        config.password(password.expose_secret());
    }
    if let Some(timeout) = target.statement_timeout {
        config.options(format!("-c statement_timeout={}", timeout.as_millis()));
    }
    config
}
