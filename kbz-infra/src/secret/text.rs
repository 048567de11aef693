//! Text with holes for secrets.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::reference::{InvalidSecretRef, SecretRef};
use super::vault::{UnknownSecret, Vault};
use crate::ident::Digest;

/// One piece of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segment {
    /// Text as it is.
    Plain(String),
    /// A secret, filled in at the last moment.
    Secret(SecretRef),
}

/// The content of a file or the value of a field, in which secrets are references.
///
/// ```
/// use kbz_infra::secret::Text;
/// use kbz_infra::secret::SecretRef;
///
/// let text = Text::from_marked(&format!("password = {}\n", SecretRef::new("DB_PASS").marker()))?;
/// assert_eq!(text.to_string(), "password = (secret DB_PASS)\n");
/// # Ok::<(), kbz_infra::secret::InvalidSecretRef>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text {
    segments: Vec<Segment>,
}

impl Text {
    /// Text without secrets.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            segments: vec![Segment::Plain(text.into())],
        }
    }

    /// A secret alone.
    pub fn secret(secret: SecretRef) -> Self {
        Self {
            segments: vec![Segment::Secret(secret)],
        }
    }

    /// Reads a rendered template in which [`SecretRef::marker`]s stand for secrets.
    pub fn from_marked(rendered: &str) -> Result<Self, InvalidSecretRef> {
        let mut segments = Vec::new();
        let mut rest = rendered;
        while let Some((before, after)) = rest.split_once(SecretRef::OPEN) {
            let (inner, after) = after
                .split_once(SecretRef::CLOSE)
                .ok_or_else(|| InvalidSecretRef(after.chars().take(40).collect()))?;
            if !before.is_empty() {
                segments.push(Segment::Plain(before.to_owned()));
            }
            segments.push(Segment::Secret(inner.parse()?));
            rest = after;
        }
        if !rest.is_empty() {
            segments.push(Segment::Plain(rest.to_owned()));
        }
        Ok(Self { segments })
    }

    /// A text that a host holds, with the secrets of `vault` that stand in it as references
    /// again.
    pub fn hiding(text: &str, vault: &Vault) -> Self {
        let mut segments = vec![Segment::Plain(text.to_owned())];
        for (written, secret) in vault.written() {
            let hidden = segments.into_iter().flat_map(|segment| match segment {
                Segment::Plain(text) => without(&text, written, secret),
                Segment::Secret(_) => vec![segment],
            });
            segments = hidden.collect();
        }
        Self { segments }
    }

    /// The pieces in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The secrets referred to, in order of appearance.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Plain(_) => None,
            Segment::Secret(secret) => Some(secret),
        })
    }

    /// Whether a secret is part of the text.
    pub fn is_secret(&self) -> bool {
        self.secrets().next().is_some()
    }

    /// The text with its secrets filled in.
    pub fn resolve(&self, vault: &Vault) -> Result<Zeroizing<String>, UnknownSecret> {
        let mut whole = Zeroizing::new(String::new());
        for segment in &self.segments {
            match segment {
                Segment::Plain(text) => whole.push_str(text),
                Segment::Secret(secret) => whole.push_str(&vault.resolve(secret)?),
            }
        }
        Ok(whole)
    }

    /// `old` as a person may see it: where a line of this text holds a secret, what the old
    /// text has in that line's place is hidden, even a value that is no longer known. A line whose
    /// secrets are the same reads the same in both.
    pub fn mask_old(&self, old: &str, vault: &Vault) -> String {
        let shown = self.to_string();
        let old = &vault.redact(old);
        let same: BTreeSet<&str> = shown.lines().collect();
        let prefixes: Vec<&str> = shown
            .lines()
            .filter_map(|line| line.split_once("(secret ").map(|(prefix, _)| prefix))
            .collect();
        let masked = old.lines().map(|line| {
            match prefixes
                .iter()
                .find(|prefix| !prefix.is_empty() && line.starts_with(**prefix))
            {
                Some(_) if same.contains(line) => line.to_owned(),
                Some(prefix) => format!("{prefix}(secret, as it was)"),
                None => line.to_owned(),
            }
        });
        let mut text = masked.collect::<Vec<_>>().join("\n");
        if old.ends_with('\n') {
            text.push('\n');
        }
        text
    }

    /// The digest of the text with its secrets filled in: what the host's own hash is
    /// compared with.
    pub fn digest(&self, vault: &Vault) -> Result<Digest, UnknownSecret> {
        Ok(Digest::of(self.resolve(vault)?.as_bytes()))
    }
}

