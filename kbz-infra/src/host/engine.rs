//! Docker engines: that of a host through a stream of its transport, that of this machine
//! through its socket. Both speak the API's own HTTP; nothing on either side needs the CLI.
//!
//! Each request has a stream of its own: on an SSH connection that costs one round trip, and
//! no request ever waits behind another.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion, Docker};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::http::{Request, Response, Uri, header};
use tokio::net::UnixStream;

use super::http;
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

/// What an engine calls its version, where it has named it.
type Version = Arc<Mutex<Option<String>>>;

type Opening = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// The engine of a host.
#[derive(Clone)]
pub(super) struct HostEngine {
    transport: Arc<dyn Transport>,
    /// Its API.
    pub(super) docker: Docker,
    /// Its version, as its last answer named it.
    version: Version,
}

impl HostEngine {
    /// The engine of the host that `transport` leads to.
    pub(super) fn of(transport: &Arc<dyn Transport>) -> Result<Self, Error> {
        let version = Version::default();
        let to = Arc::clone(transport);
        let open = move || {
            let to = Arc::clone(&to);
            Box::pin(async move { dial(&to).await }) as Opening
        };
        Ok(Self {
            transport: Arc::clone(transport),
            docker: over(open, Arc::clone(&version))?,
            version,
        })
    }

    /// Its version, as it names itself in every answer; it is pinged where nothing was `asked` just
    /// now. `None` where none answers. To be asked for its version in so many words, an engine starts
    /// the programs that it is made of.
    pub(super) async fn version(&self, asked: bool) -> Option<String> {
        if asked {
            let version = self.version.lock();
            return version.unwrap_or_else(PoisonError::into_inner).clone();
        }
        tokio::time::timeout(PING, ping(&self.transport))
            .await
            .ok()?
    }
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

async fn ping(transport: &Arc<dyn Transport>) -> Option<String> {
    let stream = dial(transport).await.ok()?;
    let request = Request::head("/_ping")
        .header(header::HOST, ENGINE)
        .body(Empty::<Bytes>::new())
        .ok()?;
    let response = http::sent(stream, request).await.ok()?;
    named_in(&response)
}

/// The version of the engine that gave an answer.
fn named_in<B>(response: &Response<B>) -> Option<String> {
    let server = response.headers().get(header::SERVER)?.to_str().ok()?;
    named(server).map(str::to_owned)
}

/// The version in what an engine calls itself: `Docker/26.1.5 (linux)`.
fn named(server: &str) -> Option<&str> {
    server.strip_prefix("Docker/")?.split_whitespace().next()
}

/// The engine of this machine, at `socket` or at its usual place.
pub fn local_docker(socket: Option<&str>) -> Result<Docker, Error> {
    let socket = socket.unwrap_or(SOCKET).to_owned();
    let open = move || {
        let socket = socket.clone();
        Box::pin(async move {
            let stream = UnixStream::connect(&socket).await;
            let stream = stream
                .map_err(|error| io::Error::new(error.kind(), format!("{socket}: {error}")))?;
            Ok(Box::new(stream) as Stream)
        }) as Opening
    };
    over(open, Arc::default())
}

/// The engine of this machine, where `DOCKER_HOST` names it, if that is set. With an engine
/// elsewhere this machine has none: images are not made on another engine than was named, and who
/// needs no engine here goes on.
pub fn operator_docker(named: Option<String>) -> Result<Docker, Error> {
    match docker_socket(named) {
        Ok(socket) => local_docker(socket.as_deref()),
        Err(why) => no_docker(&why),
    }
}

/// The socket that `DOCKER_HOST` names, if it is set; why none, where it names something else.
fn docker_socket(named: Option<String>) -> Result<Option<String>, String> {
    let Some(host) = named.filter(|host| !host.is_empty()) else {
        return Ok(None);
    };
    match host.strip_prefix("unix://") {
        Some(socket) => Ok(Some(socket.to_owned())),
        None => Err(format!(
            "DOCKER_HOST is {host}, and images are built by an engine of this machine: name its \
             socket as unix:///PATH, or unset DOCKER_HOST"
        )),
    }
}

/// An engine that is not to be had; whatever is asked of it fails with the reason.
fn no_docker(why: &str) -> Result<Docker, Error> {
    let why = why.to_owned();
    let open = move || {
        let error = io::Error::other(why.clone());
        Box::pin(async move { Err(error) }) as Opening
    };
    over(open, Arc::default())
}

/// An engine at the end of streams; `version` becomes that of its last answer.
fn over(
    open: impl Fn() -> Opening + Send + Sync + 'static,
    version: Version,
) -> Result<Docker, Error> {
    let transport = move |request: BollardRequest| {
        let (opening, version) = (open(), Arc::clone(&version));
        async move {
            let response = send(opening.await?, request).await?;
            *version.lock().unwrap_or_else(PoisonError::into_inner) = named_in(&response);
            Ok(response)
        }
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
    Ok(http::sent(stream, request).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_elsewhere_fails_whoever_needs_one_here() {
        let engine = operator_docker(Some("tcp://10.0.0.1:2375".to_owned())).unwrap();
        let error = engine.ping().await.unwrap_err();
        let told = crate::diag::error_chain(&error);
        assert!(
            told.contains("DOCKER_HOST is tcp://10.0.0.1:2375"),
            "{told}"
        );
        assert!(told.contains("unset DOCKER_HOST"), "{told}");
    }

    #[test]
    fn only_a_socket_of_this_machine_is_taken_from_docker_host() {
        let socket = |named: &str| docker_socket(Some(named.to_owned()));
        let taken = socket("unix:///run/other.sock").unwrap();
        assert_eq!(taken.as_deref(), Some("/run/other.sock"));
        assert_eq!(socket("").unwrap(), None);
        assert_eq!(docker_socket(None).unwrap(), None);
        for elsewhere in [
            "tcp://10.0.0.1:2375",
            "ssh://root@builder",
            "/run/docker.sock",
        ] {
            let why = socket(elsewhere).unwrap_err();
            assert!(why.contains(elsewhere), "{why}");
            assert!(why.contains("DOCKER_HOST"), "{why}");
        }
    }

    #[test]
    fn an_engine_names_its_version() {
        for (server, version) in [
            ("Docker/26.1.5+dfsg1 (linux)", Some("26.1.5+dfsg1")),
            ("Docker/20.10.24", Some("20.10.24")),
            ("Libpod/5.4.2 (linux)", None),
            ("", None),
        ] {
            assert_eq!(named(server), version);
        }
    }
}
