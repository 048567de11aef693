//! What a host of the fleet does when it is told to run something.

#![expect(
    clippy::disallowed_methods,
    reason = "what a host of the fleet runs, this machine runs for it"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Where a host keeps the registries of stacks.
const REGISTRIES: &str = "/var/lib/kbz";
/// What stands before the length of a script in the line that runs it.
const LENGTH: &str = "head -c ";
/// The exit code of a line that is none of ours.
const UNKNOWN: u32 = 127;

/// What a command left behind.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Reply {
    fn failed(why: &str) -> Self {
        Self {
            status: UNKNOWN,
            stdout: Vec::new(),
            stderr: why.into(),
        }
    }
}

/// A line with its input, and what came of it.
type Answers = HashMap<(String, Vec<u8>), Reply>;

/// One host.
pub(super) struct Machine {
    root: PathBuf,
    programs: Arc<Semaphore>,
    settled: AtomicBool,
    answers: Mutex<Answers>,
}

impl Machine {
    pub(super) fn new(root: PathBuf, programs: Arc<Semaphore>) -> Self {
        Self {
            root,
            programs,
            settled: AtomicBool::new(false),
            answers: Mutex::default(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Answers a line with its input; again the same, once the host has settled.
    pub(super) async fn answer(&self, line: &str, input: Vec<u8>) -> Reply {
        if !self.settled.load(Ordering::Relaxed) {
            return self.run(line, &input).await;
        }
        let asked = (line.to_owned(), input);
        let lock = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&asked).cloned();
        if let Some(known) = known {
            return known;
        }
        let reply = self.run(line, &asked.1).await;
        lock().insert(asked, reply.clone());
        reply
    }

    /// Runs a script with the rest of its input.
    async fn run(&self, line: &str, input: &[u8]) -> Reply {
        let Some((script, input)) = script(line, input) else {
            return Reply::failed("no script came with the line");
        };
        let below = format!("{}{REGISTRIES}", self.root.display());
        let script = script.replace(REGISTRIES, &below);
        let _turn = self.programs.acquire().await;
        match self.shell(&script, input).await {
            Ok(reply) => Reply {
                stdout: framed(&reply.stdout, &below).unwrap_or(reply.stdout),
                ..reply
            },
            Err(error) => Reply::failed(&error.to_string()),
        }
    }

    async fn shell(&self, script: &str, input: &[u8]) -> std::io::Result<Reply> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .env("LC_ALL", "C")
            .current_dir(&self.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A script need not read its input.
            let _unread = stdin.write_all(input).await;
        }
        let output = child.wait_with_output().await?;
        let code = output.status.code().and_then(|code| code.try_into().ok());
        Ok(Reply {
            status: code.unwrap_or(UNKNOWN),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

/// An answer of frames as a host of its own would give it, where its registries are not `below`
/// something; `None` where it is another kind of answer.
fn framed(mut answer: &[u8], below: &str) -> Option<Vec<u8>> {
    let mut framed = Vec::new();
    while !answer.is_empty() {
        let end = answer.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = (
            std::str::from_utf8(&answer[..end]).ok()?,
            &answer[end + 1..],
        );
        let (name, length) = head.strip_prefix('@')?.split_once(' ')?;
        let (payload, rest) = rest.split_at_checked(length.parse().ok()?)?;
        let payload = std::str::from_utf8(payload)
            .ok()?
            .replace(below, REGISTRIES);
        framed.extend(format!("@{name} {}\n{payload}\n", payload.len()).into_bytes());
        answer = rest.strip_prefix(b"\n")?;
    }
    Some(framed)
}

/// The script that comes first on the input of a line, and what comes after it.
fn script<'a>(line: &str, input: &'a [u8]) -> Option<(String, &'a [u8])> {
    let (_, after) = line.split_once(LENGTH)?;
    let digits = after.find(|letter: char| !letter.is_ascii_digit())?;
    let (script, rest) = input.split_at_checked(after[..digits].parse().ok()?)?;
    Some((String::from_utf8(script.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::{framed, script};

    #[test]
    fn a_host_tells_of_its_own_registries() {
        let told = framed(
            b"@files 23\n/tmp/h/var/lib/kbz/a:{}\n@end 0\n\n",
            "/tmp/h/var/lib/kbz",
        );
        assert_eq!(told.unwrap(), b"@files 17\n/var/lib/kbz/a:{}\n@end 0\n\n");
        assert_eq!(framed(b"no frames", "/tmp"), None);
    }

    #[test]
    fn a_script_stands_before_its_input() {
        let line = "timeout 5 /bin/sh -c '_s=$(head -c 4; echo .); ...'";
        let expected = ("true".to_owned(), b"more".as_slice());
        assert_eq!(script(line, b"truemore"), Some(expected));
        assert_eq!(script(line, b"tru"), None);
        assert_eq!(script("uptime", b""), None);
    }
}
