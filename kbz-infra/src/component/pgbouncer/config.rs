//! `pgbouncer.ini` and `userlist.txt`.
//!
//! # How a password travels
//! PgBouncer never knows one. `userlist.txt` holds SCRAM verifiers, and a database names no
//! `user`: a client proves its password to PgBouncer with SCRAM, and from that proof PgBouncer
//! derives the keys to log in to PostgreSQL as the same role. It works only while PostgreSQL
//! holds the *identical* verifier, salt included; [`Form::ScramVerifier`] is the same string for
//! every reader of the credentials, so it does.
//!
//! # Where it connects to
//! The HAProxy of its own host, which knows the primary. A database named like PgBouncer's own
//! port would be a loop, and is refused.
//!
//! # Failover
//! HAProxy cuts the server connections when the primary goes; clients that wait for a server stay
//! connected for `query_wait_timeout`, and PgBouncer tries again every second
//! (`server_login_retry`, 15 s by default).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::component::marked::RenderError;
use crate::secret::Form;
use crate::secret::Login;
use crate::secret::Text;

/// Where things are inside the container.
pub mod paths {
    /// The directory of both files, mounted read-only from the host.
    pub const CONFIG_DIR: &str = "/etc/pgbouncer";
    /// The configuration.
    pub const CONFIG_FILE: &str = "/etc/pgbouncer/pgbouncer.ini";
    /// The verifiers.
    pub const USERLIST_FILE: &str = "/etc/pgbouncer/userlist.txt";
}

/// How the container is started.
pub const COMMAND: [&str; 2] = ["pgbouncer", paths::CONFIG_FILE];

/// When a server connection goes back to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolMode {
    /// After each transaction.
    #[default]
    Transaction,
    /// When the client leaves.
    Session,
}

impl PoolMode {
    fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
        }
    }
}

/// One PgBouncer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgBouncerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The databases that clients may name.
    pub databases: BTreeSet<String>,
    /// Where the primary is reached.
    pub upstream: SocketAddr,
    /// The roles that may log in.
    pub users: Vec<Login>,
    /// Those of them that may use the admin console.
    pub admins: BTreeSet<String>,
    /// Those of them that may read statistics.
    pub stats: BTreeSet<String>,
    /// When a server connection goes back to the pool. Default: after each transaction.
    pub pool_mode: PoolMode,
    /// Most clients. Default: 1000.
    pub max_client_conn: u32,
    /// Server connections per role and database. Default: 40.
    pub default_pool_size: u32,
    /// Further ones for clients that waited for 3 s. Default: 10.
    pub reserve_pool_size: u32,
    /// Most server connections to one database, of all roles. Default: 80: two PgBouncers then
    /// fit into PostgreSQL's 200 connections (see [`fits`](Self::fits)).
    pub max_db_connections: u32,
    /// Prepared statements kept per connection; 0 breaks drivers that prepare. Default: 200.
    pub max_prepared_statements: u32,
    /// Startup parameters that are accepted and dropped. Default: `extra_float_digits`, which JDBC
    /// and the exporter of metrics send.
    pub ignore_startup_parameters: BTreeSet<String>,
    /// Seconds that a client waits for a server: longer than a failover lasts. Default: 120.
    pub query_wait_timeout: u32,
    /// The other PgBouncers behind the same load balancer, by number, and this one's number: a
    /// request to cancel a query may arrive at any of them.
    pub peers: Option<Peers>,
}

/// The PgBouncers behind one load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// This one's number.
    pub own: u32,
    /// The others.
    pub others: BTreeMap<u32, SocketAddr>,
}

/// Why a PgBouncer cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum PgBouncerConfigError {
    /// Nothing to serve.
    #[error("PgBouncer has no database")]
    NoDatabases,
    /// Nobody to serve.
    #[error("PgBouncer has no users")]
    NoUsers,
    /// It would connect to itself.
    #[error("PgBouncer listens on {listen} and would connect to itself at {upstream}")]
    Loop {
        /// Where it listens.
        listen: SocketAddr,
        /// Where it connects to.
        upstream: SocketAddr,
    },
    /// Not a plain name.
    #[error("the name `{0}` may hold letters, digits, underscores and hyphens only")]
    Name(String),
    /// PgBouncer has its own database of that name.
    #[error("a database may not be called `pgbouncer`: it is the admin console")]
    ReservedDatabase,
    /// One name, two passwords.
    #[error("the user `{0}` is listed twice")]
    DuplicateUser(String),
    /// An administrator that cannot log in.
    #[error("`{0}` may use the console but is not among the users")]
    UnknownUser(String),
    /// Out of range.
    #[error("{name} is 0; {cure}")]
    Zero {
        /// The setting.
        name: &'static str,
        /// What to do.
        cure: &'static str,
    },
    /// PostgreSQL would refuse connections.
    #[error(
        "{poolers} PgBouncers with {each} server connections each exceed PostgreSQL's max_connections ({max}, of which {reserved} are reserved)"
    )]
    TooMany {
        /// PgBouncers.
        poolers: u32,
        /// Server connections of each.
        each: u32,
        /// `max_connections`.
        max: u32,
        /// Reserved ones.
        reserved: u32,
    },
    /// A peer with its own number.
    #[error("the peer number {0} is 0 or used twice")]
    PeerNumber(u32),
    /// It cannot be written.
    #[error("pgbouncer.ini cannot be written")]
    Render(#[from] RenderError),
}

