//! Notes in a host's registry, each written beside its place and renamed.

use super::said;
use super::shell::{Change, unspeakable};
use crate::effect::EffectError;
use crate::effect::Record;
use crate::host::read::HostSite;
use crate::host::registry::{Registry, belongs};
use crate::host::shell::{self, NulByte};
use crate::ident::Urn;
use crate::secret::KeyedHash;

/// Notes what a service was last started or reloaded with.
pub(super) fn stamp(site: &HostSite, name: &str, value: &KeyedHash) -> Result<Change, EffectError> {
    let value = serde_json::to_value(value).ok();
    let value = value.as_ref().and_then(serde_json::Value::as_str);
    let value = value.ok_or_else(|| said::failed(name, "its stamp is no text"))?;
    write(name, &site.registry.stamp(name), format!("{value}\n"))
}

/// Forgets it.
pub(super) fn remove_stamp(site: &HostSite, name: &str) -> Result<Change, EffectError> {
    remove(name, &site.registry.stamp(name))
}

/// Notes an object, and takes it from another stack that has noted it: it has one owner.
pub(super) fn mark(site: &HostSite, record: &Record) -> Result<Change, EffectError> {
    let urn = record.urn.to_string();
    if !belongs(record, site.name()) {
        let why = format!(
            "{} cannot keep the record of what is elsewhere",
            site.name()
        );
        return Err(said::failed(urn, why));
    }
    let line = serde_json::to_string(record);
    let line = line.map_err(|error| said::failed(&urn, error.to_string()))?;
    let path = site.registry.object(&record.urn);
    let others = others(&site.registry, &path).map_err(|error| unspeakable(&error))?;
    let write = write(&urn, &path, format!("{line}\n"))?;
    Ok(write.then(&others))
}

/// A command that removes the file of the same name from the registries of all other stacks.
fn others(registry: &Registry, path: &str) -> Result<String, NulByte> {
    let own = shell::quote(path)?;
    let all = shell::quote(registry.all())?;
    let name = shell::quote(path.rsplit('/').next().unwrap_or_default())?;
    Ok(format!(
        "for other in {all}/*/objects/{name}; do\n\
         [ \"$other\" = {own} ] || rm -f -- \"$other\" || exit 1\ndone"
    ))
}

/// Forgets an object.
pub(super) fn unmark(site: &HostSite, urn: &Urn) -> Result<Change, EffectError> {
    remove(&urn.to_string(), &site.registry.object(urn))
}

/// Notes a user's ids inside an image.
pub(super) fn user(
    site: &HostSite,
    reference: &str,
    user: &str,
    image: &str,
    (uid, gid): (u32, u32),
) -> Result<Change, EffectError> {
    let path = site.registry.user(reference, user);
    write(reference, &path, format!("{image} {uid} {gid}\n"))
}

/// The record of an object may be long: it travels as input, not in the script.
fn write(what: &str, path: &str, line: String) -> Result<Change, EffectError> {
    let path = shell::quote(path).map_err(|error| unspeakable(&error))?;
    // A connection that breaks ends the input early.
    let length = line.len();
    let script = format!(
        "path={path}; umask 077\n\
         mkdir -p -- \"${{path%/*}}\" && cat >\"$path.new\" &&\n\
         [ \"$(wc -c <\"$path.new\")\" -eq {length} ] &&\n\
         sync -- \"$path.new\" && mv -fT -- \"$path.new\" \"$path\" && sync -- \"${{path%/*}}\""
    );
    Ok(Change::new(what, script).stdin(line.into_bytes()))
}

fn remove(what: &str, path: &str) -> Result<Change, EffectError> {
    let path = shell::quote(path).map_err(|error| unspeakable(&error))?;
    Ok(Change::new(what, format!("rm -f -- {path}")))
}
