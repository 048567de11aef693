//! The forms in which a secret is written down, and what each escapes or derives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::mac::Key;

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
    pub(super) const ALL: [(Form, &'static str); 5] = [
        (Form::Plain, "plain"),
        (Form::Yaml, "yaml"),
        (Form::Userlist, "userlist"),
        (Form::ScramVerifier, "scram-verifier"),
        (Form::Url, "url"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(form, _)| *form == self)
            .map_or("", |(_, name)| name)
    }

    pub(super) fn write(self, secret: &str) -> String {
        match self {
            Form::Plain => secret.to_owned(),
            Form::Yaml => yaml_double_quoted(secret),
            Form::Userlist => secret.replace('"', "\"\""),
            Form::ScramVerifier => scram_verifier(secret),
            Form::Url => percent_encoded(secret),
        }
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
    let salted = Key::new(&*stretched(password, salt));
    let stored_key = Sha256::digest(*salted.mac(b"Client Key"));
    let server_key = salted.mac(b"Server Key");
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
