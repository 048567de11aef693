//! The variables that a credentials file holds.

use crate::secret::Vault;

/// What a variable holds, and so what its value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// The name of a role in PostgreSQL.
    Role,
    /// The name of a database in PostgreSQL.
    Database,
    /// The name of a cluster.
    Cluster,
    /// The name of a user elsewhere.
    User,
    /// A password.
    Password,
}

/// One variable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// What a new file says; a password is random.
    pub(super) initial: &'static str,
    /// Whether a file without it is completed instead of refused: nothing out there depends on
    /// a value that was never written down.
    pub(super) added: bool,
}

/// The variables of a login.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) user: &'static str,
    pub(super) password: &'static str,
}

pub(super) const SUPERUSER: Pair = Pair {
    user: "POSTGRES_SUPERUSER",
    password: "POSTGRES_SUPERPASS",
};
pub(super) const REPLICATION: Pair = Pair {
    user: "POSTGRES_REPL_USER",
    password: "POSTGRES_REPL_PASS",
};
pub(super) const APP: Pair = Pair {
    user: "POSTGRES_APP_USER",
    password: "POSTGRES_APP_PASS",
};
pub(super) const MONITOR: Pair = Pair {
    user: "POSTGRES_MONITOR_USER",
    password: "POSTGRES_MONITOR_PASS",
};
pub(super) const REST_API: Pair = Pair {
    user: "PATRONI_REST_USER",
    password: "PATRONI_REST_PASS",
};
pub(super) const PGBOUNCER_STATS: Pair = Pair {
    user: "PGBOUNCER_STATS_USER",
    password: "PGBOUNCER_STATS_PASS",
};
pub(super) const HAPROXY_STATS: Pair = Pair {
    user: "HAPROXY_STATS_USER",
    password: "HAPROXY_STATS_PASS",
};
pub(super) const RAFT_PASSWORD: &str = "PATRONI_RAFT_PASSWORD";
pub(super) const DATABASE: &str = "POSTGRES_DB";
pub(super) const CLUSTER: &str = "PATRONI_CLUSTER_NAME";

const fn required(name: &'static str, holds: Holds, initial: &'static str) -> Variable {
    Variable {
        name,
        holds,
        initial,
        added: false,
    }
}

/// A password that a program needs besides those of PostgreSQL.
pub(super) const fn password(name: &'static str) -> Variable {
    added(name, Holds::Password, "")
}

const fn added(name: &'static str, holds: Holds, initial: &'static str) -> Variable {
    Variable {
        name,
        holds,
        initial,
        added: true,
    }
}

/// Every variable, in the order of a new file.
pub(super) static ALL: [Variable; 18] = [
    required(SUPERUSER.user, Holds::Role, "postgres"),
    required(SUPERUSER.password, Holds::Password, ""),
    required(REPLICATION.user, Holds::Role, "kb_repl"),
    required(REPLICATION.password, Holds::Password, ""),
    required(APP.user, Holds::Role, "kb_app"),
    required(APP.password, Holds::Password, ""),
    required(DATABASE, Holds::Database, "keybuzz"),
    required(CLUSTER, Holds::Cluster, "keybuzz-pg"),
    added(MONITOR.user, Holds::Role, "kb_monitor"),
    added(MONITOR.password, Holds::Password, ""),
    added(REST_API.user, Holds::User, "patroni"),
    added(REST_API.password, Holds::Password, ""),
    added(RAFT_PASSWORD, Holds::Password, ""),
    added(PGBOUNCER_STATS.user, Holds::User, "kb_stats"),
    added(PGBOUNCER_STATS.password, Holds::Password, ""),
    added(HAPROXY_STATS.user, Holds::User, "stats"),
    added(HAPROXY_STATS.password, Holds::Password, ""),
    added(Vault::STATE_KEY, Holds::Password, ""),
];

/// The known variable of this name.
pub(super) fn known(name: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| variable.name == name)
}

/// Whether the value of a variable is a secret. An unknown variable holds one, unless its name
/// says plainly that it does not.
pub(super) fn is_secret(name: &str) -> bool {
    let plain = [
        "_USER", "_DB", "_NAME", "_HOST", "_PORT", "_REGION", "_BUCKET",
    ];
    match known(name) {
        Some(variable) => variable.holds == Holds::Password,
        None => !plain.iter().any(|end| name.ends_with(end)),
    }
}
