//! Patroni's dynamic configuration: what the cluster agrees on.
//!
//! [`DcsConfig::to_value`] is used twice: as `bootstrap.dcs` when the cluster is made, and as the
//! goal that the REST API's `/config` is compared with ever after. [`patch`] says what a `PATCH
//! /config` must carry; nothing, when nothing differs.
//!
//! # Timing
//! The leader holds a lease of `ttl` seconds and renews it every `loop_wait`. When its host dies,
//! the lease is between `ttl - loop_wait` and `ttl` old; a replica notices at once or a loop
//! later, and promotes in up to 2 s; HAProxy then needs `fastinter x rise`. With 30/10/10 (as many
//! deployments have it) that is 23 to 48 s; with 20/5/5, the default here, 15.5 to 28.5 s.
//! Patroni takes no `ttl` below 20, and demotes a healthy leader unless `loop_wait + 2 x
//! retry_timeout <= ttl`. Shorter timing also means that a host which stands still for 15 s
//! loses its leadership: choose [`Timing::PATIENT`] on hosts that do.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::parameters::{self, InvalidParameter, Parameters};

/// How long the cluster waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds that the leader's lease lasts.
    pub ttl: u32,
    /// Seconds between two rounds of a node.
    pub loop_wait: u32,
    /// Seconds that a node tries to reach RAFT or PostgreSQL before it gives up.
    pub retry_timeout: u32,
}

impl Timing {
    /// A dead leader is replaced in 15.5 to 28.5 seconds.
    pub const QUICK: Self = Self {
        ttl: 20,
        loop_wait: 5,
        retry_timeout: 5,
    };
    /// A dead leader is replaced in 23 to 48 seconds; a host may stand still for 20.
    pub const PATIENT: Self = Self {
        ttl: 30,
        loop_wait: 10,
        retry_timeout: 10,
    };

    fn validate(self) -> Result<(), InvalidDcsConfig> {
        if self.ttl < 20 {
            return Err(InvalidDcsConfig::Ttl(self.ttl));
        }
        if self.loop_wait < 1 {
            return Err(InvalidDcsConfig::LoopWait);
        }
        if self.retry_timeout < 3 {
            return Err(InvalidDcsConfig::RetryTimeout(self.retry_timeout));
        }
        let Self {
            ttl,
            loop_wait,
            retry_timeout,
        } = self;
        match loop_wait
            .checked_add(2u32.saturating_mul(retry_timeout))
            .filter(|needed| *needed <= ttl)
        {
            Some(_) => Ok(()),
            None => Err(InvalidDcsConfig::Unsteady {
                ttl,
                loop_wait,
                retry_timeout,
            }),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::QUICK
    }
}

/// Whether a commit waits for a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synchronous {
    /// No. A failover may lose what was written last.
    Off,
    /// Yes, while there is a standby to wait for. Nothing acknowledged is lost by the failure of
    /// one node; with no standby left, commits go on alone.
    #[default]
    On,
    /// Yes, always. With no standby left, commits block until there is one.
    Strict,
}

/// The dynamic configuration of a cluster.
#[expect(
    clippy::struct_excessive_bools,
    reason = "Patroni's own switches, each independent of the others"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcsConfig {
    /// How long the cluster waits for what.
    pub timing: Timing,
    /// Whether a commit waits for a standby.
    pub synchronous: Synchronous,
    /// How many standbys a commit waits for.
    pub synchronous_node_count: u32,
    /// Bytes that an asynchronous replica may be behind and still become the leader.
    pub maximum_lag_on_failover: u64,
    /// Whether a leader that loses the DCS goes on while *all* members answer it. It does not
    /// save a cluster that lost two of three.
    pub failsafe_mode: bool,
    /// Whether a replica on an older timeline is kept from becoming the leader.
    pub check_timeline: bool,
    /// Seconds that a crashed primary may take to recover before another takes over; Patroni's
    /// own default is 300.
    pub primary_start_timeout: u32,
    /// Seconds that a primary may take to stop when it must give way; afterwards it is killed.
    pub primary_stop_timeout: u32,
    /// Whether a former primary is brought back by pg_rewind instead of a new copy.
    pub use_pg_rewind: bool,
    /// Whether replicas have slots, so that WAL waits for them.
    pub use_slots: bool,
    /// Minutes that the slot of a missing member is kept.
    pub member_slots_ttl_minutes: u32,
    /// PostgreSQL's parameters, the same on all nodes.
    pub parameters: Parameters,
}

