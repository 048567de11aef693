//! One authenticated connection: dial, handshake, proof of the host's key, login.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Msg};
use russh::keys::{Algorithm, EcdsaCurve};
use russh::{Channel, ChannelOpenFailure, ChannelReadHalf, Disconnect, Preferred, compression};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::auth;
use super::channel::{BACKLOG, ChannelStream, Writer, stream};
use super::doorman::{Doorman, Ended, Refusal, explain_protocol};
use super::known_hosts::KnownHosts;
use super::settings::SshSettings;
use crate::host::transport::{Endpoint, Stream, TransportError};

/// How long to wait before a refused session is asked for again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// A pause of this length is not made any more: the refusal is meant.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// A connection on which channels can be opened.
pub(super) struct Connection {
    handle: client::Handle<Doorman>,
    at: Arc<Endpoint>,
    ended: Ended,
}

/// What a channel leads to.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// A command.
    Session,
    /// A TCP port as seen from the host.
    Tcp(String, u16),
    /// A Unix socket on the host.
    Unix(String),
}

impl Connection {
    /// Connects as `settings` say, over the bastion if there is one.
    pub(super) async fn establish(
        settings: Arc<SshSettings>,
        at: Arc<Endpoint>,
        bastion: Option<Arc<Self>>,
    ) -> Result<Self, TransportError> {
        let known = KnownHosts::read(&settings.known_hosts).map_err(|why| {
            let at = at.clone();
            TransportError::HostKey { at, why }
        })?;
        let patience = Patience::new(&at, settings.connect_timeout);
        let dialled = patience.limit("no answer to the call", dial(&settings, &at, bastion));
        let stream = dialled.await?;
        let ended = Ended::default();
        let config = Arc::new(config(&settings, &known));
        let (name, port) = settings.recorded_as();
        let doorman = Doorman {
            known,
            name: name.to_owned(),
            port,
            ended: ended.clone(),
        };
        let handshake = async {
            let met = client::connect_stream(config, stream, doorman).await;
            met.map_err(|refusal| patience.refused(refusal))
        };
        let mut handle = patience.limit("no SSH handshake", handshake).await?;
        let login = auth::login(&mut handle, &settings, &at);
        patience.limit("no end of the login", login).await?;
        Ok(Self { handle, at, ended })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Opens a channel; it is closed when the result is dropped, at whatever point.
    pub(super) async fn open(self: &Arc<Self>, want: Want) -> Result<Open, TransportError> {
        let connection = Arc::clone(self);
        // In a task of its own, so that a caller who gives up leaves no open channel behind.
        let opening = tokio::spawn(async move {
            let opened = connection.open_patiently(&want).await;
            opened
                .map(|channel| Open::new(channel, Arc::clone(&connection)))
                .map_err(|error| connection.refusal(&want, &error))
        });
        opening.await.unwrap_or_else(|_| Err(self.closed(false)))
    }

    /// sshd counts a session until it has cleared it away, a moment after its end; so a
    /// session that is refused then is asked for again.
    async fn open_patiently(&self, want: &Want) -> Result<Channel<Msg>, russh::Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.open_channel(want).await {
                Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))
                    if matches!(want, Want::Session) && pause < LAST_PAUSE =>
                {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    async fn open_channel(&self, want: &Want) -> Result<Channel<Msg>, russh::Error> {
        let handle = &self.handle;
        match want {
            Want::Session => handle.channel_open_session().await,
            Want::Unix(path) => handle.channel_open_direct_streamlocal(path).await,
            Want::Tcp(host, port) => {
                let port = u32::from(*port);
                handle
                    .channel_open_direct_tcpip(host, port, "127.0.0.1", 0)
                    .await
            }
        }
    }

    fn refusal(&self, want: &Want, error: &russh::Error) -> TransportError {
        let russh::Error::ChannelOpenFailure(failure) = error else {
            return self.closed(false);
        };
        TransportError::Refused {
            at: self.at.clone(),
            what: want.to_string(),
            why: explain_refusal(want, failure),
            nobody: matches!(
                (failure, want),
                (ChannelOpenFailure::ConnectFailed, Want::Tcp(..))
            ),
        }
    }

    /// The error of something that the end of this connection interrupted.
    pub(super) fn closed(&self, sent: bool) -> TransportError {
        TransportError::Closed {
            at: self.at.clone(),
            why: self.ended.why(),
            sent,
        }
    }

    /// Says goodbye; everything that still runs on the connection fails.
    pub(super) async fn close(&self) {
        let bye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        // An error means that the connection has ended before: nothing is left to do.
        let _already_closed = bye.await;
    }
}

/// A channel that is closed when this is dropped. It keeps its connection alive.
pub(super) struct Open {
    pub(super) read: ChannelReadHalf,
    pub(super) write: Writer,
    pub(super) connection: Arc<Connection>,
}

impl Open {
    fn new(channel: Channel<Msg>, connection: Arc<Connection>) -> Self {
        let (read, write) = channel.split();
        Self {
            read,
            write: Writer::new(write),
            connection,
        }
    }

