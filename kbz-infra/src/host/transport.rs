//! The one way to a host: commands, and byte streams to what listens there.
//!
//! Everything that reads or changes a host goes through [`Transport`]; the clients for
//! systemd, Docker, PostgreSQL and HTTP are built on its streams. An implementation promises:
//!
//! - a command runs as root in a POSIX shell with a fixed `PATH` and locale, reads exactly
//!   the given standard input, and is ended on the host when its deadline is over, even if
//!   the connection is gone by then;
//! - a script that did not arrive whole does not run at all;
//! - a stream that nobody reads never delays anything else;
//! - an error says whether the command can have begun ([`TransportError::may_have_run`]).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ident::HostName;

/// How much a command may print before it is cut off, unless it asks for another limit.
const OUTPUT_LIMIT: usize = 16 << 20;

/// Reaches one host.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// The host that is reached.
    fn host(&self) -> &HostName;

    /// Runs a command and waits for its end, or until it has given the answer that is wanted.
    async fn exec(&self, command: Exec) -> Result<Output, TransportError>;

    /// Runs a command whose standard input, after that of `command`, is a stream of any
    /// length. Bulk traffic has a connection of its own, so that it delays nothing else.
    async fn exec_stream(&self, command: Exec, stdin: Input) -> Result<Output, TransportError>;

    /// Opens a stream to a Unix socket on the host, with the rights of the login.
    async fn unix(&self, path: &str, lane: Lane) -> Result<Stream, TransportError>;

    /// Opens a stream to a TCP port as seen from the host.
    async fn tcp(&self, host: &str, port: u16) -> Result<Stream, TransportError>;

    /// Opens a stream to the standard input and output of a command that runs as root.
    async fn pipe(&self, script: &str, lane: Lane) -> Result<Stream, TransportError>;

    /// Begins to connect, where that takes time, before anything is asked.
    fn prepare(&self) {}

    /// Whether streams to Unix sockets have the rights of root.
    fn logs_in_as_root(&self) -> bool;

    /// Ends the connections to the host; what still runs on them fails.
    async fn close(&self);
}

/// Which connection a stream uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The one for short questions and answers.
    Talk,
    /// The one for large transfers.
    Bulk,
}

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// A boxed stream in both directions.
pub type Stream = Box<dyn Duplex>;

/// A boxed source of bytes.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// A command: a script for a POSIX shell, run as root.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The script. It travels apart from the command line: it appears in no process list.
    pub script: String,
    /// What the script reads on its standard input.
    pub stdin: Bytes,
    /// How long it may run.
    pub deadline: Duration,
    /// How many bytes it may print on each of its outputs.
    pub limit: usize,
    /// Whether what it has printed so far is all that is wanted of it.
    pub answered: fn(&[u8]) -> bool,
}

impl Exec {
    /// A script without input that may run for `deadline`.
    pub fn new(script: impl Into<String>, deadline: Duration) -> Self {
        Self {
            script: script.into(),
            stdin: Bytes::new(),
            deadline,
            limit: OUTPUT_LIMIT,
            answered: |_| false,
        }
    }

    /// Nobody waits for its end once it has printed an answer that is whole: a host tells of the
    /// end in messages of their own, which may take as long as everything before.
    pub fn until(mut self, answered: fn(&[u8]) -> bool) -> Self {
        self.answered = answered;
        self
    }

    /// Gives the script something to read.
    pub fn stdin(mut self, stdin: impl Into<Bytes>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Allows this many bytes on each output.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// By itself, with an exit code.
    Exited(u32),
    /// By a signal, such as `KILL`.
    Signaled(String),
    /// Nobody waited for that: what it had printed was all that was wanted.
    Answered,
}

impl Status {
    /// Whether it ended with exit code 0.
    pub fn success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// The exit code, if it ended with one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Exited(code) => Some(*code),
            Self::Signaled(_) | Self::Answered => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled(signal) => write!(f, "signal {signal}"),
            Self::Answered => f.write_str("a whole answer"),
        }
    }
}

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: Status,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The standard output as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The standard error as text without surrounding white space.
    pub fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Where a connection leads: the host, the address that was dialled, the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What the address belongs to: the host or the bastion before it.
    pub name: String,
    /// `ADDRESS:PORT`.
    pub address: String,
    /// The bastion that dials it, if one does.
    pub via: Option<String>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.address)?;
        if let Some(via) = &self.via {
            write!(f, " by way of {via}")?;
        }
        f.write_str(")")
    }
}

