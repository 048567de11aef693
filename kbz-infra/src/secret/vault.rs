//! Where the values of a run's secrets live.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::form::Form;
use super::mac::Key;
use super::reference::SecretRef;
use crate::ident::{Digest, hex_of};

/// A secret that no credentials file gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no credentials file holds the secret `{name}`")]
pub struct UnknownSecret {
    /// The name asked for.
    pub name: String,
}

/// A hash that means nothing without the vault that made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyedHash(String);

impl KeyedHash {
    /// The hash as lower-case hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The values of the secrets of one run. Neither printed nor serialised.
#[derive(Clone, Default)]
pub struct Vault {
    values: BTreeMap<String, SecretString>,
    /// The verifiers that were made, by name: each takes thousands of rounds, and stands in several
    /// files and roles.
    verifiers: Arc<Mutex<BTreeMap<String, Zeroizing<String>>>>,
    /// Each value in each form, with its reference: what [`Vault::redact`] looks for. Made when
    /// first needed, because a verifier takes thousands of rounds.
    written: OnceLock<Vec<(Zeroizing<String>, SecretRef)>>,
    /// The key of [`Vault::keyed`], made when first needed.
    key: OnceLock<Key>,
}

impl Vault {
    /// The name of the secret that keys the hashes of [`keyed`](Self::keyed).
    pub const STATE_KEY: &'static str = "KBZ_STATE_KEY";

    /// An empty vault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value in, replacing one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: SecretString) {
        self.values.insert(name.into(), value);
        self.forget();
    }

    /// Puts all of another vault in.
    pub fn extend(&mut self, other: Vault) {
        self.values.extend(other.values);
        self.forget();
    }

    /// Forgets what was made of values that may have been replaced.
    fn forget(&mut self) {
        self.verifiers = Arc::default();
        self.written = OnceLock::new();
        self.key = OnceLock::new();
    }

    /// The names of the secrets held.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The value of a secret in the form that the reference asks for.
    pub fn resolve(&self, secret: &SecretRef) -> Result<Zeroizing<String>, UnknownSecret> {
        let value = self.values.get(&secret.name).ok_or_else(|| UnknownSecret {
            name: secret.name.clone(),
        })?;
        let write = || Zeroizing::new(secret.form.write(value.expose_secret()));
        if secret.form != Form::ScramVerifier {
            return Ok(write());
        }
        let verifiers = || {
            let locked = self.verifiers.lock();
            locked.unwrap_or_else(PoisonError::into_inner)
        };
        let known = verifiers().get(&secret.name).cloned();
        Ok(known.unwrap_or_else(|| {
            let made = write();
            verifiers().insert(secret.name.clone(), made.clone());
            made
        }))
    }

    /// A hash of `digest` that only a holder of the same secrets can make again.
    pub fn keyed(&self, digest: &Digest) -> KeyedHash {
        let key = self.key.get_or_init(|| self.key());
        KeyedHash(hex_of(&key.mac(digest.as_bytes())))
    }

    fn key(&self) -> Key {
        let mut key = Sha256::new();
        // A key of its own, where the credentials hold one: then a changed password does not
        // make every object look changed.
        let own = self.values.get_key_value(Self::STATE_KEY);
        let all = own.is_none().then_some(&self.values).into_iter().flatten();
        for (name, value) in own.into_iter().chain(all) {
            key.update(name);
            key.update([0]);
            key.update(value.expose_secret());
            key.update([0]);
        }
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(key.finalize().into());
        Key::new(&*key)
    }

    /// `text` with every value of this vault that stands in it replaced by the secret's name.
    /// For what comes back from a host and is shown to a person.
    pub fn redact(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (written, secret) in self.written() {
            if shown.contains(written.as_str()) {
                shown = shown.replace(written.as_str(), &secret.to_string());
            }
        }
        shown
    }

    /// Each value in each form in which it may stand in a text, the longest first.
    pub(crate) fn written(&self) -> &[(Zeroizing<String>, SecretRef)] {
        self.written.get_or_init(|| self.all_written())
    }

    fn all_written(&self) -> Vec<(Zeroizing<String>, SecretRef)> {
        // Shorter values than this stand in too many innocent places, and protect nothing.
        const SHORTEST: usize = 6;
        let values = self
            .values
            .iter()
            .map(|(name, value)| (name, value.expose_secret()));
        let mut written: Vec<(Zeroizing<String>, SecretRef)> = values
            .filter(|(_, value)| value.len() >= SHORTEST)
            .flat_map(|(name, value)| {
                let secret = SecretRef::new(name);
                Form::ALL.map(|(form, _)| (Zeroizing::new(form.write(value)), secret.form(form)))
            })
            .collect();
        // The longest first: a secret that begins like another must not leave its end behind.
        written.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        written
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(value: &str) -> Vault {
        let mut vault = Vault::new();
        vault.insert("PASS", SecretString::from(value.to_owned()));
        vault
    }

    fn written(value: &str, form: Form) -> String {
        vault(value)
            .resolve(&SecretRef::new("PASS").form(form))
            .unwrap()
            .to_string()
    }

    #[test]
    fn each_form_escapes_what_its_reader_would_misread() {
        assert_eq!(written(r#"a"b\c"#, Form::Yaml), r#""a\"b\\c""#);
        assert_eq!(written(r#"a"b"#, Form::Userlist), r#"a""b"#);
        assert_eq!(written("a/b@c", Form::Url), "a%2Fb%40c");
    }

    #[test]
    fn a_verifier_is_the_same_each_time_and_differs_by_password() {
        let one = written("correct horse", Form::ScramVerifier);
        assert_eq!(one, written("correct horse", Form::ScramVerifier));
        assert_ne!(one, written("correct horsf", Form::ScramVerifier));
        assert!(one.starts_with("SCRAM-SHA-256$4096:"), "{one}");
    }

    #[test]
    fn a_verifier_follows_its_password() {
        let secret = SecretRef::new("PASS").form(Form::ScramVerifier);
        let mut changed = vault("one");
        let before = changed.clone();
        let one = changed.resolve(&secret).unwrap();
        changed.insert("PASS", SecretString::from("two".to_owned()));
        assert_eq!(
            *changed.resolve(&secret).unwrap(),
            written("two", Form::ScramVerifier)
        );
        assert_eq!(before.resolve(&secret).unwrap(), one);
    }

    #[test]
    fn a_marker_reads_back() {
        let secret = SecretRef::new("PASS").form(Form::Yaml);
        let marker = secret.marker();
        let inner = marker
            .trim_start_matches(SecretRef::OPEN)
            .trim_end_matches(SecretRef::CLOSE);
        assert_eq!(inner.parse::<SecretRef>().unwrap(), secret);
    }

    #[test]
    fn nothing_prints_a_value() {
        let vault = vault("canary-value");
        assert!(!format!("{vault:?}").contains("canary-value"));
        assert_eq!(vault.redact("pw=canary-value;"), "pw=(secret PASS);");
        let verifier = written("canary-value", Form::ScramVerifier);
        assert_eq!(vault.redact(&verifier), "(secret PASS)");
    }

    #[test]
    fn a_keyed_hash_depends_on_the_secrets() {
        let digest = Digest::of("content");
        assert_eq!(vault("one").keyed(&digest), vault("one").keyed(&digest));
        assert_ne!(vault("one").keyed(&digest), vault("two").keyed(&digest));
    }
}
