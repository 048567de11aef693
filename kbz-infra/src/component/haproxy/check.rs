//! How HAProxy finds out which server is the right one.

use crate::resource::FitnessCheck;

/// One step of a check over plain TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpStep {
    /// Sends a line, ended by CR LF.
    SendLine(String),
    /// Waits for an answer that contains this.
    Expect(String),
}

/// How it is found out whether a server is the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Patroni's REST API on this port says that the node is the primary.
    PatroniPrimary {
        /// The REST API's port.
        port: u16,
    },
    /// Patroni's REST API on this port says that the node is a replica no more than this behind.
    PatroniReplica {
        /// The REST API's port.
        port: u16,
        /// Bytes of WAL.
        max_lag: u64,
    },
    /// The server accepts connections.
    Tcp,
    /// The server answers a dialogue, such as Redis' `INFO replication`.
    Dialogue(Vec<TcpStep>),
    /// The server answers a `GET` with 200.
    Http {
        /// The port to ask.
        port: u16,
        /// The path to ask for.
        path: String,
    },
}

/// What the leader alone answers with 200.
const PRIMARY: &str = "/primary";

/// What a replica answers with 200 while it is not too far behind.
fn replica(max_lag: u64) -> String {
    format!("/replica?lag={max_lag}")
}

impl Check {
    /// A replica is up while it is at most this far behind.
    pub const DEFAULT_MAX_LAG: u64 = 16 << 20;

    /// What is asked, for the checks of a program's claims.
    pub(super) fn asks(&self) -> Option<FitnessCheck> {
        let port = self.port()?;
        let path = match self {
            Self::PatroniPrimary { .. } => PRIMARY.to_owned(),
            Self::PatroniReplica { max_lag, .. } => replica(*max_lag),
            Self::Http { path, .. } => path.clone(),
            Self::Tcp | Self::Dialogue(_) => return None,
        };
        Some(FitnessCheck { port, path })
    }

    /// The port that is asked, where it is not the one that is served.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::PatroniPrimary { port }
            | Self::PatroniReplica { port, .. }
            | Self::Http { port, .. } => Some(*port),
            Self::Tcp | Self::Dialogue(_) => None,
        }
    }

    /// The lines of its backend.
    pub(super) fn lines(&self) -> Vec<String> {
        let http = |method: &str, uri: &str| {
            vec![
                format!("option httpchk {method} {uri}"),
                "http-check expect status 200".to_owned(),
            ]
        };
        match self {
            Self::PatroniPrimary { .. } => http("OPTIONS", PRIMARY),
            Self::PatroniReplica { max_lag, .. } => http("OPTIONS", &replica(*max_lag)),
            Self::Http { path, .. } => http("GET", path),
            Self::Tcp => Vec::new(),
            Self::Dialogue(steps) => [
                "option tcp-check".to_owned(),
                "tcp-check connect".to_owned(),
            ]
            .into_iter()
            .chain(steps.iter().map(|step| match step {
                TcpStep::SendLine(line) => format!("tcp-check send {}\\r\\n", escaped(line)),
                TcpStep::Expect(text) => format!("tcp-check expect string {}", escaped(text)),
            }))
            .collect(),
        }
    }
}

impl Check {
    /// The text in it that no configuration line can hold.
    pub(super) fn unprintable(&self) -> Option<&str> {
        let control = |text: &&String| text.chars().any(char::is_control);
        match self {
            Self::Dialogue(steps) => steps
                .iter()
                .map(|step| match step {
                    TcpStep::SendLine(text) | TcpStep::Expect(text) => text,
                })
                .find(control),
            Self::Http { path, .. } if path.contains(' ') || !path.starts_with('/') => Some(path),
            Self::Http { path, .. } => Some(path).filter(control),
            Self::PatroniPrimary { .. } | Self::PatroniReplica { .. } | Self::Tcp => None,
        }
        .map(String::as_str)
    }
}

/// A word of a configuration line: what HAProxy would take for syntax is escaped.
fn escaped(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for c in word.chars() {
        if matches!(c, ' ' | '#' | '\\' | '"' | '\'' | '$') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
