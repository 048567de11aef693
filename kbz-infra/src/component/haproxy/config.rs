//! `haproxy.cfg`: any number of entries in one file per host.
//!
//! Which server gets a connection is decided by health checks alone. For PostgreSQL they ask
//! Patroni's REST API, which answers 200 for `/primary` on the leader and nowhere else; all nodes
//! are equal servers and none is a `backup`. When a node stops being the primary its sessions are
//! cut ([`on-marked-down shutdown-sessions`]), or they would hang on it until they time out.
//!
//! With the default [`Timing`] a new primary is found `fastinter x rise` = 1 s after it answers,
//! and a former one is left after `inter + fastinter x (fall - 1)` = 2 s at most.
//!
//! After a reload the new process knows nothing about the servers and takes all of them for up
//! until the first check has failed: for a moment a write could go to a replica. The states are
//! therefore saved before a reload ([`SAVE_STATE`]) and read at start.
//!
//! The file is accepted by HAProxy 2.8 and 3.0.
//!
//! [`on-marked-down shutdown-sessions`]: https://docs.haproxy.org/2.8/configuration.html#5.2-on-marked-down

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

pub use super::check::{Check, TcpStep};
use crate::component::marked::{self, RenderError};
use crate::ident::HostName;
use crate::secret::Text;

const TEMPLATE: &str = include_str!("haproxy.cfg.tera");

/// Where things are inside the container.
pub mod paths {
    /// The directory of the configuration, mounted read-only from the host.
    pub const CONFIG_DIR: &str = "/etc/haproxy";
    /// The configuration.
    pub const CONFIG_FILE: &str = "/etc/haproxy/haproxy.cfg";
    /// The script that saves the states of the servers; beside the configuration.
    pub const SAVE_STATE: &str = "/etc/haproxy/save-state";
    /// The directory of the state file, mounted from the host's data directory.
    pub const STATE_DIR: &str = "/var/lib/haproxy/state";
}

/// Saves the states of the servers, so that a reload does not forget them. Takes the control port
/// as its argument. For bash, the one language that every image of HAProxy on Debian has.
pub const SAVE_STATE: &str = include_str!("save-state.bash");

/// How the container is started: master and worker, so that SIGUSR2 reloads without closing a
/// listening socket.
pub const COMMAND: [&str; 5] = ["haproxy", "-W", "-db", "-f", paths::CONFIG_FILE];

/// How quickly a change is noticed. Durations are HAProxy's: a number and `us`, `ms`, `s`, `m`,
/// `h` or `d`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// Between two checks of a server in a settled state. Default: `1s`.
    pub inter: String,
    /// Between two checks while the state is changing. Default: `500ms`.
    pub fastinter: String,
    /// Between two checks of a server that is down: `inter`, or a new primary is found late.
    /// Default: `1s`.
    pub downinter: String,
    /// Failed checks until a server is down. Default: 3.
    pub fall: u8,
    /// Good checks until it is up. Default: 2.
    pub rise: u8,
    /// How long a check may take. Default: `2s`.
    pub check: String,
    /// How long connecting to a server may take. Default: `3s`.
    pub connect: String,
    /// How long a session may be silent. Default: `60m`.
    pub session: String,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            inter: "1s".to_owned(),
            fastinter: "500ms".to_owned(),
            downinter: "1s".to_owned(),
            fall: 3,
            rise: 2,
            check: "2s".to_owned(),
            connect: "3s".to_owned(),
            session: "60m".to_owned(),
        }
    }
}

/// How connections are spread over the servers that are up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// To the one with the fewest.
    LeastConnections,
    /// To the first that is up, in the order of their names.
    First,
}

impl Balance {
    fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::LeastConnections => "leastconn",
            Self::First => "first",
        }
    }
}

/// A way in, and the servers behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, such as `pg_write`.
    pub name: String,
    /// Where it listens.
    pub bind: SocketAddr,
    /// The servers by name; the address is where connections go.
    pub servers: BTreeMap<HostName, SocketAddr>,
    /// Which of them are the right ones.
    pub check: Check,
    /// How connections are spread.
    pub balance: Balance,
    /// Most connections at once. Default: 2000; the file's own `maxconn` is the sum of all.
    pub maxconn: u32,
    /// Most connections to one server. Default: 1000.
    pub server_maxconn: u32,
    /// Failed checks until a server is down, where they are other than [`Timing::fall`].
    pub fall: Option<u8>,
    /// Good checks until it is up, where they are other than [`Timing::rise`].
    pub rise: Option<u8>,
    /// The entry whose servers serve when none of these is up: reads go to the primary then.
    pub fallback: Option<String>,
}

