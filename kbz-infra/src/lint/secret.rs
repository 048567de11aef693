//! Secrets where other people can read them: in the program itself, and in what is not private.
//!
//! A reference to a secret is recognised for sure. Clear text is recognised by what stands before
//! it: a name that ends like that of a password and a value that is no placeholder, a URL with a
//! password, the head of a private key. The value itself is never quoted.

use std::collections::BTreeMap;

use super::facts::{Facts, Said};
use super::label::and;
use crate::diag::{Finding, SourceLocation};
use crate::ident::Place;

/// How names of secrets end, in lower case.
const ENDINGS: [&str; 11] = [
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "requirepass",
    "masterauth",
];

/// What stands for a reference to a secret while a line is judged.
const REFERENCE: &str = "$SECRET";

/// Values that are words of a configuration language and no secrets.
const WORDS: [&str; 10] = [
    "", "null", "none", "true", "false", "yes", "no", "on", "off", "prompt",
];

/// One finding for each declaration and place of text.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str), (bool, Vec<String>)> = BTreeMap::new();
    for said in &facts.texts {
        let signs = signs(said);
        let readable = said.holds_secret && !said.private;
        if readable || !signs.is_empty() {
            let key = (&said.by.place, said.place.as_str());
            let entry = found.entry(key).or_default();
            entry.0 |= readable;
            entry.1.extend(signs);
        }
    }
    found
        .into_iter()
        .map(|((place, stands), (reference, signs))| finding(place, stands, reference, &signs))
        .collect()
}

fn finding(place: &Place, stands: &str, reference: bool, signs: &[String]) -> Finding {
    let location = SourceLocation::from(place);
    let label = if signs.is_empty() {
        "declared here".to_owned()
    } else {
        and(signs)
    };
    let finding = if reference {
        let message = format!("{stands} holds a secret that others can read");
        Finding::error("kbz::secret::readable", message).label(location, label)
    } else {
        let message = format!("{stands} seems to hold a secret in clear text");
        // The line of the program may hold the secret itself.
        Finding::error("kbz::secret::clear-text", message).label(location.withhold(), label)
    };
    finding.help(
        "put it in the credentials file, refer to it by its name, and write it to a file of \
         mode 0600 alone",
    )
}

/// What gives a secret away, by line; never the value.
fn signs(said: &Said) -> Vec<String> {
    let lines = (1..).zip(said.text.lines());
    lines
        .filter_map(|(number, line)| sign(line).map(|what| format!("{what} in line {number}")))
        .collect()
}

fn sign(line: &str) -> Option<String> {
    let line = &without_references(line.trim());
    if line.starts_with(['#', ';']) {
        return None;
    }
    if line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY") {
        return Some("a private key".to_owned());
    }
    if has_url_password(line) {
        return Some("a password in a URL".to_owned());
    }
    let name = named_secret(line).or_else(|| spaced_secret(line));
    name.map(|name| format!("`{name}`"))
}

/// The line with each `(secret NAME)` as one word that is no value.
fn without_references(line: &str) -> String {
    let mut parts = line.split("(secret ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((_, rest)) => kept.extend([REFERENCE, rest]),
            None => kept.extend(["(secret ", part]),
        }
    }
    kept
}

/// The name in `--name value`, `--name=value`, or in `requirepass value`, where a space is what
/// parts them.
fn spaced_secret(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs = words.iter().enumerate().filter_map(|(index, word)| {
        let flag = word.starts_with("--");
        let whole = word.trim_start_matches('-');
        if let (true, Some((name, value))) = (flag, whole.split_once('=')) {
            return Some((name, value));
        }
        let alone = flag || ["requirepass", "masterauth"].contains(word);
        alone.then_some((whole, *words.get(index + 1)?))
    });
    let mut secrets = pairs.filter(|(name, value)| is_named_secret(name) && is_value(value));
    secrets.next().map(|(name, _)| name)
}

/// `scheme://user:password@`, where the password is neither empty nor a placeholder.
fn has_url_password(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '"', '\'']).next().unwrap_or(rest);
        let user_info = authority.rsplit_once('@').map(|(before, _)| before);
        let password = user_info.and_then(|info| info.split_once(':'));
        password.is_some_and(|(_, password)| is_value(password))
    })
}

/// The name in `name: value` or `name = value` when it is that of a secret.
fn named_secret(line: &str) -> Option<&str> {
    let (at, _) = line.char_indices().find(|(_, c)| matches!(c, ':' | '='))?;
    let value = line[at + 1..].trim();
    let name = line[..at].trim().trim_matches(['"', '\'']);
    let name = name.rsplit(char::is_whitespace).next()?;
    (is_named_secret(name) && is_value(value)).then_some(name)
}

fn is_named_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    ENDINGS.iter().any(|ending| ends_with_word(&lower, ending))
}

/// Whether a name ends with a word of its own: `app_pass`, and not `bypass`.
fn ends_with_word(name: &str, word: &str) -> bool {
    let longer = word.len() > "pass".len();
    match name.strip_suffix(word) {
        Some("") => true,
        Some(before) => longer || before.ends_with(['_', '.']),
        None => false,
    }
}

/// Whether a text can be a secret: no placeholder, no path, no word of the language.
fn is_value(text: &str) -> bool {
    let value = text.trim().trim_end_matches([',', ';']);
    let value = value.trim_matches(['"', '\'']);
    let placeholder = value.starts_with(['$', '{', '<', '%', '/', '⟦', '*', '|', '>']);
    !placeholder && !WORDS.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_is_recognised_by_its_name() {
        for line in [
            "POSTGRES_APP_PASS=hunter2",
            "  password: \"hunter2\"",
            "\"api_key\": \"abc\",",
            "requirepass hunter2",
            "redis-server --appendonly yes --requirepass hunter2",
            "minio --console=on --root-password=hunter2",
            "url = postgresql://app:hunter2@10.0.0.10/db",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "export VAULT_TOKEN=abc",
            "requirepass (secret",
            "app --user (secret NAME) --password hunter2",
        ] {
            assert!(sign(line).is_some(), "{line}");
        }
    }

    #[test]
    fn what_is_no_secret_is_left_alone() {
        for line in [
            "# password: hunter2",
            "password: (secret APP_PASS)",
            "requirepass (secret REDIS_PASS)",
            "redis-server --masterauth (secret REDIS_PASS) --port 6379",
            "password_encryption = scram-sha-256",
            "password_file = /etc/x",
            "passfile: /run/secrets/pgpass",
            "PASSWORD=${APP_PASS}",
            "password:",
            "bypass = 1",
            "haproxy -W -db -f /etc/haproxy/haproxy.cfg",
            "app --token /run/secrets/token --password-file /run/secrets/pass",
            "url = postgresql://app@10.0.0.10:5432/db",
            "server db1 10.0.0.120:5432 check port 8008",
            "auth_type = scram-sha-256",
        ] {
            assert_eq!(sign(line), None, "{line}");
        }
    }

    #[test]
    fn the_value_is_never_quoted() {
        let quoted = sign("POSTGRES_APP_PASS=hunter2").unwrap();
        assert_eq!(quoted, "`POSTGRES_APP_PASS`");
    }
}
