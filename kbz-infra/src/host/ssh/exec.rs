//! Runs a script on a host.
//!
//! The command line is always the same short one; the script comes first on the standard
//! input, followed by the script's own input. So a script may be longer than the 128 KiB
//! that the kernel allows one argument, and no process list shows it. The shell on the host
//! compares the length of what arrived before it runs anything: a script that a broken
//! connection cut short is never half run. `timeout` on the host ends what outlives its
//! deadline, also when nobody is connected any more to stop it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelMsg;
use tokio::io::AsyncReadExt;

use super::channel::Writer;
use super::connect::{Open, Want};
use super::link::Link;
use crate::host::shell;
use crate::host::transport::{Endpoint, Exec, Input, Output, Status, TransportError};

/// Where programs are found, whatever the login's own setting is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a process may take to end after it was told to.
const GRACE: Duration = Duration::from_secs(5);

/// How much of a streamed input is read at once.
const CHUNK: usize = 64 << 10;

/// Runs `command` over `link`.
pub(super) async fn run(
    link: &Link,
    command: Exec,
    more: Option<Input>,
) -> Result<Output, TransportError> {
    let _session = link.session().await;
    // Connecting has a limit of its own: only the command's time is counted.
    link.connection().await?;
    let deadline = command.deadline;
    match tokio::time::timeout(deadline, run_now(link, command, more)).await {
        Ok(result) => result,
        Err(_) => Err(TransportError::Deadline {
            at: link.endpoint().clone(),
            deadline,
        }),
    }
}

async fn run_now(
    link: &Link,
    command: Exec,
    more: Option<Input>,
) -> Result<Output, TransportError> {
    let at = link.endpoint();
    let remote = command_line(&command, &link.settings().user, at)?;
    let Open {
        mut read,
        write,
        connection,
    } = link.open(Want::Session).await?;
    let sent = write.exec(true, remote).await;
    sent.map_err(|_| connection.closed(false))?;
    let script = Bytes::from(command.script);
    let mut feeding = std::pin::pin!(feed(&write, [script, command.stdin], more));
    let mut reply = Reply::new(command.limit, command.answered);
    let mut fed = false;
    loop {
        tokio::select! {
            outcome = &mut feeding, if !fed => {
                fed = true;
                outcome.map_err(|why| TransportError::Input { at: at.clone(), why })?;
            }
            message = read.wait() => match message {
                Some(message) => match reply.take(message, at)? {
                    Progress::More => {}
                    Progress::Done => break,
                },
                None => break,
            },
        }
    }
    reply.finish().ok_or_else(|| connection.closed(true))
}

/// The standard input: the parts, then what the stream has.
///
/// An error of the channel is no error here: either the connection has ended, which the
/// reading side tells better, or the command has ended without reading on, as it may.
async fn feed(write: &Writer, parts: [Bytes; 2], more: Option<Input>) -> Result<(), Arc<str>> {
    for part in parts {
        if write.data_bytes(part).await.is_err() {
            return Ok(());
        }
    }
    if let Some(mut source) = more {
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = source.read(&mut buffer).await;
            let count = read.map_err(|error| Arc::from(error.to_string()))?;
            if count == 0 {
                break;
            }
            let chunk = Bytes::copy_from_slice(&buffer[..count]);
            if write.data_bytes(chunk).await.is_err() {
                return Ok(());
            }
        }
    }
    // See above.
    let _channel_ended = write.eof().await;
    Ok(())
}

/// The line that the login's shell runs.
fn command_line(command: &Exec, user: &str, at: &Arc<Endpoint>) -> Result<String, TransportError> {
    let invalid = |why: String| TransportError::Invalid {
        at: at.clone(),
        why,
    };
    if command.script.contains('\0') {
        return Err(invalid("its script holds a NUL byte".to_owned()));
    }
    // Rounded up: the error that tells about the deadline is always the local one.
    let seconds = command.deadline.as_secs() + 2;
    let timeout = format!("timeout -k {} {seconds}", GRACE.as_secs());
    wrapped(&timeout, command.script.len(), user).map_err(|error| invalid(error.to_string()))
}

/// The same for a command that lasts as long as its stream does.
pub(super) fn pipe_line(script: &str, user: &str) -> Result<String, shell::NulByte> {
    let shell = shell::join(["/bin/sh", "-c", script])?;
    Ok(format!("{}env LC_ALL=C PATH={PATH} {shell}", sudo(user)))
}