    /// The channel as a stream.
    pub(super) fn into_stream(self) -> ChannelStream {
        self.into_stream_with_backlog(BACKLOG)
    }

    /// The same, whose reader may fall only `backlog` bytes behind.
    pub(super) fn into_stream_with_backlog(self, backlog: usize) -> ChannelStream {
        let Self {
            read,
            write,
            connection,
        } = self;
        stream(read, write, backlog, move || {
            connection.closed(true).to_string()
        })
    }
}

impl std::fmt::Display for Want {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session => f.write_str("a session"),
            Self::Tcp(host, port) => write!(f, "a connection to {host}:{port}"),
            Self::Unix(path) => write!(f, "a connection to {path}"),
        }
    }
}

fn explain_refusal(want: &Want, failure: &ChannelOpenFailure) -> String {
    match (failure, want) {
        (ChannelOpenFailure::ConnectFailed, Want::Unix(_)) => {
            "nothing listens there, or the login may not open it".to_owned()
        }
        (ChannelOpenFailure::ConnectFailed, Want::Tcp(..)) => {
            "nothing listens there, or nothing answers".to_owned()
        }
        (ChannelOpenFailure::ConnectFailed, Want::Session) => {
            "its sshd has no session left (MaxSessions)".to_owned()
        }
        (ChannelOpenFailure::AdministrativelyProhibited, Want::Session) => {
            "its sshd does not allow it".to_owned()
        }
        (ChannelOpenFailure::AdministrativelyProhibited, _) => {
            "its sshd does not allow it: see AllowTcpForwarding, AllowStreamLocalForwarding, \
             PermitOpen and DisableForwarding"
                .to_owned()
        }
        (ChannelOpenFailure::ResourceShortage, _) => "it is short of resources".to_owned(),
        (ChannelOpenFailure::UnknownChannelType, _) => "its sshd does not know that".to_owned(),
        (ChannelOpenFailure::Other { reason, .. }, _) => reason.clone(),
    }
}

/// How long connecting may take, and who is being waited for.
struct Patience<'a> {
    at: &'a Arc<Endpoint>,
    start: Instant,
    timeout: Duration,
}

impl<'a> Patience<'a> {
    fn new(at: &'a Arc<Endpoint>, timeout: Duration) -> Self {
        let start = Instant::now();
        Self { at, start, timeout }
    }

    async fn limit<T>(
        &self,
        what: &str,
        step: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let end = self.start + self.timeout;
        match tokio::time::timeout_at(end, step).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable(what)),
        }
    }

    fn refused(&self, refusal: Refusal) -> TransportError {
        match refusal {
            Refusal::Key(why) => TransportError::HostKey {
                at: self.at.clone(),
                why,
            },
            Refusal::Protocol(error) => self.unreachable(explain_protocol(&error)),
        }
    }

    fn unreachable(&self, why: impl Into<Arc<str>>) -> TransportError {
        TransportError::Unreachable {
            at: self.at.clone(),
            after: self.start.elapsed(),
            why: why.into(),
        }
    }
}

async fn dial(
    settings: &SshSettings,
    at: &Arc<Endpoint>,
    bastion: Option<Arc<Connection>>,
) -> Result<Stream, TransportError> {
    let start = Instant::now();
    let unreachable = |why: String| TransportError::Unreachable {
        at: at.clone(),
        after: start.elapsed(),
        why: why.into(),
    };
    if let Some(bastion) = bastion {
        let want = Want::Tcp(settings.address.clone(), settings.port);
        let opened = bastion.open(want).await;
        return match opened {
            Ok(open) => Ok(Box::new(open.into_stream())),
            Err(error @ TransportError::Refused { .. }) => Err(unreachable(error.to_string())),
            Err(error) => Err(error),
        };
    }
    let target = (settings.address.as_str(), settings.port);
    let stream = TcpStream::connect(target).await;
    let stream = stream.map_err(|error| unreachable(error.to_string()))?;
    // Requests are small and wait for answers: Nagle's algorithm would delay each.
    let nodelay = stream.set_nodelay(true);
    nodelay.map_err(|error| unreachable(error.to_string()))?;
    Ok(Box::new(stream))
}

fn config(settings: &SshSettings, known: &KnownHosts) -> client::Config {
    let (name, port) = settings.recorded_as();
    let recorded = known.algorithms(name, port);
    client::Config {
        nodelay: true,
        keepalive_interval: Some(settings.keepalive),
        keepalive_max: settings.keepalive_misses,
        // A long command says nothing for a long time; keepalives notice a dead host.
        inactivity_timeout: None,
        preferred: Preferred {
            key: Cow::Owned(host_key_algorithms(&recorded)),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    }
}

/// The types of host key to ask for: the recorded ones first, so that a host with several
/// keys shows one that can be checked.
fn host_key_algorithms(recorded: &[String]) -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let mut algorithms = vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
    ];
    algorithms.sort_by_key(|algorithm| {
        let name = algorithm.as_str();
        !recorded.iter().any(|recorded| recorded == name)
    });
    algorithms
}