/// The pieces of a text in which each `written` is a reference to `secret`.
fn without(text: &str, written: &str, secret: &SecretRef) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (index, plain) in text.split(written).enumerate() {
        if index > 0 {
            segments.push(Segment::Secret(secret.clone()));
        }
        if !plain.is_empty() {
            segments.push(Segment::Plain(plain.to_owned()));
        }
    }
    segments
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

/// For people: each secret shown by its name.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Plain(text) => f.write_str(text)?,
                Segment::Secret(secret) => write!(f, "{secret}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::secret::Form;

    #[test]
    fn marked_text_resolves_and_shows_only_names() {
        let marked = format!(
            "user: kb_app\npassword: {}\n",
            SecretRef::new("APP_PASS").form(Form::Yaml).marker()
        );
        let text = Text::from_marked(&marked).unwrap();
        let mut vault = Vault::new();
        vault.insert("APP_PASS", SecretString::from("it's \"me\"".to_owned()));
        assert_eq!(
            text.resolve(&vault).unwrap().as_str(),
            "user: kb_app\npassword: \"it's \\\"me\\\"\"\n"
        );
        assert_eq!(
            text.to_string(),
            "user: kb_app\npassword: (secret APP_PASS)\n"
        );
    }

    #[test]
    fn a_text_of_a_host_is_kept_without_its_secrets_and_comes_back() {
        let mut vault = Vault::new();
        vault.insert("APP_PASS", SecretString::from("it's \"me\"".to_owned()));
        for form in [Form::Plain, Form::Yaml, Form::Userlist, Form::ScramVerifier] {
            let secret = vault
                .resolve(&SecretRef::new("APP_PASS").form(form))
                .unwrap();
            let held = format!("one {} two {}\n", *secret, *secret);
            let hidden = Text::hiding(&held, &vault);
            assert_eq!(
                hidden.to_string(),
                "one (secret APP_PASS) two (secret APP_PASS)\n"
            );
            assert_eq!(*hidden.resolve(&vault).unwrap(), held);
        }
    }

    #[test]
    fn a_secret_that_is_the_same_reads_the_same_and_another_is_hidden() {
        let marker = SecretRef::new("APP_PASS").form(Form::Yaml).marker();
        let text = Text::from_marked(&format!("password: {marker}\nport: 2\n")).unwrap();
        let mut vault = Vault::new();
        vault.insert("APP_PASS", SecretString::from("the-present-one".to_owned()));
        let old = |password: &str| format!("password: \"{password}\"\nport: 1\n");
        assert_eq!(
            text.mask_old(&old("the-present-one"), &vault),
            "password: (secret APP_PASS)\nport: 1\n"
        );
        assert_eq!(
            text.mask_old(&old("an-earlier-one"), &vault),
            "password: (secret, as it was)\nport: 1\n"
        );
    }

    #[test]
    fn a_broken_marker_is_refused() {
        assert!(Text::from_marked("x ⟦NAME").is_err());
        assert!(Text::from_marked("x ⟦NAME:nonsense⟧").is_err());
    }

    #[test]
    fn an_unknown_secret_is_named() {
        let text = Text::secret(SecretRef::new("NOWHERE"));
        assert_eq!(text.resolve(&Vault::new()).unwrap_err().name, "NOWHERE");
    }
}
