//! One change of a host by one script, and what its exit code means.

use std::time::Duration;

use bytes::Bytes;

use super::said;
use crate::diag::error_chain;
use crate::effect::{EffectError, RunContext};
use crate::host::read::HostSite;
use crate::host::registry::{self, Registry};
use crate::host::shell::NulByte;
use crate::host::transport::{Exec, Output, TransportError};
use crate::probe::{Outage, Site};

/// The exit code of a script that found something else than the plan expects; it prints what.
const MOVED: u32 = 76;

/// How long a change may take that has nothing to wait for.
pub(super) const SHORT: Duration = Duration::from_mins(1);
/// How long a change may take that waits for a service.
pub(super) const LONG: Duration = Duration::from_mins(15);

/// Shell functions that every change may use.
const FUNCTIONS: &str = r#"fail() { printf '%s\n' "$*" >&2; exit 1; }
moved() { printf '%s\n' "$*" >&2; exit 76; }
"#;

/// A script that changes a host.
pub(super) struct Change {
    /// What it does, for an error.
    pub(super) what: String,
    /// The script. It runs after the fence, with a mask of 022.
    pub(super) script: String,
    /// What it reads: contents, and with them secrets, which no process list shows.
    pub(super) stdin: Bytes,
    /// How long it may take.
    pub(super) deadline: Duration,
    /// Whether an older run than the host's newest is refused first.
    fenced: bool,
}

impl Change {
    /// A script without input.
    pub(super) fn new(what: impl Into<String>, script: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            script: script.into(),
            stdin: Bytes::new(),
            deadline: SHORT,
            fenced: true,
        }
    }

    /// Lets the script take so long.
    pub(super) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Lets the script come without the fence: it decides itself which run may go on.
    pub(super) fn before_the_fence(mut self) -> Self {
        self.fenced = false;
        self
    }

    /// Gives the script something to read.
    pub(super) fn stdin(mut self, stdin: impl Into<Bytes>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Goes on with `more` where the script has succeeded.
    pub(super) fn then(mut self, more: &str) -> Self {
        self.script = format!("{{ {}\n}} || exit\n{more}", self.script);
        self
    }

    /// Lets the script take as long as a service may.
    pub(super) fn long(mut self) -> Self {
        self.deadline = LONG;
        self
    }

    /// The whole text that the host's shell reads.
    pub(super) fn text(&self, registry: &Registry, run: u64) -> String {
        let script = &self.script;
        let fence = if self.fenced {
            registry.fence(run)
        } else {
            String::new()
        };
        format!("{fence}umask 022\n{FUNCTIONS}{script}\n")
    }

    /// Carries it out on a host.
    pub(super) async fn run(
        self,
        site: &HostSite,
        run: &RunContext,
    ) -> Result<Output, EffectError> {
        let exec = Exec::new(self.text(&site.registry, run.run), self.deadline).stdin(self.stdin);
        let output = site.transport.exec(exec).await;
        let output = output.map_err(|error| unreachable(site, &error))?;
        judge(&self.what, site, run, output)
    }
}

/// What the exit code says.
pub(super) fn judge(
    what: &str,
    site: &HostSite,
    run: &RunContext,
    output: Output,
) -> Result<Output, EffectError> {
    let complaint = || said::tidy(run, &output.complaint());
    match output.status.code() {
        Some(0) => Ok(output),
        Some(MOVED) => Err(EffectError::Moved {
            what: what.to_owned(),
            found: complaint(),
        }),
        Some(Registry::HELD) => Err(EffectError::Held {
            site: site.name().to_string(),
            by: complaint(),
        }),
        Some(registry::SUPERSEDED) => Err(EffectError::Moved {
            what: site.name().to_string(),
            found: format!("{} has changed it, a newer run than this one", complaint()),
        }),
        _ => {
            let complaint = complaint();
            let said = if complaint.is_empty() {
                output.status.to_string()
            } else {
                complaint
            };
            Err(said::failed(what, said))
        }
    }
}

/// A host that gave no answer.
pub(super) fn unreachable(site: &HostSite, error: &TransportError) -> EffectError {
    let why = error_chain(error);
    match error {
        TransportError::Invalid { .. } => {
            said::failed(format!("a command on {}", site.name()), why)
        }
        _ => EffectError::Unreachable(Outage::new(&Site::Host(site.name().clone()), why)),
    }
}

/// An argument that no shell can be told.
pub(super) fn unspeakable(error: &NulByte) -> EffectError {
    said::failed("the command", error.to_string())
}
