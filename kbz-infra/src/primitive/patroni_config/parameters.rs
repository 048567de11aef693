//! Which parameters of PostgreSQL take effect only after a restart.
//!
//! A server that answers tells it itself: the `context` of each parameter in `pg_settings`, those
//! of its loaded extensions included. Where none answers yet, or it does not know a parameter, a
//! table counts. It holds the parameters whose `context` in `pg_settings` is `postmaster`, for PostgreSQL 16
//! and 17 with the modules that ship with it. Names that a later major knows and an earlier one
//! does not do no harm: the earlier one refuses them anyway. To make the table again:
//! `SELECT name FROM pg_settings WHERE context = 'postmaster' ORDER BY name`.
//!
//! That a standby must not have less of some than its leader is told by no server; it is in the
//! documentation of hot standby ([`AT_LEAST_THE_LEADERS`]). Patroni keeps these in its dynamic
//! configuration alone, so that all members have the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::probe::ContextsReading;

/// What a change of a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImpactClass {
    /// The running server reads it.
    Reload,
    /// Only a server that starts reads it.
    Restart,
}

/// The parameters that need a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartParameters {
    /// Those of the table.
    known: BTreeSet<String>,
    /// What a server says of its own.
    told: BTreeMap<String, ImpactClass>,
}

impl RestartParameters {
    /// Those of a major version of PostgreSQL.
    pub fn of_major(major: u32) -> Self {
        let only = if major >= 17 { SINCE_17 } else { UNTIL_16 };
        let names = IN_BOTH.iter().chain(MODULES).chain(only);
        Self {
            known: names.map(|&name| name.to_owned()).collect(),
            told: BTreeMap::new(),
        }
    }

    /// Adds parameters of other extensions.
    pub fn and<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.known.extend(names.into_iter().map(Into::into));
        self
    }

    /// What a server says of its parameters counts for them.
    pub(super) fn told_by(mut self, server: &ContextsReading) -> Self {
        let told = server.0.iter().map(|(name, context)| {
            let class = match context.as_str() {
                "postmaster" => ImpactClass::Restart,
                _ => ImpactClass::Reload,
            };
            (name.clone(), class)
        });
        self.told.extend(told);
        self
    }

    /// What a change of a parameter takes.
    pub fn class(&self, parameter: &str) -> ImpactClass {
        match self.told.get(parameter) {
            Some(class) => *class,
            None if self.known.contains(parameter) => ImpactClass::Restart,
            None => ImpactClass::Reload,
        }
    }
}

/// What a standby must not have less of than its leader: it keeps the value that it finds in the
/// leader's WAL until the leader runs with a smaller one.
const AT_LEAST_THE_LEADERS: [&str; 5] = [
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
];

/// Whether a change of a parameter has to take effect on the leader first.
pub(super) fn leader_first(name: &str, old: Option<&Value>, new: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| match value? {
        Value::String(text) => text.parse::<i64>().ok(),
        other => other.as_i64(),
    };
    AT_LEAST_THE_LEADERS.contains(&name) && number(new) < number(old)
}

/// In 16 and in 17.
const IN_BOTH: &[&str] = &[
    "archive_mode",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_multixact_freeze_max_age",
    "bonjour",
    "bonjour_name",
    "cluster_name",
    "config_file",
    "data_directory",
    "data_sync_retry",
    "debug_io_direct",
    "dynamic_shared_memory_type",
    "event_source",
    "external_pid_file",
    "hba_file",
    "hot_standby",
    "huge_page_size",
    "huge_pages",
    "ident_file",
    "ignore_invalid_pages",
    "jit_provider",
    "listen_addresses",
    "logging_collector",
    "max_connections",
    "max_files_per_process",
    "max_locks_per_transaction",
    "max_logical_replication_workers",
    "max_pred_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "min_dynamic_shared_memory",
    "port",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "reserved_connections",
    "shared_buffers",
    "shared_memory_type",
    "shared_preload_libraries",
    "superuser_reserved_connections",
    "track_activity_query_size",
    "track_commit_timestamp",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "wal_buffers",
    "wal_decode_buffer_size",
    "wal_level",
    "wal_log_hints",
];

/// Gone in 17.
const UNTIL_16: &[&str] = &["old_snapshot_threshold"];

/// New in 17.
const SINCE_17: &[&str] = &[
    "commit_timestamp_buffers",
    "max_notify_queue_pages",
    "multixact_member_buffers",
    "multixact_offset_buffers",
    "notify_buffers",
    "serializable_buffers",
    "subtransaction_buffers",
    "trace_connection_negotiation",
    "transaction_buffers",
];

/// Of modules that ship with PostgreSQL.
const MODULES: &[&str] = &["pg_prewarm.autoprewarm", "pg_stat_statements.max"];
