//! Secrets as references, resolved at the last moment.
//!
//! A declaration, a plan, a journal and a state file hold a [`SecretRef`]: the name of a secret
//! and the form in which it is written down. The values live in a [`Vault`] in memory, filled
//! from the credentials files, and are wiped when it is dropped. What must be compared across
//! runs is compared by a hash keyed with the vault ([`Vault::keyed`]), so that a stolen state
//! file does not let anybody try out passwords.

mod form;
mod mac;
mod reference;
mod text;
mod vault;

pub use form::Form;
pub use reference::{InvalidSecretRef, Login, SecretRef};
pub use text::{Segment, Text};
pub use vault::{KeyedHash, UnknownSecret, Vault};
