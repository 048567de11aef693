//! PostgreSQL's parameters for the whole cluster.
//!
//! [`Cluster::parameters`] gives the set that lives in Patroni's dynamic configuration: the same
//! on every node. What depends on a host's memory is in [`super::memory`]. A program may override
//! any of it, except what [`check`] refuses: names that Patroni computes itself (a value there is
//! silently dropped), values below the minimum that Patroni enforces by falling back to *its*
//! default with no more than a warning in the log, and combinations with which PostgreSQL does
//! not start.
//!
//! Some choices, and why:
//! - `log_statement` stays `none`: `ALTER ROLE ... PASSWORD` would write verifiers to the log.
//! - `wal_level = logical` from the start: to raise it later restarts every node, and an upgrade
//!   by logical replication needs it.
//! - `archive_mode = on` with a command that succeeds at once: turning archiving on later is then
//!   a reload. Until then nothing is archived, and nothing piles up.
//! - WAL kept back is bounded by the size of the data volume, or a replica that never comes back
//!   fills the disk of the primary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// The value of a parameter. A boolean is the text `on` or `off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// A number without unit.
    Number(i64),
    /// Anything else, units included.
    Text(String),
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Parameter {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i64> for Parameter {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl Parameter {
    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// How many autovacuum workers run at once; PostgreSQL's own default.
pub(super) const AUTOVACUUM_WORKERS: u32 = 3;

/// Parameters by name.
pub type Parameters = BTreeMap<String, Parameter>;

/// Where WAL goes besides the replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archiving {
    /// Nowhere yet, but to turn it on is a reload.
    #[default]
    Prepared,
    /// To a command, at least every `timeout_seconds`.
    Command {
        /// `archive_command`.
        command: String,
        /// `archive_timeout`: how much may be lost when all nodes are.
        timeout_seconds: u32,
    },
}

/// What the cluster's parameters depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// PostgreSQL's major version.
    pub major: u16,
    /// Nodes that replicate.
    pub members: u32,
    /// `max_connections`, the same on all nodes: a standby must not have fewer.
    pub max_connections: u32,
    /// Processors of the largest host: `max_worker_processes` must not be smaller on a standby
    /// than on the primary, so it is one value for all.
    pub max_cpus: u32,
    /// Size of the smallest data volume, if known.
    pub data_volume_bytes: Option<u64>,
    /// Where WAL goes besides the replicas.
    pub archiving: Archiving,
}

impl Cluster {
    /// A cluster of `members` nodes with the defaults for the rest.
    pub fn new(major: u16, members: u32) -> Self {
        Self {
            major,
            members,
            max_connections: 200,
            max_cpus: 4,
            data_volume_bytes: None,
            archiving: Archiving::default(),
        }
    }

    /// The parameters of the cluster.
    pub fn parameters(&self) -> Parameters {
        let mut all: Parameters = FIXED
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Parameter::from(*value)))
            .collect();
        all.extend(self.capacity());
        all.extend(self.wal());
        all.extend(self.archive());
        all
    }

    fn capacity(&self) -> Parameters {
        let slots = 10.max(2 * self.members);
        // Parallel workers for queries, autovacuum's own slots are apart; logical replication,
        // pg_stat and extensions want a few more.
        let workers = 8.max(self.max_cpus + 4);
        owned([
            ("max_connections", self.max_connections.into()),
            ("max_worker_processes", workers.into()),
            ("max_wal_senders", slots.into()),
            ("max_replication_slots", slots.into()),
            ("max_locks_per_transaction", 128_i64.into()),
            ("max_prepared_transactions", 0_i64.into()),
            ("superuser_reserved_connections", 5_i64.into()),
            ("autovacuum_max_workers", AUTOVACUUM_WORKERS.into()),
        ])
    }

    /// The usual sizes, cut down to shares of a small data volume.
    fn wal(&self) -> Parameters {
        let volume = self.data_volume_bytes.unwrap_or(u64::MAX);
        let share = |of: u64, least: u64, most: u64| megabytes((volume / of).clamp(least, most));
        owned([
            ("max_wal_size", share(10, 256 * MIB, 8 * GIB)),
            ("min_wal_size", share(40, 80 * MIB, GIB)),
            ("wal_keep_size", share(40, 64 * MIB, GIB)),
            ("max_slot_wal_keep_size", share(4, 512 * MIB, 64 * GIB)),
        ])
    }

    fn archive(&self) -> Parameters {
        let (command, timeout) = match &self.archiving {
            Archiving::Prepared => ("/bin/true", "0".to_owned()),
            Archiving::Command {
                command,
                timeout_seconds,
            } => (command.as_str(), format!("{timeout_seconds}s")),
        };
        owned([
            ("archive_mode", "on".into()),
            ("archive_command", command.into()),
            ("archive_timeout", timeout.into()),
        ])
    }
}