impl Entry {
    /// An entry with the default limits.
    pub fn new(
        name: impl Into<String>,
        bind: SocketAddr,
        servers: BTreeMap<HostName, SocketAddr>,
        check: Check,
    ) -> Self {
        let balance = match check {
            Check::PatroniReplica { .. } => Balance::LeastConnections,
            _ => Balance::RoundRobin,
        };
        Self {
            name: name.into(),
            bind,
            servers,
            check,
            balance,
            maxconn: 2000,
            server_maxconn: 1000,
            fall: None,
            rise: None,
            fallback: None,
        }
    }
}

/// A service of the same host that HAProxy reports on without carrying its traffic:
/// `/healthz/NAME` is 200 while it accepts connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What HAProxy says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Where `/healthz` answers.
    pub bind: SocketAddr,
    /// Whether `/metrics` answers there too.
    pub metrics: bool,
}

/// One HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaproxyConfig {
    /// The host it runs on.
    pub host: HostName,
    /// All ways in.
    pub entries: Vec<Entry>,
    /// Services beside it that it reports on.
    pub companions: Vec<Companion>,
    /// What it says about itself.
    pub health: Health,
    /// Where the statistics page answers, if at all.
    pub stats: Option<SocketAddr>,
    /// The loopback port that [`SAVE_STATE`] asks. Default: 8405.
    pub control_port: u16,
    /// How quickly a change is noticed.
    pub timing: Timing,
    /// The loopback port on which it is told to say no to its health checks, and asked whether it
    /// does: `PUT`, `DELETE` and `GET /drain`. Default: 8406.
    pub drain_port: u16,
    /// When sessions older than a reload end, as a duration. Default: `15m`.
    pub hard_stop_after: String,
}

/// Why an HAProxy cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyConfigError {
    /// Nothing to do.
    #[error("HAProxy on {0} has no entry")]
    NoEntries(HostName),
    /// Nowhere to go.
    #[error("the entry `{0}` has no servers")]
    NoServers(String),
    /// Not a plain name.
    #[error("the name `{0}` may hold letters, digits, underscores and hyphens only")]
    Name(String),
    /// One name for two things.
    #[error("the name `{0}` is used twice or reserved")]
    DuplicateName(String),
    /// Two listeners on one port.
    #[error("`{first}` and `{second}` both listen on port {port}")]
    Clash {
        /// The port.
        port: u16,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// Traffic would go in circles.
    #[error("the entry `{entry}` sends its connections back to itself at {address}")]
    Loop {
        /// The entry.
        entry: String,
        /// The server.
        address: SocketAddr,
    },
    /// SQL would be sent to the REST API.
    #[error(
        "the entry `{entry}` would send its connections to port {port}, where the health check is answered"
    )]
    CheckPort {
        /// The entry.
        entry: String,
        /// The port.
        port: u16,
    },
    /// No such entry.
    #[error("the entry `{entry}` falls back to `{fallback}`, which is no other entry")]
    Fallback {
        /// The entry.
        entry: String,
        /// What it falls back to.
        fallback: String,
    },
    /// It would break the file.
    #[error("`{0}` holds a character that a configuration line cannot hold")]
    Unprintable(String),
    /// Not a duration.
    #[error("`{0}` is no duration such as 500ms, 3s or 60m")]
    Duration(String),
    /// It cannot be written.
    #[error("haproxy.cfg cannot be written")]
    Render(#[from] RenderError),
}

impl HaproxyConfigError {
    /// The entry that it is about, if it is about one.
    pub(super) fn entry(&self) -> Option<&str> {
        match self {
            Self::NoServers(entry)
            | Self::Name(entry)
            | Self::DuplicateName(entry)
            | Self::Clash { second: entry, .. }
            | Self::Loop { entry, .. }
            | Self::CheckPort { entry, .. }
            | Self::Fallback { entry, .. } => Some(entry),
            Self::NoEntries(_) | Self::Unprintable(_) | Self::Duration(_) | Self::Render(_) => None,
        }
    }
}

