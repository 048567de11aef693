//! Docker engines: that of a host through a stream of its transport, that of this machine
//! through its socket. Both speak the API's own HTTP; nothing on either side needs the CLI.
//!
//! Each request has a stream of its own: on an SSH connection that costs one round trip, and
//! no request ever waits behind another.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::body::Incoming;
use hyper::http::{Response, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::transport::{Lane, Stream, Transport};
use crate::diag::error_chain;

/// Where an engine listens.
const SOCKET: &str = "/var/run/docker.sock";
/// What the engine's own client runs where the socket is for root alone.
const DIAL: &str = "docker system dial-stdio";
/// How long an engine may take for one request, unless more is asked for.
const DEADLINE: Duration = Duration::from_mins(2);
/// The oldest version of the API that is relied upon (Docker 20.10).
const VERSION: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};

type Opening = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// The engine of the host that `transport` leads to.
pub(super) fn of_host(transport: &Arc<dyn Transport>) -> Result<Docker, Error> {
    let transport = Arc::clone(transport);
    over(move || {
        let transport = Arc::clone(&transport);
        Box::pin(async move {
            let stream = if transport.logs_in_as_root() {
                transport.unix(SOCKET, Lane::Talk).await
            } else {
                transport.pipe(DIAL, Lane::Talk).await
            };
            stream.map_err(|error| io::Error::other(error_chain(&error)))
        })
    })
}

/// The engine of this machine, at `socket` or at its usual place.
pub fn local_docker(socket: Option<&str>) -> Result<Docker, Error> {
    let socket = socket.unwrap_or(SOCKET).to_owned();
    over(move || {
        let socket = socket.clone();
        Box::pin(async move {
            let stream = UnixStream::connect(&socket).await;
            let stream = stream
                .map_err(|error| io::Error::new(error.kind(), format!("{socket}: {error}")))?;
            Ok(Box::new(stream) as Stream)
        })
    })
}

fn over(open: impl Fn() -> Opening + Send + Sync + 'static) -> Result<Docker, Error> {
    let transport = move |request: BollardRequest| {
        let opening = open();
        async move { send(opening.await?, request).await }
    };
    Docker::connect_with_custom_transport(
        transport,
        Some("http://docker"),
        DEADLINE.as_secs(),
        &VERSION,
    )
}

async fn send(stream: Stream, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its end shows in the response; it ends with the sender and the body.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    let host = header::HeaderValue::from_static("docker");
    request.headers_mut().insert(header::HOST, host);
    Ok(sender.send_request(request).await?)
}