/// Why a host could not be asked or did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// No connection came about.
    #[error("{at} cannot be reached: {why} (gave up after {after:.1?})")]
    Unreachable {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// How long it was tried.
        after: Duration,
        /// What went wrong.
        why: Arc<str>,
    },
    /// The host did not prove to be the one that is meant.
    #[error("{at} is not trusted")]
    HostKey {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// What is wrong with its key.
        #[source]
        why: HostKeyError,
    },
    /// The host let nobody in.
    #[error("{at} refused to log in `{user}`; tried {}", list(tried))]
    Auth {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// The login.
        user: String,
        /// Every key and agent that was tried or could not be used, each with its outcome.
        tried: Vec<String>,
    },
    /// The host refuses what was asked for: a session, a forwarding, a command.
    #[error("{at} refused {what}: {why}")]
    Refused {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// What was asked for.
        what: String,
        /// What the host said, and the usual cause.
        why: String,
        /// Whether the host would have done it, and nobody listens at that TCP port.
        nobody: bool,
    },
    /// The connection ended before the answer.
    #[error("the connection to {at} ended in between: {why}")]
    Closed {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// What ended it.
        why: Arc<str>,
        /// Whether the command had been handed over before.
        sent: bool,
    },
    /// The answer took too long.
    #[error("{at} did not finish within {deadline:.1?}")]
    Deadline {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// How long was waited.
        deadline: Duration,
    },
    /// The command printed more than it was allowed to.
    #[error("a command on {at} printed more than {limit} bytes")]
    TooMuchOutput {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// How much it was allowed.
        limit: usize,
    },
    /// The source of the standard input failed; the command saw a short input.
    #[error("the input for a command on {at} could not be read: {why}")]
    Input {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// What went wrong.
        why: Arc<str>,
    },
    /// The command cannot be handed over as it is.
    #[error("a command for {at} cannot be sent: {why}")]
    Invalid {
        /// What was dialled.
        at: Arc<Endpoint>,
        /// What is wrong with it.
        why: String,
    },
}

impl TransportError {
    /// Whether the command may have begun, so that its effects must be looked for.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Closed { sent, .. } => *sent,
            Self::Deadline { .. } | Self::TooMuchOutput { .. } | Self::Input { .. } => true,
            Self::Unreachable { .. }
            | Self::HostKey { .. }
            | Self::Auth { .. }
            | Self::Refused { .. }
            | Self::Invalid { .. } => false,
        }
    }
}

/// What is wrong with the key that a host showed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// No key is recorded under this name.
    #[error("its key is recorded nowhere; if {fingerprint} is its key, add this line to {}: {line}", file.display())]
    Unknown {
        /// The fingerprint of the key that it showed.
        fingerprint: String,
        /// The line to add.
        line: String,
        /// The file to add it to.
        file: PathBuf,
    },
    /// Another key is recorded under this name.
    #[error(
        "it showed the key {fingerprint}, but {} line {line} records another: \
         either someone is in between, or the host was made anew and the line must go",
        file.display()
    )]
    Changed {
        /// The fingerprint of the key that it showed.
        fingerprint: String,
        /// Where the other key is recorded.
        file: PathBuf,
        /// In which line.
        line: usize,
    },
    /// The key is marked as revoked.
    #[error("its key {fingerprint} is revoked by {} line {line}", file.display())]
    Revoked {
        /// The fingerprint of the key that it showed.
        fingerprint: String,
        /// Where it is revoked.
        file: PathBuf,
        /// In which line.
        line: usize,
    },
    /// The host is recorded in a way that cannot be checked.
    #[error("{} line {line} {why}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of known hosts cannot be read.
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        why: Arc<str>,
    },
}

fn list(tried: &[String]) -> String {
    if tried.is_empty() {
        return "nothing: no key file and no agent is set".to_owned();
    }
    tried.join("; ")
}