const RESERVED: [&str; 4] = ["healthz", "drain", "stats", "reachable"];

impl HaproxyConfig {
    /// An HAProxy with `/healthz` on port 8404 of every address.
    pub fn new(host: HostName, entries: Vec<Entry>) -> Self {
        let everywhere = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            host,
            entries,
            companions: Vec::new(),
            health: Health {
                bind: everywhere(8404),
                metrics: true,
            },
            stats: None,
            control_port: 8405,
            drain_port: 8406,
            timing: Timing::default(),
            hard_stop_after: "15m".to_owned(),
        }
    }

    /// `haproxy.cfg`.
    pub fn render(&self) -> Result<Text, HaproxyConfigError> {
        self.validate_ports()?;
        self.entries.iter().try_for_each(Self::validate_ways)?;
        self.render_for_lint()
    }

    /// The same for a program whose claims are checked: who owns a port and where ways lead is
    /// found there, together with the declaration that is at odds.
    pub(super) fn render_for_lint(&self) -> Result<Text, HaproxyConfigError> {
        self.validate()?;
        Ok(marked::template("haproxy.cfg", TEMPLATE, &self.data())?)
    }

    fn validate(&self) -> Result<(), HaproxyConfigError> {
        if self.entries.is_empty() {
            return Err(HaproxyConfigError::NoEntries(self.host.clone()));
        }
        self.validate_names()?;
        self.validate_durations()?;
        self.entries
            .iter()
            .try_for_each(|entry| self.validate_entry(entry))
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let entries = self.entries.iter().map(|entry| &entry.name);
        entries.chain(self.companions.iter().map(|companion| &companion.name))
    }

    fn validate_names(&self) -> Result<(), HaproxyConfigError> {
        let mut seen: BTreeSet<&str> = RESERVED.into();
        for name in self.names() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(HaproxyConfigError::Name(name.clone()));
            }
            if !seen.insert(name) {
                return Err(HaproxyConfigError::DuplicateName(name.clone()));
            }
        }
        Ok(())
    }

    fn validate_ports(&self) -> Result<(), HaproxyConfigError> {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let own = [
            ("healthz", self.health.bind),
            ("control", loopback(self.control_port)),
            ("drain", loopback(self.drain_port)),
        ];
        let stats = self.stats.map(|bind| ("stats", bind));
        let entries = self.entries.iter().map(|e| (e.name.as_str(), e.bind));
        let beside = self.companions.iter().map(|c| (c.name.as_str(), c.address));
        let all: Vec<_> = own
            .into_iter()
            .chain(stats)
            .chain(entries)
            .chain(beside)
            .collect();
        for (index, (second, one)) in all.iter().enumerate() {
            if let Some((first, _)) = all[..index].iter().find(|(_, other)| overlap(*one, *other)) {
                return Err(HaproxyConfigError::Clash {
                    port: one.port(),
                    first: (*first).to_owned(),
                    second: (*second).to_owned(),
                });
            }
        }
        Ok(())
    }

    fn validate_durations(&self) -> Result<(), HaproxyConfigError> {
        let t = &self.timing;
        [
            &t.inter,
            &t.fastinter,
            &t.downinter,
            &t.check,
            &t.connect,
            &t.session,
            &self.hard_stop_after,
        ]
        .into_iter()
        .try_for_each(|text| duration(text))
    }

    fn validate_entry(&self, entry: &Entry) -> Result<(), HaproxyConfigError> {
        if entry.servers.is_empty() {
            return Err(HaproxyConfigError::NoServers(entry.name.clone()));
        }
        if let Some(fallback) = &entry.fallback
            && (fallback == &entry.name || !self.entries.iter().any(|e| &e.name == fallback))
        {
            return Err(HaproxyConfigError::Fallback {
                entry: entry.name.clone(),
                fallback: fallback.clone(),
            });
        }
        match entry.check.unprintable() {
            Some(text) => Err(HaproxyConfigError::Unprintable(text.to_owned())),
            None => Ok(()),
        }
    }

    fn validate_ways(entry: &Entry) -> Result<(), HaproxyConfigError> {
        for address in entry.servers.values() {
            if Some(address.port()) == entry.check.port() {
                return Err(HaproxyConfigError::CheckPort {
                    entry: entry.name.clone(),
                    port: address.port(),
                });
            }
            let local = address.ip().is_loopback() || address.ip() == entry.bind.ip();
            if local && overlap(*address, entry.bind) {
                return Err(HaproxyConfigError::Loop {
                    entry: entry.name.clone(),
                    address: *address,
                });
            }
        }
        Ok(())
    }

    fn data(&self) -> Data<'_> {
        Data {
            host: self.host.as_str(),
            // Both sides of a session are one connection each; checks and the page need a few.
            maxconn: self.entries.iter().map(|entry| entry.maxconn).sum::<u32>() + 200,
            control_port: self.control_port,
            drain_port: self.drain_port,
            state_dir: paths::STATE_DIR,
            hard_stop_after: &self.hard_stop_after,
            timing: &self.timing,
            health: HealthData {
                address: self.health.bind,
                names: self.names().map(String::as_str).collect(),
                metrics: self.health.metrics,
            },
            stats: self.stats.map(|address| StatsData { address }),
            reachable: self.reachable(),
            companions: self
                .companions
                .iter()
                .map(|companion| ServerData {
                    name: companion.name.clone(),
                    address: companion.address,
                })
                .collect(),
            entries: self.entries.iter().map(EntryData::of).collect(),
        }
    }

    /// Every address that a health check asks, on other hosts than this one.
    fn reachable(&self) -> Vec<ServerData> {
        let asked: BTreeMap<SocketAddr, &HostName> = self
            .entries
            .iter()
            .flat_map(|entry| {
                entry.servers.iter().map(|(name, address)| {
                    let port = entry.check.port().unwrap_or(address.port());
                    (SocketAddr::new(address.ip(), port), name)
                })
            })
            .filter(|(address, _)| !address.ip().is_loopback())
            .collect();
        asked
            .into_iter()
            .map(|(address, name)| ServerData {
                name: format!("{name}-{}", address.port()),
                address,
            })
            .collect()
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = |address: IpAddr| address.is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || any(one.ip()) || any(other.ip()))
}

