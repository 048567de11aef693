//! The secrets of all stories.

use std::sync::{Arc, OnceLock};

use kbz_infra::secret::Vault;
use secrecy::SecretString;

/// The value of each secret; nothing that the engine writes or says may hold one.
pub(crate) const CANARIES: [(&str, &str); 2] =
    [("SUPER", "canary-super-5e3c"), ("APP", "canary-app-77b1")];

/// The secrets of all stories. Shared, because what is made from them takes long.
pub(crate) fn vault() -> Arc<Vault> {
    static VAULT: OnceLock<Arc<Vault>> = OnceLock::new();
    let made = VAULT.get_or_init(|| {
        let mut vault = Vault::new();
        for (name, value) in CANARIES {
            vault.insert(name, SecretString::from(value.to_owned()));
        }
        Arc::new(vault)
    });
    Arc::clone(made)
}
