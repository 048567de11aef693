//! systemd: each verb waits until systemd is done, and a failure shows the unit's last words.

use super::shell::{Change, unspeakable};
use crate::effect::{EffectError, UnitVerb};
use crate::host::shell;

/// How much of the journal explains a failure.
const JOURNAL: u32 = 20;

/// Tells systemd what to do with `unit`.
pub(super) fn change(verb: UnitVerb, unit: &str) -> Result<Change, EffectError> {
    let quoted = shell::quote(unit).map_err(|error| unspeakable(&error))?;
    let what = format!("systemctl {} {unit}", word(verb));
    Ok(Change::new(what, script(verb, &quoted)).long())
}

fn word(verb: UnitVerb) -> &'static str {
    match verb {
        UnitVerb::Enable => "enable",
        UnitVerb::Disable => "disable",
        UnitVerb::Start => "start",
        UnitVerb::Stop => "stop",
        UnitVerb::Restart => "restart",
        UnitVerb::Reload => "reload",
        UnitVerb::DaemonReload => "daemon-reload",
    }
}

fn script(verb: UnitVerb, unit: &str) -> String {
    let explain = format!(
        "explain() {{ journalctl -u {unit} -n {JOURNAL} --no-pager -o cat >&2; exit 1; }}\n"
    );
    // A unit that hit its start limit would not even be tried.
    let forgive = format!("systemctl reset-failed -- {unit} 2>/dev/null\n");
    let gone = format!(
        "if [ \"$(systemctl show -p LoadState --value -- {unit})\" = not-found ]; then exit 0; fi\n"
    );
    let word = word(verb);
    match verb {
        UnitVerb::DaemonReload => "systemctl daemon-reload".to_owned(),
        UnitVerb::Enable => {
            // It reads the files, and lets systemd read them again.
            format!("systemctl enable --quiet -- {unit}")
        }
        // Of a unit without a file systemd takes no link away.
        UnitVerb::Disable => format!(
            "said=$(systemctl disable --quiet -- {unit} 2>&1) || case $said in\n\
             *'does not exist'*) rm -f /etc/systemd/system/*.wants/{unit} \
             /etc/systemd/system/*.requires/{unit} && systemctl daemon-reload ;;\n\
             *) fail \"$said\" ;;\nesac"
        ),
        // What no longer exists does not run.
        UnitVerb::Stop => format!("{gone}{explain}systemctl stop -- {unit} || explain"),
        UnitVerb::Start | UnitVerb::Restart => {
            format!("{forgive}{explain}systemctl {word} -- {unit} || explain")
        }
        UnitVerb::Reload => format!("{explain}systemctl reload -- {unit} || explain"),
    }
}