fn wrapped(timeout: &str, length: usize, user: &str) -> Result<String, shell::NulByte> {
    // The appended `.` keeps newlines at the end, which a substitution would drop.
    let loader = format!(
        r#"export LC_ALL=C PATH={PATH}; _s=$(head -c {length}; echo .); [ ${{#_s}} -eq {} ] || exit 125; eval "${{_s%.}}""#,
        length + 1
    );
    let shell = shell::join(["/bin/sh", "-c", &loader])?;
    let sudo = sudo(user);
    Ok(format!("{sudo}{timeout} {shell}"))
}

/// `-n`: a sudo that wants a password fails at once instead of waiting for one.
fn sudo(user: &str) -> &'static str {
    if user == "root" { "" } else { "sudo -n " }
}

enum Progress {
    More,
    Done,
}

/// What has come back so far.
struct Reply {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<Status>,
    limit: usize,
    answered: fn(&[u8]) -> bool,
}

impl Reply {
    fn new(limit: usize, answered: fn(&[u8]) -> bool) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            status: None,
            limit,
            answered,
        }
    }

    fn take(
        &mut self,
        message: ChannelMsg,
        at: &Arc<Endpoint>,
    ) -> Result<Progress, TransportError> {
        match message {
            ChannelMsg::Data { data } => {
                self.stdout.extend(data);
                if self.stdout.len() <= self.limit && (self.answered)(&self.stdout) {
                    self.status = Some(Status::Answered);
                    return Ok(Progress::Done);
                }
            }
            ChannelMsg::ExtendedData { data, .. } => self.stderr.extend(data),
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(Status::Exited(exit_status));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.status = Some(Status::Signaled(signal(&signal_name)));
            }
            ChannelMsg::Failure => {
                return Err(TransportError::Refused {
                    at: at.clone(),
                    what: "a command".to_owned(),
                    why: "its sshd runs no commands for this login".to_owned(),
                    nobody: false,
                });
            }
            ChannelMsg::Close => return Ok(Progress::Done),
            _ => {}
        }
        if self.stdout.len().max(self.stderr.len()) > self.limit {
            let (at, limit) = (at.clone(), self.limit);
            return Err(TransportError::TooMuchOutput { at, limit });
        }
        Ok(Progress::More)
    }

    /// The whole of it, if the command was seen to end.
    fn finish(self) -> Option<Output> {
        Some(Output {
            status: self.status?,
            stdout: self.stdout,
            stderr: self.stderr,
        })
    }
}

fn signal(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// What the login's shell would do with the line, given `input`.
    fn run(line: &str, input: &[u8]) -> std::process::Output {
        let mut child = Command::new("/bin/sh")
            .args(["-c", line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A shell that refuses the script does not read the rest.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn line(script: &str) -> String {
        wrapped("timeout -k 5 60", script.len(), "root").unwrap()
    }

    #[test]
    fn a_script_of_any_length_reads_its_own_input() {
        let script = format!("{}cat; echo \"é $0\"\n\n", ": padding\n".repeat(40_000));
        let mut input = script.clone().into_bytes();
        input.extend(b"its input\n");
        let output = run(&line(&script), &input);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "its input\né /bin/sh\n"
        );
    }

    #[test]
    fn a_script_that_was_cut_short_does_not_run() {
        let script = "echo ran; echo twice";
        for arrived in 0..script.len() {
            let output = run(&line(script), &script.as_bytes()[..arrived]);
            assert_eq!(output.stdout, b"");
            assert_eq!(output.status.code(), Some(125));
        }
    }

    #[test]
    fn a_login_that_is_not_root_goes_through_sudo() {
        assert!(
            wrapped("timeout", 1, "root")
                .unwrap()
                .starts_with("timeout")
        );
        let line = wrapped("timeout", 1, "ops").unwrap();
        assert!(line.starts_with("sudo -n timeout"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_shell_gets_the_script_as_it_is(text in "[^\0]{0,40}", tail in "\n{0,3}") {
            let script = format!("printf %s {}{tail}", shell::quote(&text).unwrap());
            let output = run(&line(&script), script.as_bytes());
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), text);
        }
    }
}
