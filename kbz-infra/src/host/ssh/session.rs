//! One host over SSH: two connections at most, made when they are needed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::connect::Want;
use super::exec;
use super::link::Link;
use super::settings::SshSettings;
use crate::host::transport::{Exec, Input, Lane, Output, Stream, Transport, TransportError};
use crate::ident::HostName;

/// A host that is reached over SSH.
pub struct SshHost {
    name: HostName,
    talk: Link,
    bulk: Link,
}

/// The way through a bastion, shared by all hosts behind it.
#[derive(Debug, Clone)]
pub(crate) struct Bastion {
    talk: Arc<Link>,
    bulk: Arc<Link>,
}

impl Bastion {
    /// The bastion that `settings` describe; it may have one before it.
    pub(crate) fn new(settings: &SshSettings) -> Self {
        let before = settings.bastion.as_deref().map(Self::new);
        let name = settings.address.clone();
        let settings = Arc::new(settings.clone());
        let link = |via| Arc::new(Link::new(&name, Arc::clone(&settings), via));
        Self {
            talk: link(before.as_ref().map(|bastion| Arc::clone(&bastion.talk))),
            bulk: link(before.as_ref().map(|bastion| Arc::clone(&bastion.bulk))),
        }
    }

    /// Ends the connections to the bastion.
    pub(crate) async fn close(&self) {
        self.talk.close().await;
        self.bulk.close().await;
    }
}

impl SshHost {
    /// The host that `settings` describe, through a bastion of its own if they name one.
    pub fn new(name: HostName, settings: SshSettings) -> Self {
        let bastion = settings.bastion.as_deref().map(Bastion::new);
        Self::behind(name, settings, bastion.as_ref())
    }

    /// The same through a bastion that others use too.
    pub(crate) fn behind(name: HostName, settings: SshSettings, bastion: Option<&Bastion>) -> Self {
        let settings = Arc::new(settings);
        let link = |via| Link::new(name.as_str(), Arc::clone(&settings), via);
        let talk = link(bastion.map(|bastion| Arc::clone(&bastion.talk)));
        let bulk = link(bastion.map(|bastion| Arc::clone(&bastion.bulk)));
        Self { name, talk, bulk }
    }

    fn lane(&self, lane: Lane) -> &Link {
        match lane {
            Lane::Talk => &self.talk,
            Lane::Bulk => &self.bulk,
        }
    }

    async fn stream(&self, lane: Lane, want: Want) -> Result<Stream, TransportError> {
        let link = self.lane(lane);
        link.connection().await?;
        let open = limited(link, link.open(want)).await?;
        Ok(Box::new(open.into_stream()))
    }
}

/// Opening a channel may take as long as connecting: the host dials for it.
async fn limited<T>(
    link: &Link,
    step: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    let deadline = link.settings().connect_timeout;
    match tokio::time::timeout(deadline, step).await {
        Ok(result) => result,
        Err(_) => Err(TransportError::Deadline {
            at: link.endpoint().clone(),
            deadline,
        }),
    }
}

#[async_trait]
impl Transport for SshHost {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn exec(&self, command: Exec) -> Result<Output, TransportError> {
        exec::run(&self.talk, command, None).await
    }

    async fn exec_stream(&self, command: Exec, stdin: Input) -> Result<Output, TransportError> {
        exec::run(&self.bulk, command, Some(stdin)).await
    }

    async fn unix(&self, path: &str, lane: Lane) -> Result<Stream, TransportError> {
        self.stream(lane, Want::Unix(path.to_owned())).await
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<Stream, TransportError> {
        let want = Want::Tcp(host.to_owned(), port);
        self.stream(Lane::Talk, want).await
    }

    async fn pipe(&self, script: &str, lane: Lane) -> Result<Stream, TransportError> {
        let link = self.lane(lane);
        let remote = exec::pipe_line(script, &link.settings().user);
        let remote = remote.map_err(|error| TransportError::Invalid {
            at: link.endpoint().clone(),
            why: error.to_string(),
        })?;
        link.connection().await?;
        let open = limited(link, link.open(Want::Session)).await?;
        let sent = open.write.exec(true, remote).await;
        sent.map_err(|_| open.connection.closed(false))?;
        Ok(Box::new(open.into_stream()))
    }

    fn logs_in_as_root(&self) -> bool {
        self.talk.settings().user == "root"
    }

    fn prepare(&self) {
        // Who needs the connection waits for it, and hears why there is none.
        drop(self.talk.attempt());
    }

    async fn close(&self) {
        self.talk.close().await;
        self.bulk.close().await;
    }
}

impl fmt::Debug for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshHost({})", self.talk.endpoint())
    }
}
