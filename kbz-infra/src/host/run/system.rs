//! Kernel parameters, modules and swap.

use super::shell::{Change, unspeakable};
use crate::effect::EffectError;
use crate::host::read::sysctl_path;
use crate::host::shell;

/// Ends the use of swap, and takes it out of `/etc/fstab`: its lines become comments.
const SWAP_OFF: &str = r#"swapoff -a || exit 1
[ -e /etc/fstab ] || exit 0
pattern='^[[:space:]]*[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap([[:space:]]|$)'
grep -Eq "$pattern" /etc/fstab || exit 0
cp -p /etc/fstab /etc/.fstab.kbz-new && sed -E "/$pattern/s/^/# /" /etc/fstab >/etc/.fstab.kbz-new &&
sync /etc/.fstab.kbz-new && mv -f /etc/.fstab.kbz-new /etc/fstab && sync /etc && systemctl daemon-reload
"#;

/// Sets the running value of a parameter.
pub(super) fn set_sysctl(key: &str, value: &str) -> Result<Change, EffectError> {
    let path = sysctl_path(key);
    let script = shell::quote(&path)
        .and_then(|path| Ok(format!("printf '%s\\n' {} >{path}", shell::quote(value)?)))
        .map_err(|error| unspeakable(&error))?;
    Ok(Change::new(format!("{key} = {value}"), script))
}

/// Ends the use of all swap areas.
pub(super) fn swap_off() -> Change {
    Change::new("swap", SWAP_OFF).long()
}

/// Loads a module.
pub(super) fn load_module(name: &str) -> Result<Change, EffectError> {
    let quoted = shell::quote(name).map_err(|error| unspeakable(&error))?;
    Ok(Change::new(
        format!("kernel module {name}"),
        format!("modprobe -- {quoted}"),
    ))
}
