//! Secrets as references, resolved at the last moment.
//!
//! A declaration, a plan, a journal and a state file hold a [`SecretRef`]: the name of a secret
//! and the form in which it is written down. The values live in a [`Vault`] in memory, filled
//! from the credentials files, and are wiped when it is dropped. What must be compared across
//! runs is compared by a hash keyed with the vault ([`Vault::keyed`]), so that a stolen state
//! file does not let anybody try out passwords.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ident::Digest;

/// What PostgreSQL itself uses (`SCRAM_SHA_256_DEFAULT_ITERATIONS`).
const SCRAM_ITERATIONS: u32 = 4096;

/// The form in which a secret is written down where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// As it is.
    Plain,
    /// A double-quoted YAML scalar, quotes included.
    Yaml,
    /// Inside the double quotes of a line of PgBouncer's `userlist.txt`: a quote is doubled.
    Userlist,
    /// PostgreSQL's SCRAM-SHA-256 verifier of the secret. The salt is derived from the secret,
    /// at the price of the same key stretching, so that every reader of the credentials gets
    /// the identical string; a verifier needs no escaping in any of the other forms.
    ScramVerifier,
    /// Percent-encoded for the user-info part of a URL.
    Url,
}

impl Form {
    const ALL: [(Form, &'static str); 5] = [
        (Form::Plain, "plain"),
        (Form::Yaml, "yaml"),
        (Form::Userlist, "userlist"),
        (Form::ScramVerifier, "scram-verifier"),
        (Form::Url, "url"),
    ];

    fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(form, _)| *form == self)
            .map_or("", |(_, name)| name)
    }

    fn write(self, secret: &str) -> String {
        match self {
            Form::Plain => secret.to_owned(),
            Form::Yaml => yaml_double_quoted(secret),
            Form::Userlist => secret.replace('"', "\"\""),
            Form::ScramVerifier => scram_verifier(secret),
            Form::Url => percent_encoded(secret),
        }
    }
}

/// A secret by name, in the form it is to be written in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    /// The name of the secret: the name of its variable in the credentials file.
    pub name: String,
    /// How it is written down.
    pub form: Form,
}

impl SecretRef {
    /// The secret `name` as it is.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            form: Form::Plain,
        }
    }

    /// The same secret in another form.
    pub fn form(&self, form: Form) -> Self {
        Self {
            name: self.name.clone(),
            form,
        }
    }

    /// The placeholder that stands for this secret in a template's output;
    /// [`Text::from_marked`](crate::resource::Text::from_marked) finds it again.
    pub fn marker(&self) -> String {
        format!(
            "{}{}:{}{}",
            Self::OPEN,
            self.name,
            self.form.name(),
            Self::CLOSE
        )
    }

    /// Opens a [`marker`](Self::marker).
    pub(crate) const OPEN: char = '⟦';
    /// Closes a [`marker`](Self::marker).
    pub(crate) const CLOSE: char = '⟧';
}

/// A user, whose name is no secret, and the secret that proves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Login {
    /// The name of the user.
    pub user: String,
    /// Where the password is.
    pub password: SecretRef,
}

impl Login {
    /// A user by name and password.
    pub fn new(user: impl Into<String>, password: SecretRef) -> Self {
        Self {
            user: user.into(),
            password,
        }
    }
}

/// Why a text is no placeholder of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reference to a secret: it must read NAME:FORM")]
pub struct InvalidSecretRef(pub String);

impl FromStr for SecretRef {
    type Err = InvalidSecretRef;

    fn from_str(text: &str) -> Result<Self, InvalidSecretRef> {
        let invalid = || InvalidSecretRef(text.to_owned());
        let (name, form) = text.split_once(':').ok_or_else(invalid)?;
        let (form, _) = *Form::ALL
            .iter()
            .find(|(_, known)| *known == form)
            .ok_or_else(invalid)?;
        Ok(Self {
            name: name.to_owned(),
            form,
        })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(secret {})", self.name)
    }
}

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
    /// Each value in each form, with its name: what [`Vault::redact`] looks for. Made when first
    /// needed, because a verifier takes thousands of rounds.
    written: OnceLock<Vec<(Zeroizing<String>, String)>>,
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
        self.written = OnceLock::new();
    }

    /// Puts all of another vault in.
    pub fn extend(&mut self, other: Vault) {
        self.values.extend(other.values);
        self.written = OnceLock::new();
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
        Ok(Zeroizing::new(secret.form.write(value.expose_secret())))
    }

    /// A hash of `digest` that only a holder of the same secrets can make again.
    pub fn keyed(&self, digest: &Digest) -> KeyedHash {
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
        KeyedHash(hex::encode(*mac(&key.finalize(), digest.as_bytes())))
    }

    /// `text` with every value of this vault that stands in it replaced by the secret's name.
    /// For what comes back from a host and is shown to a person.
    pub fn redact(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (written, name) in self.written.get_or_init(|| self.all_written()) {
            if shown.contains(written.as_str()) {
                shown = shown.replace(written.as_str(), &format!("(secret {name})"));
            }
        }
        shown
    }

    fn all_written(&self) -> Vec<(Zeroizing<String>, String)> {
        // Shorter values than this stand in too many innocent places, and protect nothing.
        const SHORTEST: usize = 6;
        let values = self
            .values
            .iter()
            .map(|(name, value)| (name, value.expose_secret()));
        let mut written: Vec<(Zeroizing<String>, String)> = values
            .filter(|(_, value)| value.len() >= SHORTEST)
            .flat_map(|(name, value)| {
                Form::ALL.map(|(form, _)| (Zeroizing::new(form.write(value)), name.clone()))
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

fn yaml_double_quoted(secret: &str) -> String {
    // Every JSON string is a double-quoted YAML scalar.
    serde_json::Value::from(secret).to_string()
}

fn percent_encoded(secret: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    encoded
}

/// RFC 5803 as PostgreSQL writes it: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
fn scram_verifier(password: &str) -> String {
    let salt = &stretched(password, b"kbz scram salt")[..16];
    let salted = stretched(password, salt);
    let stored_key = Sha256::digest(*mac(&*salted, b"Client Key"));
    let server_key = mac(&*salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${SCRAM_ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored_key),
        BASE64.encode(*server_key),
    )
}

fn stretched(password: &str, salt: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(
        password.as_bytes(),
        salt,
        SCRAM_ITERATIONS,
    ))
}

fn mac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
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
