//! Decides at the door whether the host is the one that is meant, and hears why it hangs up.

use std::sync::{Arc, OnceLock};

use russh::client::{self, DisconnectReason};
use russh::keys::PublicKeyOrCertificate;

use super::known_hosts::{KnownHosts, ShownKey};
use crate::host::transport::HostKeyError;

/// Why a connection ended, once it has.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<OnceLock<Arc<str>>>);

impl Ended {
    fn set(&self, why: impl Into<Arc<str>>) {
        // The first reason is the cause; later ones are its consequences.
        let _ = self.0.set(why.into());
    }

    pub(super) fn why(&self) -> Arc<str> {
        let unexplained = || Arc::from("the other side hung up");
        self.0.get().cloned().unwrap_or_else(unexplained)
    }
}

/// Decides at the door whether the host is the one that is meant.
pub(super) struct Doorman {
    pub(super) known: KnownHosts,
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) ended: Ended,
}

/// Why a handshake was broken off.
#[derive(Debug)]
pub(super) enum Refusal {
    Key(HostKeyError),
    Protocol(russh::Error),
}

impl From<russh::Error> for Refusal {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

/// What went wrong, as a person reads it.
pub(super) fn explain_protocol(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => {
            "it hung up during the handshake (sshd does so above MaxStartups, and with \
             PerSourcePenalties after failed logins)"
                .to_owned()
        }
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!("no {kind:?} algorithm in common; it offers {theirs:?}")
        }
        russh::Error::KeepaliveTimeout => "it gave no sign of life any more".to_owned(),
        other => other.to_string(),
    }
}

impl client::Handler for Doorman {
    type Error = Refusal;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Refusal> {
        // Certificates are never asked for.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let blob = key.to_bytes().map_err(russh::Error::from)?;
        let algorithm = key.algorithm();
        let shown = ShownKey {
            algorithm: algorithm.as_str(),
            blob: &blob,
        };
        let verdict = self.known.check(&self.name, self.port, shown);
        verdict.map(|()| true).map_err(Refusal::Key)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Refusal>) -> Result<(), Refusal> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.ended.set(format!("it said goodbye: {}", info.message));
            }
            DisconnectReason::Error(Refusal::Protocol(
                russh::Error::Disconnect | russh::Error::HUP,
            )) => self.ended.set("the other side hung up"),
            DisconnectReason::Error(Refusal::Protocol(error)) => {
                self.ended.set(explain_protocol(&error));
            }
            DisconnectReason::Error(Refusal::Key(why)) => self.ended.set(why.to_string()),
        }
        Ok(())
    }
}