fn duration(text: &str) -> Result<(), HaproxyConfigError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = &text[digits.len()..];
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if number && ["us", "ms", "s", "m", "h", "d"].contains(&unit) {
        Ok(())
    } else {
        Err(HaproxyConfigError::Duration(text.to_owned()))
    }
}

/// A duration in milliseconds, at least one; `None` when it is none.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number: u64 = digits.parse().ok()?;
    Some(match &text[digits.len()..] {
        "us" => number.div_ceil(1000),
        "ms" => number,
        "s" => number * 1000,
        "m" => number * 60_000,
        "h" => number * 3_600_000,
        "d" => number * 86_400_000,
        _ => return None,
    })
}

#[derive(Serialize)]
struct Data<'a> {
    host: &'a str,
    maxconn: u32,
    control_port: u16,
    drain_port: u16,
    state_dir: &'static str,
    hard_stop_after: &'a str,
    timing: &'a Timing,
    health: HealthData<'a>,
    stats: Option<StatsData>,
    reachable: Vec<ServerData>,
    companions: Vec<ServerData>,
    entries: Vec<EntryData<'a>>,
}

#[derive(Serialize)]
struct HealthData<'a> {
    address: SocketAddr,
    names: Vec<&'a str>,
    metrics: bool,
}

#[derive(Serialize)]
struct StatsData {
    address: SocketAddr,
}

#[derive(Serialize)]
struct ServerData {
    name: String,
    address: SocketAddr,
}

#[derive(Serialize)]
struct EntryData<'a> {
    name: &'a str,
    bind: SocketAddr,
    maxconn: u32,
    server_maxconn: u32,
    fallback: Option<&'a str>,
    balance: &'static str,
    check: Vec<String>,
    check_port: Option<u16>,
    fall: Option<u8>,
    rise: Option<u8>,
    servers: Vec<ServerData>,
}

impl<'a> EntryData<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            name: &entry.name,
            bind: entry.bind,
            maxconn: entry.maxconn,
            server_maxconn: entry.server_maxconn,
            fallback: entry.fallback.as_deref(),
            balance: entry.balance.name(),
            check: entry.check.lines(),
            check_port: entry.check.port(),
            fall: entry.fall,
            rise: entry.rise,
            servers: entry
                .servers
                .iter()
                .map(|(name, address)| ServerData {
                    name: name.to_string(),
                    address: *address,
                })
                .collect(),
        }
    }
}
