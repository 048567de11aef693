//! References to secrets: what everything but the vault holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::form::Form;

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
    /// [`Text::from_marked`](super::Text::from_marked) finds it again.
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
