//! A host that starts anew, and the wait until it is back.

use std::time::Duration;

use tokio::time::Instant;

use super::said;
use super::shell::Change;
use crate::effect::{EffectError, RunContext};
use crate::host::read::{BOOT_ID, HostSite};
use crate::host::shell::{self, NulByte};
use crate::host::transport::{Exec, Transport};

/// How long a host may take to be back: firmware, checks of file systems, services.
const BACK: Duration = Duration::from_mins(10);
/// How long an answer may take while it starts.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// Starts the host anew, unless it has been since, and waits until its services are up.
pub(super) async fn run(
    site: &HostSite,
    knock: &dyn Transport,
    since: &str,
    run: &RunContext,
) -> Result<(), EffectError> {
    let what = "reboot";
    let refused = |error: &NulByte| said::failed(what, error.to_string());
    let expected = shell::quote(since).map_err(|error| refused(&error))?;
    // The host goes down only after this connection has its answer.
    let script = format!(
        "[ \"$({BOOT_ID})\" = {expected} ] || exit 0\n\
         sync; systemd-run --quiet --collect --on-active=1s systemctl reboot"
    );
    Change::new(what, script).run(site, run).await?;
    let deadline = Instant::now() + BACK;
    run.progress.say("waits for the host to be back");
    while Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        knock.close().await;
        if is_back(knock, since).await {
            // What was open before ends with the old start of the host.
            site.transport.close().await;
            return Ok(());
        }
    }
    let seconds = BACK.as_secs();
    Err(said::failed(
        what,
        format!("the host is not back after {seconds} s: look at its console, and run it again"),
    ))
}

/// Whether the host has started anew, as far as its services.
async fn is_back(knock: &dyn Transport, since: &str) -> bool {
    let script = format!("{BOOT_ID}; echo; systemctl is-active multi-user.target");
    match knock.exec(Exec::new(script, ANSWER)).await {
        Ok(output) => {
            let text = output.text();
            let mut lines = text.lines();
            let id = lines.next().unwrap_or_default();
            !id.is_empty() && id != since && lines.next() == Some("active")
        }
        Err(_) => false,
    }
}