impl PgBouncerConfig {
    /// A PgBouncer with the defaults for all limits.
    pub fn new(
        listen: SocketAddr,
        upstream: SocketAddr,
        databases: impl IntoIterator<Item = String>,
        users: Vec<Login>,
    ) -> Self {
        Self {
            listen,
            databases: databases.into_iter().collect(),
            upstream,
            users,
            admins: BTreeSet::new(),
            stats: BTreeSet::new(),
            pool_mode: PoolMode::default(),
            max_client_conn: 1000,
            default_pool_size: 40,
            reserve_pool_size: 10,
            max_db_connections: 80,
            max_prepared_statements: 200,
            ignore_startup_parameters: BTreeSet::from(["extra_float_digits".to_owned()]),
            query_wait_timeout: 120,
            peers: None,
        }
    }

    /// Whether `poolers` such PgBouncers fit into PostgreSQL's connections.
    pub fn fits(&self, poolers: u32, max: u32, reserved: u32) -> Result<(), PgBouncerConfigError> {
        let databases = u32::try_from(self.databases.len()).unwrap_or(u32::MAX);
        let each = self.max_db_connections.saturating_mul(databases);
        if poolers.saturating_mul(each) > max.saturating_sub(reserved) {
            return Err(PgBouncerConfigError::TooMany {
                poolers,
                each,
                max,
                reserved,
            });
        }
        Ok(())
    }

    /// `pgbouncer.ini`.
    pub fn render(&self) -> Result<Text, PgBouncerConfigError> {
        self.validate()?;
        let mut ini = String::from(
            "; Generated; changes made here are found as drift and undone.\n\n[databases]\n",
        );
        for database in &self.databases {
            push(
                &mut ini,
                database,
                &format!(
                    "host={} port={} dbname={database}",
                    self.upstream.ip(),
                    self.upstream.port()
                ),
            );
        }
        if let Some(peers) = &self.peers {
            ini.push_str("\n[peers]\n");
            for (number, address) in &peers.others {
                let value = format!("host={} port={}", address.ip(), address.port());
                push(&mut ini, &number.to_string(), &value);
            }
        }
        ini.push_str("\n[pgbouncer]\n");
        for (key, value) in self.settings() {
            push(&mut ini, key, &value);
        }
        Ok(Text::plain(ini))
    }

    /// `userlist.txt`.
    pub fn render_userlist(&self) -> Result<Text, PgBouncerConfigError> {
        self.validate()?;
        let lines: Vec<String> = self
            .users
            .iter()
            .map(|login| {
                let verifier = login.password.form(Form::ScramVerifier).marker();
                format!("\"{}\" \"{verifier}\"\n", login.user)
            })
            .collect();
        Ok(Text::from_marked(&lines.concat()).map_err(RenderError::from)?)
    }

