//! Files that people write.

use std::path::Path;

use kbz_infra::program::{Credentials, Environments, Inventory, Role, Versions};

use crate::{settle, text};

/// `servers.tsv`.
pub fn inventory(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let read = Inventory::parse("servers.tsv", &text);
    if let Ok(inventory) = &read {
        settle(bytes, &inventory.select(Role::Db, "postgres"));
        settle(bytes, &inventory.select_role(Role::Lb));
    }
    settle(bytes, &read);
}

/// `kbz.toml`.
pub fn environment(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let folder = Path::new("/etc/kbz");
    let read = Environments::parse("kbz.toml", &text, folder, Some(folder));
    if let Ok(environments) = &read {
        settle(bytes, &environments.get(None));
    }
    settle(bytes, &read);
}

/// A file of credentials.
pub fn credentials(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    // What is read shows itself nowhere; only errors are looked at.
    settle(bytes, &Credentials::parse("postgres.env", &text).map(drop));
}

/// `versions.yaml`.
pub fn versions(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let read = Versions::parse("versions.yaml", &text);
    if let Ok(versions) = &read {
        settle(bytes, &versions.postgres());
        settle(bytes, &versions.image("haproxy"));
        settle(bytes, &versions.get("patroni"));
    }
    settle(bytes, &read);
}
