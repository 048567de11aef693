//! What an SSH server of the fleet lets a client do: log in with one key, and run commands.

use std::collections::HashMap;
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg};
use tokio::io::AsyncWriteExt as _;

use super::machine::{Machine, Reply};

/// One client of one host.
pub(super) struct Visitor {
    guest: PublicKey,
    machine: Arc<Machine>,
    waiting: HashMap<ChannelId, Channel<Msg>>,
}

impl Visitor {
    pub(super) fn new(guest: PublicKey, machine: Arc<Machine>) -> Self {
        Self {
            guest,
            machine,
            waiting: HashMap::new(),
        }
    }
}

impl Handler for Visitor {
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
        self.waiting.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.waiting.remove(&id) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let line = String::from_utf8_lossy(line).into_owned();
        tokio::spawn(serve(Arc::clone(&self.machine), channel, line));
        Ok(())
    }
}

/// Reads the whole input, and answers.
async fn serve(machine: Arc<Machine>, channel: Channel<Msg>, line: String) {
    let (mut read, write) = channel.split();
    let mut input = Vec::new();
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => input.extend_from_slice(&data),
            ChannelMsg::Eof => break,
            _ => {}
        }
    }
    let Reply {
        status,
        stdout,
        stderr,
    } = machine.answer(&line, input).await;
    // Whoever has hung up needs no answer.
    let _sent = write.make_writer().write_all(&stdout).await;
    let _sent = write.make_writer_ext(Some(1)).write_all(&stderr).await;
    let _sent = write.exit_status(status).await;
    let _sent = write.eof().await;
    let _sent = write.close().await;
}
