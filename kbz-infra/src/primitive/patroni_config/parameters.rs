//! Which parameters of PostgreSQL take effect only after a restart.
//!
//! These are the parameters whose `context` in `pg_settings` is `postmaster`, for PostgreSQL 16
//! and 17 with the modules that ship with it. Names that a later major knows and an earlier one
//! does not do no harm: the earlier one refuses them anyway. To make the table again:
//! `SELECT name FROM pg_settings WHERE context = 'postmaster' ORDER BY name`.

use std::collections::BTreeSet;

use serde_json::Value;

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
pub struct RestartParameters(BTreeSet<String>);

impl RestartParameters {
    /// Those of a major version of PostgreSQL.
    pub fn of_major(major: u32) -> Self {
        let only = if major >= 17 { SINCE_17 } else { UNTIL_16 };
        let names = IN_BOTH.iter().chain(MODULES).chain(only);
        Self(names.map(|&name| name.to_owned()).collect())
    }

    /// Adds parameters of other extensions.
    pub fn and<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.0.extend(names.into_iter().map(Into::into));
        self
    }

    /// What a change of a parameter takes.
    pub fn class(&self, parameter: &str) -> ImpactClass {
        if self.0.contains(parameter) {
            ImpactClass::Restart
        } else {
            ImpactClass::Reload
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
