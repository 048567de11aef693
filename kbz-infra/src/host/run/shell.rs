//! Changes of a host by one script, and what its exit code means.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use super::said;
use crate::diag::error_chain;
use crate::effect::{EffectError, Halt, RunContext};
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

/// A line before the complaints of each of several changes.
const PART: &str = "@kbz-part";

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

    /// Several as one: each in a shell of its own, with its own part of the input, and none after one
    /// that fails; then the output is how many are done. `again` stands before each but the first.
    fn joined(parts: &[Self], again: &str) -> Self {
        let mut script = String::new();
        for (done, part) in parts.iter().enumerate() {
            let again = if done == 0 { "" } else { again };
            // What a part says besides its complaint is of no use to anybody.
            let body = format!("(\n{again}{}\n) >/dev/null", part.script);
            let length = part.stdin.len();
            let run = if length == 0 {
                format!("{body} </dev/null")
            } else {
                // What a part leaves of its input is not the next one's.
                format!("head -c {length} | {{ {body}; code=$?; cat >/dev/null; exit $code; }}")
            };
            let _ = write!(
                script,
                "echo {PART} >&2\n{run} || {{ code=$?; echo {done}; exit $code; }}\n"
            );
        }
        let inputs: Vec<&[u8]> = parts.iter().map(|part| part.stdin.as_ref()).collect();
        let deadlines = parts.iter().map(|part| part.deadline);
        Self::new("changes", script)
            .stdin(inputs.concat())
            .within(deadlines.sum())
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
        let what = self.what.clone();
        let output = self.sent(site, run).await?;
        judge(&what, site, run, output)
    }

    async fn sent(self, site: &HostSite, run: &RunContext) -> Result<Output, EffectError> {
        let exec = Exec::new(self.text(&site.registry, run.run), self.deadline).stdin(self.stdin);
        let output = site.transport.exec(exec).await;
        output.map_err(|error| unreachable(site, &error))
    }
}

/// Carries several changes of a host out by one exec, in order, and ends at the first that fails.
pub(super) async fn run_all(
    changes: Vec<Change>,
    site: &HostSite,
    run: &RunContext,
) -> Result<(), Halt> {
    let again = site.registry.fence_again(run.run);
    let output = Change::joined(&changes, &again).sent(site, run).await;
    let mut output = output.map_err(Halt::at_once)?;
    output.stderr = last_part(&output.stderr).to_vec();
    // A host may say anything.
    let done: usize = output.text().trim().parse().unwrap_or(0);
    let done = done.min(changes.len().saturating_sub(1));
    let what = changes.get(done).map_or("", |change| &change.what);
    let judged = judge(what, site, run, output);
    judged.map(drop).map_err(|error| Halt { done, error })
}

/// What was complained of since the last part began.
fn last_part(complaints: &[u8]) -> &[u8] {
    let line = [PART.as_bytes(), b"\n"].concat();
    let mut places = complaints.windows(line.len());
    match places.rposition(|place| place == line) {
        Some(place) => &complaints[place + line.len()..],
        None => complaints,
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Output, Stdio};

    use super::*;

    /// What a shell makes of changes that go together, the fence left out.
    fn sh(changes: &[Change]) -> Output {
        let joined = Change::joined(changes, "");
        #[expect(
            clippy::disallowed_methods,
            reason = "a script is tried in a real shell"
        )]
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{FUNCTIONS}{}", joined.script)]);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.stderr(Stdio::piped()).spawn().unwrap();
        let mut input = shell.stdin.take().unwrap();
        input.write_all(&joined.stdin).unwrap();
        drop(input);
        shell.wait_with_output().unwrap()
    }

    fn told(changes: &[Change]) -> (Option<i32>, String, String) {
        let output = sh(changes);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr).replace(&format!("{PART}\n"), "|"),
        )
    }

    fn change(script: &str, stdin: &'static str) -> Change {
        Change::new("x", script).stdin(stdin)
    }

    #[test]
    fn each_change_reads_its_own_input_and_has_variables_of_its_own() {
        let read = "echo said; echo \"$x$(cat)\" >&2; x=other";
        let changes = [
            change(read, "one"),
            change(read, ""),
            change(read, "three\n"),
        ];
        assert_eq!(
            told(&changes),
            (Some(0), String::new(), "|one\n|\n|three".to_owned())
        );
    }

    #[test]
    fn what_a_change_does_not_read_is_not_the_next_ones() {
        let long = Box::leak("z".repeat(200_000).into_boxed_str());
        let changes = [change("exit 0", long), change("cat >&2", "next")];
        assert_eq!(
            told(&changes),
            (Some(0), String::new(), "||next".to_owned())
        );
    }

    #[test]
    fn a_newer_run_is_met_before_each_but_the_first() {
        let changes = [change("one", ""), change("two", "")];
        let joined = Change::joined(&changes, "again\n").script;
        assert!(joined.contains("(\none\n)"), "{joined}");
        assert!(joined.contains("(\nagain\ntwo\n)"), "{joined}");
    }

    #[test]
    fn only_the_one_that_failed_complains() {
        let complaints = format!("{PART}\na warning\n{PART}\nno room\n");
        assert_eq!(last_part(complaints.as_bytes()), b"no room\n");
        assert_eq!(last_part(b"before any"), b"before any");
    }

    #[test]
    fn the_first_that_fails_is_the_last_and_tells_how_many_are_done() {
        let changes = [
            change("cat >&2", "one"),
            change(
                "trap 'echo swept >&2' EXIT; cat >&2; moved 'it is gone'",
                "two",
            ),
            change("echo three >&2", ""),
        ];
        let expected = (
            Some(76),
            "1".to_owned(),
            "|one|twoit is gone\nswept".to_owned(),
        );
        assert_eq!(told(&changes), expected);
        assert_eq!(told(&changes[1..]).1, "0");
    }

    #[test]
    fn they_may_take_as_long_as_all_of_them() {
        let joined = Change::joined(&[change("", ""), change("", "").long()], "");
        assert_eq!(joined.deadline, SHORT + LONG);
    }
}
