//! Login with the keys of files and of an agent.
//!
//! A key in a file must be Ed25519 or ECDSA and have no passphrase: nothing here could ask
//! for one. RSA keys work through an agent only, because the pure implementation leaks
//! timing (RUSTSEC-2023-0071).

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use super::doorman::Doorman;
use super::settings::SshSettings;
use crate::host::transport::{Endpoint, TransportError};

/// Offers every key in turn until one is accepted.
pub(super) async fn login(
    handle: &mut Handle<Doorman>,
    settings: &SshSettings,
    at: &Arc<Endpoint>,
) -> Result<(), TransportError> {
    let mut attempt = Attempt {
        handle,
        user: &settings.user,
        tried: Vec::new(),
    };
    if attempt.files(settings).await || attempt.agent(settings).await {
        return Ok(());
    }
    Err(TransportError::Auth {
        at: at.clone(),
        user: settings.user.clone(),
        tried: attempt.tried,
    })
}

struct Attempt<'a> {
    handle: &'a mut Handle<Doorman>,
    user: &'a str,
    tried: Vec<String>,
}

impl Attempt<'_> {
    async fn files(&mut self, settings: &SshSettings) -> bool {
        for file in &settings.identities {
            let outcome = match load(file).await {
                Ok(key) => self.key(key).await,
                Err(why) => Err(why),
            };
            if self.settle(&format!("key {}", file.display()), outcome) {
                return true;
            }
        }
        false
    }

    async fn key(&mut self, key: PrivateKey) -> Result<(), String> {
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        let result = self.handle.authenticate_publickey(self.user, key).await;
        verdict(result)
    }

    async fn agent(&mut self, settings: &SshSettings) -> bool {
        let Some(socket) = &settings.agent else {
            return false;
        };
        let name = format!("agent {}", socket.display());
        let (mut agent, identities) = match open_agent(socket).await {
            Ok(opened) => opened,
            Err(why) => return self.settle(&name, Err(why)),
        };
        if identities.is_empty() {
            return self.settle(&name, Err("holds no key".to_owned()));
        }
        for identity in identities {
            let name = format!("{name}, key {}", identity.comment());
            let outcome = self.agent_key(&mut agent, identity).await;
            if self.settle(&name, outcome) {
                return true;
            }
        }
        false
    }

    async fn agent_key(
        &mut self,
        agent: &mut AgentClient<UnixStream>,
        identity: AgentIdentity,
    ) -> Result<(), String> {
        let (handle, user) = (&mut *self.handle, self.user);
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                let hash = signature_hash(&key);
                let login = handle.authenticate_publickey_with(user, key, hash, agent);
                login.await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let login = handle.authenticate_certificate_with(user, certificate, None, agent);
                login.await
            }
        };
        verdict(result)
    }

    /// Notes what became of an attempt; true when it let us in.
    fn settle(&mut self, name: &str, outcome: Result<(), String>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(why) => {
                self.tried.push(format!("{name}: {why}"));
                false
            }
        }
    }
}

fn verdict<E: std::fmt::Display>(result: Result<AuthResult, E>) -> Result<(), String> {
    match result {
        Ok(AuthResult::Success) => Ok(()),
        Ok(AuthResult::Failure {
            partial_success: true,
            ..
        }) => Err("accepted, but the host asks for a second factor".to_owned()),
        Ok(AuthResult::Failure { .. }) => Err("not accepted".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// RSA signatures need a hash by name; SHA-1, which they once implied, is refused by now.
fn signature_hash(key: &PublicKey) -> Option<HashAlg> {
    key.algorithm().is_rsa().then_some(HashAlg::Sha512)
}

async fn open_agent(
    socket: &Path,
) -> Result<(AgentClient<UnixStream>, Vec<AgentIdentity>), String> {
    let connected = AgentClient::connect_uds(socket).await;
    let mut agent = connected.map_err(|error| error.to_string())?;
    let identities = agent.request_identities().await;
    let identities = identities.map_err(|error| error.to_string())?;
    Ok((agent, identities))
}

async fn load(file: &Path) -> Result<PrivateKey, String> {
    let read = tokio::fs::read(file).await;
    let bytes = read.map_err(|error| format!("cannot be read: {error}"))?;
    let key = PrivateKey::from_openssh(&bytes).map_err(|error| explain_bad_key(&bytes, &error))?;
    if key.is_encrypted() {
        return Err("has a passphrase; add it to an agent with ssh-add".to_owned());
    }
    if key.algorithm().is_rsa() {
        return Err("is RSA, which works through an agent only (ssh-add)".to_owned());
    }
    Ok(key)
}

fn explain_bad_key(bytes: &[u8], error: &impl std::fmt::Display) -> String {
    let old = b"-----BEGIN RSA PRIVATE KEY-----";
    if bytes.starts_with(old) {
        return "is RSA in an old format; add it to an agent with ssh-add".to_owned();
    }
    format!("is no private key in OpenSSH's format: {error}")
}
