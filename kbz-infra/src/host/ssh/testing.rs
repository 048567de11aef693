//! An SSH server inside the test process, and a link that can be frozen or cut.
//!
//! Commands run in the local `/bin/sh`; forwardings lead to local ports and sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey, PublicKeyBase64};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Command;
use tokio::sync::{Notify, mpsc, watch};

use super::session::SshHost;
use super::settings::SshSettings;
use crate::ident::HostName;

/// A new Ed25519 key.
pub(crate) fn new_key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
}

/// A running server and the files that a client needs to enter it.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) host_key: PublicKey,
    pub(crate) files: tempfile::TempDir,
    pub(crate) seen: Arc<Seen>,
    accepting: tokio::task::JoinHandle<()>,
}

/// What the server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) sessions: AtomicUsize,
    pub(crate) most_sessions: AtomicUsize,
    /// Ends every connection.
    kill: Notify,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let host_key = new_key();
        let user_key = new_key();
        let files = tempfile::tempdir().unwrap();
        let pem = user_key.to_openssh(LineEnding::default()).unwrap();
        std::fs::write(files.path().join("id"), pem).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let config = Arc::new(server::Config {
            keys: vec![host_key.clone()],
            auth_rejection_time: Duration::ZERO,
            nodelay: true,
            ..Default::default()
        });
        let guest = user_key.public_key().clone();
        let accepting = tokio::spawn(accept(listener, config, guest, Arc::clone(&seen)));
        let server = Self {
            address,
            host_key: host_key.public_key().clone(),
            files,
            seen,
            accepting,
        };
        std::fs::write(server.known_hosts(), server.line(address)).unwrap();
        server
    }

    /// The line of known hosts that records the server under an address.
    pub(crate) fn line(&self, address: SocketAddr) -> String {
        let (ip, port) = (address.ip(), address.port());
        let key = self.host_key.public_key_base64();
        format!("[{ip}]:{port} ssh-ed25519 {key}\n")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.files.path().join("known_hosts")
    }

    pub(crate) fn settings(&self) -> SshSettings {
        self.settings_at(self.address)
    }

    pub(crate) fn settings_at(&self, address: SocketAddr) -> SshSettings {
        SshSettings::new(address.ip().to_string())
            .port(address.port())
            .identity(self.files.path().join("id"))
            .known_hosts(self.known_hosts())
    }

    pub(crate) fn host(&self) -> SshHost {
        host(self.settings())
    }

    /// Ends every connection at once, as a crash of the machine's sshd would.
    pub(crate) fn kill_connections(&self) {
        self.seen.kill.notify_waiters();
    }
}

pub(crate) fn host(settings: SshSettings) -> SshHost {
    SshHost::new(HostName::new("db-1").unwrap(), settings)
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.kill_connections();
    }
}

async fn accept(
    listener: TcpListener,
    config: Arc<server::Config>,
    guest: PublicKey,
    seen: Arc<Seen>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let visitor = Visitor {
            guest: guest.clone(),
            seen: Arc::clone(&seen),
            waiting: HashMap::new(),
        };
        let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
        tokio::spawn(async move {
            // Created first: a kill during the handshake counts too.
            let kill = seen.kill.notified();
            let (near, mut far) = tokio::io::duplex(1 << 16);
            let mut stream = stream;
            let serve = async move {
                if let Ok(session) = server::run_stream(config, near, visitor).await {
                    let _ = session.await;
                }
            };
            tokio::spawn(serve);
            tokio::select! {
                () = kill => {}
                _ = copy_bidirectional(&mut stream, &mut far) => {}
            }
        });
    }
}

struct Visitor {
    guest: PublicKey,
    seen: Arc<Seen>,
    waiting: HashMap<ChannelId, Channel<Msg>>,
}

/// How many sessions the server allows on a connection, as sshd does by default.
const MAX_SESSIONS: usize = 10;

impl server::Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = key.public_key.key_data() == self.guest.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let now = self.seen.sessions.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.most_sessions.fetch_max(now, Ordering::SeqCst);
        if now > MAX_SESSIONS {
            self.seen.sessions.fetch_sub(1, Ordering::SeqCst);
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            self.waiting.insert(channel.id(), channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let channel = self.waiting.remove(&id).unwrap();
        let line = String::from_utf8(line.to_vec()).unwrap();
        let seen = Arc::clone(&self.seen);
        tokio::spawn(async move {
            execute(channel, &line).await;
            seen.sessions.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let target = format!("{host}:{port}");
        tokio::spawn(async move {
            match TcpStream::connect(target).await {
                Ok(stream) => forward(stream, channel, reply).await,
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
        });
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let path = path.to_owned();
        tokio::spawn(async move {
            match UnixStream::connect(path).await {
                Ok(stream) => forward(stream, channel, reply).await,
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
        });
        Ok(())
    }
}

async fn forward<T: crate::host::transport::Duplex>(
    mut stream: T,
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
) {
    reply.accept().await;
    let mut channel = channel.into_stream();
    let _ = copy_bidirectional(&mut stream, &mut channel).await;
}

async fn execute(channel: Channel<Msg>, line: &str) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut read, write) = channel.split();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (mut out, mut err) = (write.make_writer(), write.make_writer_ext(Some(1)));
    // Always emptied, as sshd does: a full queue would stop the whole connection.
    let (queue, mut queued) = mpsc::unbounded_channel();
    let input = async move {
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => queue.send(data).unwrap_or(()),
                ChannelMsg::Eof => break,
                _ => {}
            }
        }
        drop(queue);
        // Only the end of the channel ends this.
        while read.wait().await.is_some() {}
    };
    tokio::spawn(async move {
        while let Some(data) = queued.recv().await {
            if stdin.write_all(&data).await.is_err() {
                return;
            }
        }
    });
    let output = async {
        let _ = tokio::join!(
            tokio::io::copy(&mut stdout, &mut out),
            tokio::io::copy(&mut stderr, &mut err)
        );
        child.wait().await.unwrap()
    };
    tokio::select! {
        () = input => {}
        status = output => {
            let code = status.code().unwrap_or(255);
            let _ = write.exit_status(code.try_into().unwrap()).await;
            let _ = write.eof().await;
            let _ = write.close().await;
        }
    }
}

/// A TCP link to a server that can stop carrying bytes, or be cut.
pub(crate) struct TestLink {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Carries,
    Frozen,
    Cut,
}

impl TestLink {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, watcher) = watch::channel(Mode::Carries);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(target).await.unwrap();
                tokio::spawn(carry(near, far, watcher.clone()));
            }
        });
        Self { address, mode }
    }

    /// Bytes stop, as behind a firewall that drops packets.
    pub(crate) fn freeze(&self) {
        self.mode.send_replace(Mode::Frozen);
    }

    pub(crate) fn thaw(&self) {
        self.mode.send_replace(Mode::Carries);
    }

    /// Present connections end.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, mut mode: watch::Receiver<Mode>) {
    mode.mark_unchanged();
    loop {
        let now = *mode.borrow();
        match now {
            Mode::Cut => return,
            Mode::Frozen => mode.changed().await.unwrap_or(()),
            Mode::Carries => tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => return,
                changed = mode.changed() => changed.unwrap_or(()),
            },
        }
    }
}
