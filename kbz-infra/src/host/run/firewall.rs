//! UFW, and the way back out of a rule that locks everybody out.
//!
//! A change that can cut the operator off is made under a timer on the host that undoes it;
//! only a connection made afresh after the change stops the timer. An open connection proves
//! nothing: the firewall lets it go on.

use super::said;
use super::shell::{Change, unreachable};
use crate::diag::error_chain;
use crate::effect::{EffectError, RunContext};
use crate::host::read::HostSite;
use crate::host::registry::Registry;
use crate::host::transport::{Exec, Transport};
use crate::model::FirewallRule;

/// How long the host waits for the fresh connection.
const REVERT_AFTER: u32 = 30;

/// Prints `guarded` where taking the rule away could close SSH's own port.
const SSH_PORTS: &str = r"ports=$(sshd -T 2>/dev/null | sed -n 's/^port //p'); ports=${ports:-22}
";

/// One `ufw` at a time: it reads all rules, adds one and writes them back, so of two at once
/// the later would take the earlier's rule away.
const ALONE: &str = "flock --wait 60 /run/kbz-ufw.lock";

/// The same for all of a script. What goes under the timer waits for others here, before that is set:
/// the time until the change is undone is for the change and the fresh connection alone.
const ALONE_FROM_HERE: &str = "exec 8>/run/kbz-ufw.lock
flock --wait 60 8 || fail 'another ufw does not end'
";

/// Refuses unless a rule lets SSH in.
const SSH_ALLOWED: &str = r#"allowed=
for port in $ports; do
if grep -Eqs "^### tuple ### (allow|limit)[a-z_]* (tcp|any) $port " /etc/ufw/user.rules /etc/ufw/user6.rules; then allowed=1; fi
done
[ -n "$allowed" ] || fail "no rule lets SSH in (port $ports): declare one before the firewall is switched on"
"#;

/// `ufw`'s words for a rule.
fn words(rule: &FirewallRule) -> String {
    let from = rule
        .from
        .map_or_else(|| "any".to_owned(), |from| from.to_string());
    format!(
        "allow proto {} from {from} to any port {}",
        rule.protocol, rule.port
    )
}

/// Adds a rule; `ufw` skips one that is there.
pub(super) fn allow(rule: &FirewallRule) -> Change {
    Change::new(
        format!("ufw {}", words(rule)),
        format!("{ALONE} ufw {} </dev/null", words(rule)),
    )
}

/// Removes a rule; under the timer where it is for SSH's own port.
pub(super) async fn revoke(
    site: &HostSite,
    knock: &dyn Transport,
    rule: &FirewallRule,
    run: &RunContext,
) -> Result<(), EffectError> {
    let what = format!("ufw delete {}", words(rule));
    let script = revoking(&site.registry, rule);
    let output = Change::new(&what, script).run(site, run).await?;
    if output.text().contains("guarded") {
        return confirm(site, knock, &what, run).await;
    }
    Ok(())
}

fn revoking(registry: &Registry, rule: &FirewallRule) -> String {
    let words = words(rule);
    let timer = timer(registry, &format!("{ALONE} ufw {words}"));
    let port = rule.port;
    format!(
        "{ALONE_FROM_HERE}{SSH_PORTS}for port in $ports; do if [ \"$port\" = {port} ]; then {timer} || fail 'no timer'; echo guarded; fi; done\n\
         said=$(ufw --force delete {words} 2>&1 </dev/null) || case $said in *'non-existent'*) ;; *) fail \"$said\" ;; esac"
    )
}

/// Switches UFW on, under the timer.
pub(super) async fn enable(
    site: &HostSite,
    knock: &dyn Transport,
    run: &RunContext,
) -> Result<(), EffectError> {
    let what = "ufw enable";
    Change::new(what, enabling(&site.registry))
        .run(site, run)
        .await?;
    confirm(site, knock, what, run).await
}

fn enabling(registry: &Registry) -> String {
    let timer = timer(registry, "ufw --force disable");
    format!(
        "{ALONE_FROM_HERE}{SSH_PORTS}{SSH_ALLOWED}{timer} || fail 'no timer'\n\
         ufw default deny incoming </dev/null >/dev/null && ufw --force enable </dev/null"
    )
}

/// Undoes the change later, unless it is stopped.
fn timer(registry: &Registry, undo: &str) -> String {
    let unit = unit(registry);
    format!(
        "{{ systemctl stop {unit}.timer 2>/dev/null; systemctl reset-failed {unit}.service 2>/dev/null; \
         systemd-run --quiet --unit={unit} --on-active={REVERT_AFTER}s --timer-property=AccuracySec=1s \
         /bin/sh -c '{undo}'; }}"
    )
}

fn unit(registry: &Registry) -> String {
    format!("kbz-revert-firewall-{}", registry.stack())
}

/// Stops the timer over a connection made afresh; without one, the host undoes the change.
async fn confirm(
    site: &HostSite,
    knock: &dyn Transport,
    what: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    run.progress
        .say("makes sure that the host can still be reached");
    knock.close().await;
    let stop = format!("systemctl stop {}.timer", unit(&site.registry));
    let deadline = std::time::Duration::from_secs(20);
    let output = knock.exec(Exec::new(stop, deadline)).await;
    knock.close().await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(said::failed(what, said::tidy(run, &output.complaint()))),
        Err(error) if error.may_have_run() => Err(unreachable(site, &error)),
        Err(error) => Err(said::failed(
            what,
            format!(
                "a new connection did not come about ({}); the host undoes the change by itself \
                 within {REVERT_AFTER} s",
                error_chain(&error)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    /// Whoever waits for another `ufw` under the timer may find the change undone before it is made,
    /// and then made without a timer.
    #[test]
    fn nobody_waits_for_another_under_the_timer() {
        let registry = Registry::of(&"keybuzz".parse().unwrap());
        let ssh = FirewallRule {
            port: 22,
            protocol: Protocol::Tcp,
            from: None,
        };
        for script in [enabling(&registry), revoking(&registry, &ssh)] {
            let (before, after) = script.split_once("systemd-run").unwrap();
            assert!(before.contains("flock --wait 60 8 ||"), "{script}");
            // But for the undo itself, which the timer runs.
            let (_, after) = after.split_once("|| fail 'no timer'").unwrap();
            assert!(!after.contains("flock"), "{script}");
        }
    }

    #[test]
    fn a_rule_in_the_words_of_ufw() {
        let rule = FirewallRule {
            port: 5432,
            protocol: Protocol::Tcp,
            from: Some("10.0.0.0/24".parse().unwrap()),
        };
        assert_eq!(
            words(&rule),
            "allow proto tcp from 10.0.0.0/24 to any port 5432"
        );
        let open = FirewallRule { from: None, ..rule };
        assert_eq!(words(&open), "allow proto tcp from any to any port 5432");
    }
}
