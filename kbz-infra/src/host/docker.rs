//! A client for the Docker Engine of a host, through its SSH connection.
//!
//! As root the engine's socket is opened directly; any other login goes through
//! `sudo docker system dial-stdio`, which needs no membership in a group. Connections are
//! pooled and reused, and may be upgraded (attach, exec). The version of the API is
//! negotiated once, so that engines from 20.10 on answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tower_service::Service;

use super::transport::{Lane, Stream, Transport, TransportError};

/// Where the engine listens.
const SOCKET: &str = "/var/run/docker.sock";

/// How long an engine may take to begin its answer to a question, in seconds.
const PATIENCE: u64 = 60;

/// The same where it reads or builds an image first.
const PATIENCE_BULK: u64 = 3600;

/// Why an engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The way to it failed.
    #[error("the Docker engine of {host} cannot be reached")]
    Unreachable {
        /// The host.
        host: crate::ident::HostName,
        /// What went wrong.
        #[source]
        why: TransportError,
    },
    /// It answered with an error, or not as an engine does.
    #[error("the Docker engine of {host} failed")]
    Engine {
        /// The host.
        host: crate::ident::HostName,
        /// What it said.
        #[source]
        why: Box<bollard::errors::Error>,
    },
}

/// Opens a client for the engine of a host and agrees on a version with it.
pub async fn connect(host: Arc<dyn Transport>, lane: Lane) -> Result<Docker, DockerError> {
    let name = host.host().clone();
    let client = client(host, lane).map_err(|why| explain(&name, why))?;
    let negotiated = client.negotiate_version().await;
    negotiated.map_err(|why| explain(&name, why))
}

fn client(host: Arc<dyn Transport>, lane: Lane) -> Result<Docker, bollard::errors::Error> {
    let mut builder = Client::builder(TokioExecutor::new());
    // What lies idle longer was most likely ended by the engine or a restart of it.
    builder.pool_idle_timeout(std::time::Duration::from_secs(30));
    builder.pool_timer(hyper_util::rt::TokioTimer::new());
    let http = Arc::new(builder.build(Dialer { host, lane }));
    let send = move |request: BollardRequest| {
        let http = Arc::clone(&http);
        async move { http.request(request).await.map_err(wrap) }
    };
    let patience = match lane {
        Lane::Talk => PATIENCE,
        Lane::Bulk => PATIENCE_BULK,
    };
    Docker::connect_with_custom_transport(
        send,
        Some("http://docker"),
        patience,
        API_DEFAULT_VERSION,
    )
}

/// bollard knows the client's errors only with a feature that brings a client of its own.
fn wrap(error: hyper_util::client::legacy::Error) -> bollard::errors::Error {
    std::io::Error::other(error).into()
}

/// Finds the error of the transport behind that of the client.
fn explain(host: &crate::ident::HostName, why: bollard::errors::Error) -> DockerError {
    let host = host.clone();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&why);
    while let Some(error) = cause {
        if let Some(transport) = error.downcast_ref::<TransportError>() {
            let why = transport.clone();
            return DockerError::Unreachable { host, why };
        }
        cause = error.source();
    }
    let why = Box::new(why);
    DockerError::Engine { host, why }
}

/// Opens streams to the engine when the pool has none.
#[derive(Clone)]
struct Dialer {
    host: Arc<dyn Transport>,
    lane: Lane,
}

impl Dialer {
    async fn dial(self) -> Result<Wire, TransportError> {
        let stream = if self.host.logs_in_as_root() {
            self.host.unix(SOCKET, self.lane).await?
        } else {
            let relay = "exec docker system dial-stdio";
            self.host.pipe(relay, self.lane).await?
        };
        Ok(Wire(TokioIo::new(stream)))
    }
}

impl Service<Uri> for Dialer {
    type Response = Wire;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().dial())
    }
}

/// A stream as hyper wants it.
struct Wire(TokioIo<Stream>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
