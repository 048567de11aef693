//! A connection to a server, and why there is none.

use std::io;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::diag::error_chain;
use crate::host::pool::Hosts;
use crate::host::transport::Stream;
use crate::probe::PgAccess;
use crate::secret::Vault;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);
/// How long one round of questions or one change may take.
const ANSWER: Duration = Duration::from_mins(2);

/// The database in which what belongs to the whole cluster is asked and changed.
pub(super) const COMMON: &str = "postgres";

/// Why a server did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::host) enum SqlError {
    /// The connection ended before anything was asked over it; the next may be let in.
    #[error("{0}")]
    Unasked(String),
    /// No connection, or one that ended; what became of a statement is not known.
    #[error("{0}")]
    Lost(String),
    /// The server said no.
    #[error("{said}")]
    Refused {
        /// The server's words.
        said: String,
        /// The server's code.
        code: SqlState,
    },
}

impl SqlError {
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(server) = error.as_db_error() else {
            return Self::Lost(error_chain(error));
        };
        // A server that starts, stops or has no room is as good as one that does not answer.
        let code = server.code().clone();
        let away = ["57P", "08", "53"]
            .iter()
            .any(|class| code.code().starts_with(class));
        let extras = [server.detail(), server.hint()].into_iter().flatten();
        let said = std::iter::once(server.message())
            .chain(extras)
            .collect::<Vec<_>>();
        let said = said.join("; ");
        if away {
            Self::Lost(said)
        } else {
            Self::Refused { said, code }
        }
    }

    /// Why nobody was let in: a server that starts or stops says so, one behind a proxy that has just
    /// stopped is not even heard.
    fn of_login(error: &tokio_postgres::Error) -> Self {
        let lost = match Self::of(error) {
            Self::Lost(why) => why,
            other => return other,
        };
        let code = error
            .code()
            .is_some_and(|code| code.code().starts_with("57P"));
        if code || error.is_closed() || broke_off(error) {
            Self::Unasked(lost)
        } else {
            Self::Lost(lost)
        }
    }

    /// Whether it says that there is no such database.
    pub(super) fn no_database(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::INVALID_CATALOG_NAME)
    }
}

/// Whether the other side ended a connection.
fn broke_off(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        )
    })
}

/// A connection that ends when this is dropped.
pub(super) struct Connection {
    pub(super) client: Client,
    traffic: tokio::task::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.traffic.abort();
    }
}

/// Connects to `database` from the first host that reaches the server; `options` as the server takes
/// them on its command line.
pub(super) async fn connect(
    hosts: &Hosts,
    access: &PgAccess,
    vault: &Vault,
    database: &str,
    options: Option<&str>,
) -> Result<Connection, SqlError> {
    let mut unreached = Vec::new();
    for via in &access.via {
        match stream(hosts, access, via).await {
            Ok(stream) => return log_in(stream, access, vault, database, options).await,
            Err(why) => unreached.push(format!("from {via}: {why}")),
        }
    }
    Err(SqlError::Lost(unreached.join("; ")))
}

async fn stream(
    hosts: &Hosts,
    access: &PgAccess,
    via: &crate::ident::HostName,
) -> Result<Stream, String> {
    let host = hosts.get(via).map_err(|error| error.to_string())?;
    match tokio::time::timeout(CONNECT, host.tcp(&access.address, access.port)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error_chain(&error)),
        Err(_) => Err(format!("no connection within {} s", CONNECT.as_secs())),
    }
}

async fn log_in(
    stream: Stream,
    access: &PgAccess,
    vault: &Vault,
    database: &str,
    options: Option<&str>,
) -> Result<Connection, SqlError> {
    let password = vault.resolve(&access.password);
    let password = password.map_err(|error| SqlError::Lost(error.to_string()))?;
    let mut config = Config::new();
    config
        .user(&access.user)
        .password(password.as_bytes())
        .dbname(database)
        .application_name("kbz-infra");
    if let Some(options) = options {
        config.options(options);
    }
    let attempt = config.connect_raw(stream, NoTls);
    let (client, connection) = match tokio::time::timeout(CONNECT, attempt).await {
        Ok(made) => made.map_err(|error| SqlError::of_login(&error))?,
        Err(_) => {
            return Err(SqlError::Lost(
                "the server does not answer a login".to_owned(),
            ));
        }
    };
    // Its end shows in the client: every statement after it fails.
    let traffic = tokio::spawn(async move { drop(connection.await) });
    Ok(Connection { client, traffic })
}

/// `step`, unless it takes too long.
pub(super) async fn limited<T>(
    step: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(ANSWER, step).await {
        Ok(answer) => answer.map_err(|error| SqlError::of(&error)),
        Err(_) => Err(SqlError::Lost(format!(
            "no answer within {} s",
            ANSWER.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests;