fn owned<const N: usize>(pairs: [(&str, Parameter); N]) -> Parameters {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn megabytes(bytes: u64) -> Parameter {
    Parameter::Text(format!("{}MB", bytes / MIB))
}

/// What depends on nothing.
const FIXED: &[(&str, &str)] = &[
    // Access.
    ("password_encryption", "scram-sha-256"),
    // Durability and replication.
    ("wal_level", "logical"),
    ("wal_log_hints", "on"),
    ("wal_compression", "lz4"),
    ("track_commit_timestamp", "off"),
    ("hot_standby_feedback", "on"),
    ("max_standby_streaming_delay", "30s"),
    ("wal_sender_timeout", "30s"),
    ("wal_receiver_timeout", "30s"),
    ("checkpoint_timeout", "15min"),
    ("checkpoint_completion_target", "0.9"),
    // Planner, for solid-state disks.
    ("random_page_cost", "1.1"),
    ("effective_io_concurrency", "200"),
    ("maintenance_io_concurrency", "200"),
    ("jit", "off"),
    ("huge_pages", "try"),
    // Vacuum early and often: small tables of a busy service bloat first.
    ("autovacuum_naptime", "30s"),
    ("autovacuum_vacuum_scale_factor", "0.01"),
    ("autovacuum_vacuum_insert_scale_factor", "0.05"),
    ("autovacuum_analyze_scale_factor", "0.01"),
    ("autovacuum_vacuum_cost_limit", "1000"),
    // Sessions whose client is gone, or asleep in a transaction.
    ("idle_in_transaction_session_timeout", "10min"),
    ("client_connection_check_interval", "10s"),
    ("tcp_keepalives_idle", "300"),
    ("tcp_keepalives_interval", "30"),
    ("tcp_keepalives_count", "10"),
    ("tcp_user_timeout", "60s"),
    // What one wants to know afterwards.
    (
        "shared_preload_libraries",
        "pg_stat_statements,auto_explain",
    ),
    ("pg_stat_statements.max", "10000"),
    ("pg_stat_statements.track", "all"),
    ("pg_stat_statements.track_utility", "off"),
    ("auto_explain.log_min_duration", "10s"),
    ("auto_explain.log_nested_statements", "on"),
    ("track_io_timing", "on"),
    ("track_functions", "pl"),
    ("track_activity_query_size", "4096"),
    // To standard error: the container's log, bounded there.
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
    ("log_statement", "none"),
    ("log_min_duration_statement", "2s"),
    ("log_checkpoints", "on"),
    ("log_lock_waits", "on"),
    ("log_temp_files", "64MB"),
    ("log_autovacuum_min_duration", "60s"),
];

/// Why a parameter cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParameter {
    /// Not a name.
    #[error(
        "`{0}` is no name of a parameter: lower-case letters, digits, underscores, and a dot after an extension's name"
    )]
    Name(String),
    /// Not a value.
    #[error("the value of {0} holds a line break or a NUL character")]
    Value(String),
    /// Patroni sets it.
    #[error("{0} is computed by Patroni and would be dropped without a word; remove it")]
    Reserved(String),
    /// It must be the same everywhere.
    #[error("{0} must be the same on all nodes: set it for the cluster, not for one node")]
    ClusterOnly(String),
    /// Patroni would use its default instead.
    #[error("{name} is {given}; Patroni takes its own default for anything below {least}")]
    TooSmall {
        /// The parameter.
        name: String,
        /// What was given.
        given: String,
        /// The least value that Patroni takes.
        least: i64,
    },
    /// pg_rewind and replicas need more.
    #[error("wal_level is `{0}`; replicas need `replica` or `logical`")]
    WalLevel(String),
    /// No connection is left for users.
    #[error("superuser_reserved_connections ({reserved}) leaves none of max_connections ({all})")]
    NothingLeft {
        /// Connections reserved.
        reserved: i64,
        /// Connections in all.
        all: i64,
    },
}

/// What Patroni computes, or what would break replication under it.
const RESERVED: &[&str] = &[
    "archive_cleanup_command",
    "cluster_name",
    "config_file",
    "data_directory",
    "hba_file",
    "hot_standby",
    "ident_file",
    "listen_addresses",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "restore_command",
    "standby_mode",
    "synchronous_standby_names",
    "trigger_file",
];

/// What Patroni takes from the cluster's configuration alone, with the least number it accepts.
const CLUSTER_ONLY: &[(&str, Option<i64>)] = &[
    ("max_connections", Some(25)),
    ("max_locks_per_transaction", Some(32)),
    ("max_prepared_transactions", Some(0)),
    ("max_replication_slots", Some(4)),
    ("max_wal_senders", Some(3)),
    ("max_worker_processes", Some(2)),
    ("track_commit_timestamp", None),
    ("wal_keep_segments", None),
    ("wal_keep_size", None),
    ("wal_level", None),
    ("wal_log_hints", None),
];