impl DcsConfig {
    /// The defaults, with these parameters.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            timing: Timing::QUICK,
            synchronous: Synchronous::On,
            synchronous_node_count: 1,
            maximum_lag_on_failover: 1 << 20,
            failsafe_mode: true,
            check_timeline: true,
            primary_start_timeout: 25,
            primary_stop_timeout: 60,
            use_pg_rewind: true,
            use_slots: true,
            member_slots_ttl_minutes: 30,
            parameters,
        }
    }

    /// Checks the configuration for a cluster of `members` nodes.
    pub fn validate(&self, members: u32) -> Result<(), InvalidDcsConfig> {
        self.timing.validate()?;
        if self.synchronous != Synchronous::Off {
            let count = self.synchronous_node_count;
            if count == 0 || count >= members {
                return Err(InvalidDcsConfig::SynchronousCount { count, members });
            }
            if self.synchronous == Synchronous::Strict && members < 3 {
                return Err(InvalidDcsConfig::StrictPair);
            }
        }
        if self.use_pg_rewind && self.parameters.get("wal_log_hints") == Some(&"off".into()) {
            return Err(InvalidDcsConfig::RewindWithoutHints);
        }
        parameters::check(&self.parameters)?;
        Ok(())
    }

    /// As Patroni keeps it.
    pub fn to_value(&self) -> Value {
        json!({
            "ttl": self.timing.ttl,
            "loop_wait": self.timing.loop_wait,
            "retry_timeout": self.timing.retry_timeout,
            "maximum_lag_on_failover": self.maximum_lag_on_failover,
            "failsafe_mode": self.failsafe_mode,
            "check_timeline": self.check_timeline,
            "primary_start_timeout": self.primary_start_timeout,
            "primary_stop_timeout": self.primary_stop_timeout,
            "member_slots_ttl": format!("{}min", self.member_slots_ttl_minutes),
            "synchronous_mode": self.synchronous != Synchronous::Off,
            "synchronous_mode_strict": self.synchronous == Synchronous::Strict,
            "synchronous_node_count": self.synchronous_node_count,
            "postgresql": {
                "use_pg_rewind": self.use_pg_rewind,
                "use_slots": self.use_slots,
                "parameters": self.parameters,
            },
        })
    }
}

/// Why a dynamic configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDcsConfig {
    /// Patroni would refuse it.
    #[error("ttl is {0} s; Patroni takes 20 s at least")]
    Ttl(u32),
    /// Patroni would refuse it.
    #[error("loop_wait is 0 s; Patroni takes 1 s at least")]
    LoopWait,
    /// Patroni would refuse it.
    #[error("retry_timeout is {0} s; Patroni takes 3 s at least")]
    RetryTimeout(u32),
    /// A healthy leader would lose its lease.
    #[error(
        "loop_wait ({loop_wait}) + 2 x retry_timeout ({retry_timeout}) exceeds ttl ({ttl}): a healthy leader could lose its lease while it retries"
    )]
    Unsteady {
        /// The lease.
        ttl: u32,
        /// The round.
        loop_wait: u32,
        /// The patience.
        retry_timeout: u32,
    },
    /// Not that many standbys.
    #[error("a commit waits for {count} standbys, and a cluster of {members} has between 1 and {}", members.saturating_sub(1))]
    SynchronousCount {
        /// Standbys to wait for.
        count: u32,
        /// Nodes in all.
        members: u32,
    },
    /// One failure would stop all writes.
    #[error(
        "strict synchronous mode with fewer than three nodes stops all writes when one node fails"
    )]
    StrictPair,
    /// pg_rewind would not work.
    #[error("use_pg_rewind is on and wal_log_hints is off; pg_rewind needs it")]
    RewindWithoutHints,
    /// A parameter is wrong.
    #[error("a parameter of the cluster is refused")]
    Parameter(#[from] InvalidParameter),
}

