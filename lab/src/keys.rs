//! SSH keys of a lab: one for the person, one for every machine.
//!
//! The lab makes the host keys itself and injects them, so the `known_hosts` file is
//! complete before the first connection and nobody ever has to trust on first use. A copy
//! of the keys lives in the bastion: a lab can be used from any folder of the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Keys could not be made or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key library refused.
    #[error("could not make or read an SSH key of the lab")]
    Key(#[from] russh::keys::ssh_key::Error),
    /// The stored keys are damaged.
    #[error("the lab's stored keys are damaged")]
    Damaged(#[from] serde_json::Error),
}

/// All keys of a lab, each in OpenSSH's own format.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeySet {
    identity: String,
    hosts: BTreeMap<String, String>,
    /// Opens the lab's Hetzner API.
    #[serde(default)]
    token: Option<String>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet of {} hosts", self.hosts.len())
    }
}

impl KeySet {
    /// A new identity and no hosts yet.
    pub(crate) fn generate(lab: &str) -> Result<Self, KeyError> {
        Ok(Self {
            identity: new_key(&format!("kbz-lab-{lab}"))?,
            hosts: BTreeMap::new(),
            token: None,
        })
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, KeyError> {
        Ok(serde_json::from_slice(json)?)
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>, KeyError> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Makes a key for every named machine that has none, and a token if there is none.
    pub(crate) fn complete<'a>(
        &mut self,
        machines: impl Iterator<Item = &'a str>,
    ) -> Result<(), KeyError> {
        for name in machines {
            if !self.hosts.contains_key(name) {
                self.hosts.insert(name.to_owned(), new_key(name)?);
            }
        }
        self.token
            .get_or_insert_with(|| hex::encode(rand::random::<[u8; 32]>()));
        Ok(())
    }

    /// Tells one set of keys from another without telling a key.
    pub(crate) fn id(&self) -> Result<String, KeyError> {
        let fingerprint = PrivateKey::from_openssh(&self.identity)?.fingerprint(HashAlg::Sha256);
        Ok(hex::encode(&fingerprint.as_bytes()[..8]))
    }

    /// The token of the Hetzner API; there is one as soon as the set is complete.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn authorized_key(&self) -> Result<String, KeyError> {
        public_line(&self.identity)
    }

    /// Private and public key of a machine.
    pub(crate) fn host(&self, name: &str) -> Result<Option<(&str, String)>, KeyError> {
        let Some(key) = self.hosts.get(name) else {
            return Ok(None);
        };
        Ok(Some((key, public_line(key)?)))
    }

    /// A `known_hosts` file: each machine by name and by its further addresses.
    pub(crate) fn known_hosts<'a>(
        &self,
        machines: impl Iterator<Item = (&'a str, Vec<String>)>,
    ) -> Result<String, KeyError> {
        let mut lines = String::new();
        for (name, aliases) in machines {
            if let Some((_, public)) = self.host(name)? {
                let names: Vec<&str> = std::iter::once(name)
                    .chain(aliases.iter().map(String::as_str))
                    .collect();
                let _ = writeln!(lines, "{} {}", names.join(","), without_comment(&public));
            }
        }
        Ok(lines)
    }
}

fn new_key(comment: &str) -> Result<String, KeyError> {
    let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?;
    key.set_comment(comment);
    Ok(key.to_openssh(LineEnding::LF)?.to_string())
}

fn public_line(private: &str) -> Result<String, KeyError> {
    Ok(PrivateKey::from_openssh(private)?
        .public_key()
        .to_openssh()?)
}

fn without_comment(public: &str) -> String {
    public.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_storage_and_stay_when_hosts_are_added() {
        let mut keys = KeySet::generate("t").unwrap();
        keys.complete(["a"].into_iter()).unwrap();
        let stored = KeySet::from_json(&keys.to_json().unwrap()).unwrap();
        assert_eq!(stored, keys);
        let before = keys.host("a").unwrap().map(|(_, public)| public);
        keys.complete(["a", "b"].into_iter()).unwrap();
        assert_eq!(keys.host("a").unwrap().map(|(_, public)| public), before);
        assert_eq!(keys.id().unwrap(), stored.id().unwrap());
        assert!(keys.host("c").unwrap().is_none());
    }

    #[test]
    fn known_hosts_name_machines_and_addresses() {
        let mut keys = KeySet::generate("t").unwrap();
        keys.complete(["a"].into_iter()).unwrap();
        let lines = keys
            .known_hosts([("a", vec!["10.0.0.7".to_owned()])].into_iter())
            .unwrap();
        assert!(lines.starts_with("a,10.0.0.7 ssh-ed25519 AAAA"), "{lines}");
        assert_eq!(lines.lines().count(), 1);
    }

    #[test]
    fn a_key_is_never_shown() {
        let keys = KeySet::generate("t").unwrap();
        assert!(!format!("{keys:?}").contains("PRIVATE"));
    }
}