/// Checks parameters meant for the whole cluster.
pub fn check(parameters: &Parameters) -> Result<(), InvalidParameter> {
    for (name, value) in parameters {
        check_one(name, value)?;
        if let Some((_, Some(least))) = CLUSTER_ONLY.iter().find(|(only, _)| only == name) {
            check_least(name, value, *least)?;
        }
    }
    if let Some(Parameter::Text(level)) = parameters.get("wal_level")
        && !["replica", "logical"].contains(&level.as_str())
    {
        return Err(InvalidParameter::WalLevel(level.clone()));
    }
    check_reserved_connections(parameters)
}

/// Checks parameters meant for one node.
pub fn check_node(parameters: &Parameters) -> Result<(), InvalidParameter> {
    for (name, value) in parameters {
        check_one(name, value)?;
        if CLUSTER_ONLY.iter().any(|(only, _)| only == name) {
            return Err(InvalidParameter::ClusterOnly(name.clone()));
        }
    }
    Ok(())
}

fn check_one(name: &str, value: &Parameter) -> Result<(), InvalidParameter> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(letter) {
        return Err(InvalidParameter::Name(name.to_owned()));
    }
    if RESERVED.contains(&name) {
        return Err(InvalidParameter::Reserved(name.to_owned()));
    }
    match value {
        Parameter::Text(text) if text.contains(['\n', '\r', '\0']) => {
            Err(InvalidParameter::Value(name.to_owned()))
        }
        _ => Ok(()),
    }
}

fn check_least(name: &str, value: &Parameter, least: i64) -> Result<(), InvalidParameter> {
    if value.number().is_some_and(|number| number >= least) {
        return Ok(());
    }
    let given = match value {
        Parameter::Number(number) => number.to_string(),
        Parameter::Text(text) => text.clone(),
    };
    Err(InvalidParameter::TooSmall {
        name: name.to_owned(),
        given,
        least,
    })
}

fn check_reserved_connections(parameters: &Parameters) -> Result<(), InvalidParameter> {
    let number = |name| parameters.get(name).and_then(Parameter::number);
    match (
        number("superuser_reserved_connections"),
        number("max_connections"),
    ) {
        (Some(reserved), Some(all)) if reserved >= all => {
            Err(InvalidParameter::NothingLeft { reserved, all })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: impl Into<Parameter>) -> Parameters {
        let mut all = Cluster::new(17, 3).parameters();
        all.insert(name.to_owned(), value.into());
        all
    }

    #[test]
    fn the_default_set_passes_its_own_check() {
        check(&Cluster::new(17, 3).parameters()).unwrap();
    }

    #[test]
    fn what_patroni_would_drop_is_refused() {
        let error = check(&with("primary_conninfo", "host=x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "primary_conninfo is computed by Patroni and would be dropped without a word; remove it"
        );
        let error = check(&with("max_connections", 10_i64)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "max_connections is 10; Patroni takes its own default for anything below 25"
        );
        assert!(check(&with("max_wal_senders", "many")).is_err());
    }

    #[test]
    fn what_postgresql_would_not_start_with_is_refused() {
        assert!(check(&with("wal_level", "minimal")).is_err());
        assert!(check(&with("superuser_reserved_connections", 200_i64)).is_err());
        assert!(check(&with("Work Mem", "1MB")).is_err());
        assert!(check(&with("log_line_prefix", "a\nb")).is_err());
    }

    #[test]
    fn a_node_may_not_differ_in_what_standbys_depend_on() {
        let mut own = Parameters::new();
        own.insert("max_connections".to_owned(), 100_i64.into());
        let error = check_node(&own).unwrap_err();
        assert_eq!(
            error,
            InvalidParameter::ClusterOnly("max_connections".to_owned())
        );
    }

    #[test]
    fn a_small_volume_keeps_little_wal() {
        let mut cluster = Cluster::new(17, 3);
        cluster.data_volume_bytes = Some(2 * GIB);
        let all = cluster.parameters();
        assert_eq!(all["max_wal_size"], "256MB".into());
        assert_eq!(all["wal_keep_size"], "64MB".into());
        assert_eq!(all["max_slot_wal_keep_size"], "512MB".into());
        let large = Cluster::new(17, 3).parameters();
        assert_eq!(large["max_wal_size"], "8192MB".into());
        assert_eq!(large["max_slot_wal_keep_size"], "65536MB".into());
    }

    #[test]
    fn the_largest_host_decides_on_worker_processes() {
        let mut cluster = Cluster::new(17, 3);
        cluster.max_cpus = 32;
        assert_eq!(cluster.parameters()["max_worker_processes"], 36_i64.into());
    }
}