    fn settings(&self) -> BTreeMap<&'static str, String> {
        let list = |names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(",")
        };
        let mut all: BTreeMap<&'static str, String> = FIXED
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        all.extend([
            ("admin_users", list(&self.admins)),
            ("auth_file", paths::USERLIST_FILE.to_owned()),
            ("default_pool_size", self.default_pool_size.to_string()),
            (
                "ignore_startup_parameters",
                list(&self.ignore_startup_parameters),
            ),
            ("listen_addr", self.listen.ip().to_string()),
            ("listen_port", self.listen.port().to_string()),
            ("max_client_conn", self.max_client_conn.to_string()),
            ("max_db_connections", self.max_db_connections.to_string()),
            (
                "max_prepared_statements",
                self.max_prepared_statements.to_string(),
            ),
            ("pool_mode", self.pool_mode.name().to_owned()),
            ("query_wait_timeout", self.query_wait_timeout.to_string()),
            ("reserve_pool_size", self.reserve_pool_size.to_string()),
            ("server_login_retry", SERVER_LOGIN_RETRY.to_string()),
            ("stats_users", list(&self.stats)),
        ]);
        if let Some(peers) = &self.peers {
            all.insert("peer_id", peers.own.to_string());
        }
        all
    }

    fn validate(&self) -> Result<(), PgBouncerConfigError> {
        if self.databases.is_empty() {
            return Err(PgBouncerConfigError::NoDatabases);
        }
        if self.users.is_empty() {
            return Err(PgBouncerConfigError::NoUsers);
        }
        if self.databases.contains("pgbouncer") {
            return Err(PgBouncerConfigError::ReservedDatabase);
        }
        self.validate_upstream()?;
        self.validate_names()?;
        self.validate_limits()?;
        self.validate_peers()
    }

    fn validate_upstream(&self) -> Result<(), PgBouncerConfigError> {
        let (listen, upstream) = (self.listen, self.upstream);
        let local = upstream.ip().is_loopback() || upstream.ip() == listen.ip();
        if local && upstream.port() == listen.port() {
            return Err(PgBouncerConfigError::Loop { listen, upstream });
        }
        Ok(())
    }

    fn validate_names(&self) -> Result<(), PgBouncerConfigError> {
        let mut users = BTreeSet::new();
        for login in &self.users {
            if !users.insert(login.user.as_str()) {
                return Err(PgBouncerConfigError::DuplicateUser(login.user.clone()));
            }
        }
        let names = users.iter().copied();
        let databases = self.databases.iter().map(String::as_str);
        let ignored = self.ignore_startup_parameters.iter().map(String::as_str);
        names
            .chain(databases)
            .chain(ignored)
            .try_for_each(plain_name)?;
        match self
            .admins
            .union(&self.stats)
            .find(|name| !users.contains(name.as_str()))
        {
            Some(unknown) => Err(PgBouncerConfigError::UnknownUser(unknown.clone())),
            None => Ok(()),
        }
    }

    fn validate_limits(&self) -> Result<(), PgBouncerConfigError> {
        let limits = [
            (
                "max_client_conn",
                self.max_client_conn,
                "nobody could connect",
            ),
            (
                "default_pool_size",
                self.default_pool_size,
                "nobody could connect",
            ),
            (
                "max_db_connections",
                self.max_db_connections,
                "that means no limit: give the number that PostgreSQL can take",
            ),
            (
                "query_wait_timeout",
                self.query_wait_timeout,
                "clients would wait for ever: give more seconds than a failover takes",
            ),
        ];
        match limits.into_iter().find(|(_, value, _)| *value == 0) {
            Some((name, _, cure)) => Err(PgBouncerConfigError::Zero { name, cure }),
            None => Ok(()),
        }
    }

    fn validate_peers(&self) -> Result<(), PgBouncerConfigError> {
        let Some(peers) = &self.peers else {
            return Ok(());
        };
        if peers.own == 0 || peers.others.contains_key(&peers.own) {
            return Err(PgBouncerConfigError::PeerNumber(peers.own));
        }
        if peers.others.contains_key(&0) {
            return Err(PgBouncerConfigError::PeerNumber(0));
        }
        Ok(())
    }
}

/// What depends on nothing.
const FIXED: &[(&str, &str)] = &[
    ("application_name_add_host", "1"),
    ("auth_type", "scram-sha-256"),
    ("client_login_timeout", "60"),
    ("log_connections", "0"),
    ("log_disconnections", "0"),
    ("log_pooler_errors", "1"),
    ("reserve_pool_timeout", "3"),
    ("server_check_delay", "10"),
    ("server_check_query", "select 1"),
    ("server_connect_timeout", "5"),
    ("server_fast_close", "1"),
    ("server_idle_timeout", "300"),
    // Shorter than HAProxy keeps old processes after a reload, so that none is cut by it.
    ("server_lifetime", "600"),
    ("stats_period", "60"),
    ("tcp_keepalive", "1"),
    ("tcp_keepcnt", "3"),
    ("tcp_keepidle", "30"),
    ("tcp_keepintvl", "10"),
    ("tcp_user_timeout", "60000"),
    // Clients come by TCP; a socket in the file system would only be left behind.
    ("unix_socket_dir", ""),
];

/// Seconds until PgBouncer connects again to a server that refused it.
pub(super) const SERVER_LOGIN_RETRY: u64 = 1;

fn push(ini: &mut String, key: &str, value: &str) {
    ini.push_str(key);
    ini.push_str(" = ");
    ini.push_str(value);
    ini.push('\n');
}

fn plain_name(name: &str) -> Result<(), PgBouncerConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(plain) {
        Ok(())
    } else {
        Err(PgBouncerConfigError::Name(name.to_owned()))
    }
}