/// What `PATCH /config` must carry to bring `observed` to `goal`; `None` when nothing differs.
///
/// Parameters that are in `observed` alone are removed (`null`). Other keys that are in
/// `observed` alone stay: `pause`, `standby_cluster` and `slots` belong to whoever set them.
/// Numbers and texts that say the same count as equal, as Patroni itself has it.
pub fn patch(observed: &Value, goal: &Value) -> Option<Value> {
    let empty = Map::new();
    let observed = observed.as_object().unwrap_or(&empty);
    let changes = merge(observed, goal.as_object()?, "");
    (!changes.is_empty()).then_some(Value::Object(changes))
}

fn merge(
    observed: &Map<String, Value>,
    goal: &Map<String, Value>,
    within: &str,
) -> Map<String, Value> {
    let empty = Map::new();
    let mut changes = Map::new();
    for (key, wanted) in goal {
        let there = observed.get(key);
        match wanted {
            Value::Object(wanted) => {
                let there = there.and_then(Value::as_object).unwrap_or(&empty);
                let inner = merge(there, wanted, key);
                if !inner.is_empty() {
                    changes.insert(key.clone(), Value::Object(inner));
                }
            }
            scalar if there.is_some_and(|there| same(there, scalar)) => {}
            scalar => {
                changes.insert(key.clone(), scalar.clone());
            }
        }
    }
    if within == "parameters" {
        let foreign = observed.keys().filter(|key| !goal.contains_key(*key));
        changes.extend(foreign.map(|key| (key.clone(), Value::Null)));
    }
    changes
}

fn same(one: &Value, other: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        other => other.to_string(),
    };
    one == other || text(one) == text(other)
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Cluster;
    use super::*;

    fn config() -> DcsConfig {
        DcsConfig::new(Cluster::new(17, 3).parameters())
    }

    #[test]
    fn the_default_is_valid() {
        config().validate(3).unwrap();
    }

    #[test]
    fn timing_that_patroni_would_refuse_is_refused() {
        let check = |ttl, loop_wait, retry_timeout| {
            let mut config = config();
            config.timing = Timing {
                ttl,
                loop_wait,
                retry_timeout,
            };
            config.validate(3)
        };
        assert_eq!(check(15, 1, 3), Err(InvalidDcsConfig::Ttl(15)));
        assert_eq!(check(20, 0, 3), Err(InvalidDcsConfig::LoopWait));
        assert_eq!(check(20, 5, 2), Err(InvalidDcsConfig::RetryTimeout(2)));
        assert!(matches!(
            check(20, 5, 8),
            Err(InvalidDcsConfig::Unsteady { .. })
        ));
        assert!(check(u32::MAX, 5, u32::MAX).is_err());
        assert_eq!(check(30, 10, 10), Ok(()));
    }

    #[test]
    fn a_commit_can_only_wait_for_nodes_that_exist() {
        let mut config = config();
        config.synchronous_node_count = 3;
        assert!(config.validate(3).is_err());
        assert!(config.validate(5).is_ok());
        config.synchronous_node_count = 1;
        config.synchronous = Synchronous::Strict;
        assert_eq!(config.validate(2), Err(InvalidDcsConfig::StrictPair));
    }

    #[test]
    fn rewind_needs_hints() {
        let mut config = config();
        config
            .parameters
            .insert("wal_log_hints".to_owned(), "off".into());
        assert_eq!(
            config.validate(3),
            Err(InvalidDcsConfig::RewindWithoutHints)
        );
    }

    #[test]
    fn an_unchanged_configuration_needs_no_patch() {
        let goal = config().to_value();
        assert_eq!(patch(&goal, &goal), None);
        let mut observed = goal.clone();
        observed["pause"] = json!(true);
        observed["ttl"] = json!("20");
        observed["postgresql"]["parameters"]["wal_log_hints"] = json!(true);
        assert_eq!(patch(&observed, &goal), None);
    }

    #[test]
    fn a_patch_holds_what_differs_and_no_more() {
        let goal = config().to_value();
        let mut observed = goal.clone();
        observed["ttl"] = json!(30);
        observed["postgresql"]["parameters"]["jit"] = json!("on");
        observed["postgresql"]["parameters"]["geqo"] = json!("off");
        assert_eq!(
            patch(&observed, &goal),
            Some(json!({
                "ttl": 20,
                "postgresql": {"parameters": {"jit": "off", "geqo": null}},
            }))
        );
        assert_eq!(patch(&Value::Null, &goal), Some(goal));
    }
}
