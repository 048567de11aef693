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
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::http::{Request, Response, Uri, header};
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
/// How long it may take to name its version.
const PING: Duration = Duration::from_secs(10);
/// What an engine is called in a request; it does not care.
const ENGINE: &str = "docker";
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
        Box::pin(async move { dial(&transport).await })
    })
}

/// A stream to the engine of a host.
async fn dial(transport: &Arc<dyn Transport>) -> io::Result<Stream> {
    let stream = if transport.logs_in_as_root() {
        transport.unix(SOCKET, Lane::Talk).await
    } else {
        transport.pipe(DIAL, Lane::Talk).await
    };
    stream.map_err(|error| io::Error::other(error_chain(&error)))
}

/// The version of a host's engine, as it names itself when it is pinged; `None` where none answers.
/// To be asked for its version in so many words, an engine starts the programs that it is made of.
pub(super) async fn version(transport: &Arc<dyn Transport>) -> Option<String> {
    let ping = async {
        let stream = dial(transport).await.ok()?;
        let request = Request::head("/_ping")
            .header(header::HOST, ENGINE)
            .body(Empty::<Bytes>::new())
            .ok()?;
        let response = sent(stream, request).await.ok()?;
        let server = response.headers().get(header::SERVER)?.to_str().ok()?;
        named(server).map(str::to_owned)
    };
    tokio::time::timeout(PING, ping).await.ok()?
}

/// The version in what an engine calls itself: `Docker/26.1.5 (linux)`.
fn named(server: &str) -> Option<&str> {
    server.strip_prefix("Docker/")?.split_whitespace().next()
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
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    let host = header::HeaderValue::from_static(ENGINE);
    request.headers_mut().insert(header::HOST, host);
    Ok(sent(stream, request).await?)
}

async fn sent<B>(stream: Stream, request: Request<B>) -> Result<Response<Incoming>, hyper::Error>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its end shows in the response; it ends with the sender and the body.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    sender.send_request(request).await
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_engine_names_its_version() {
        for (server, version) in [
            ("Docker/26.1.5+dfsg1 (linux)", Some("26.1.5+dfsg1")),
            ("Docker/20.10.24", Some("20.10.24")),
            ("Libpod/5.4.2 (linux)", None),
            ("", None),
        ] {
            assert_eq!(super::named(server), version);
        }
    }
}
